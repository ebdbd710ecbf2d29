"""Artefacts that do not load, each with an error that says what is wrong."""

from __future__ import annotations

import importlib.metadata
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import Artifact, LoadSettings, errors
from fairlead_runtime_paddle import files
from fairlead_runtime_paddle.runtime import PaddleRuntime

if TYPE_CHECKING:
    from fairlead_runtime_paddle.model import PaddleModel


def artifact_of(path: Path) -> Artifact:
    return Artifact(path=path, uri=path.as_uri())


def load(path: Path, **options: int) -> PaddleModel:
    return PaddleRuntime().load(artifact_of(path), LoadSettings(model_name="m", options=options))


@pytest.fixture
def model(programs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(programs / "json", tmp_path / "copy"))


@pytest.mark.parametrize("name", ["inference.json", "inference.pdiparams"])
def test_a_missing_file_is_an_error_that_says_so(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(errors.ArtifactMissing):
        load(model)
    (other,) = model.iterdir()
    with pytest.raises(errors.ArtifactMissing, match=name.replace(".", r"\.")):
        load(other)


def test_either_file_stands_for_both(model: Path) -> None:
    for path in model.iterdir():
        assert load(path).metadata.platform == "paddle"


def test_two_programs_are_ambiguous(model: Path) -> None:
    shutil.copy(model / "inference.json", model / "other.json")
    with pytest.raises(errors.ArtifactAmbiguous, match="More than one model file"):
        load(model)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("inference.json", b""),
        ("inference.json", b'{"learner": {}}'),
        ("inference.pdiparams", b"not what it should be"),
        ("inference.pdiparams", b"\0\0\0\0"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_so(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=r"does not load|is empty"):
        load(model)


def test_a_truncated_file_of_parameters_is_an_error_that_says_so(model: Path) -> None:
    path = model / "inference.pdiparams"
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        load(model)


@pytest.mark.parametrize("form", ["json", "old"])
def test_noise_is_an_error_and_no_crash(programs: Path, tmp_path: Path, form: str) -> None:
    for seed in range(20):
        noise = random.Random(seed)
        for part in ("program", "parameters", "both"):
            copy = Path(shutil.copytree(programs / form, tmp_path / f"{seed}-{part}"))
            found = files.find(artifact_of(copy))
            chosen = [found.program, found.parameters] if part == "both" else [getattr(found, part)]
            for path in chosen:
                path.write_bytes(noise.randbytes(500))
            with pytest.raises(errors.ModelLoadError, match=rf"{chosen[0].name} does not load"):
                load(copy)


@pytest.mark.parametrize("form", ["json", "old"])
def test_a_file_that_breaks_off_anywhere_is_an_error_and_no_crash(programs: Path, tmp_path: Path, form: str) -> None:
    found = files.find(artifact_of(Path(shutil.copytree(programs / form, tmp_path / "copy"))))
    for path in (found.program, found.parameters):
        whole = path.read_bytes()
        for length in range(1, len(whole), len(whole) // 17):
            path.write_bytes(whole[:length])
            with pytest.raises(errors.ModelLoadError, match=rf"{path.name} does not load"):
                load(path)
        path.write_bytes(whole)
    assert load(found.program).samples()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b"softmax_0.tmp_0", b"softmax_7.tmp_0", "which is not declared"),
        (b"fetch", b"fresh", "none that fetches an answer"),
        (b"make_programs", b"make\xffprograms", "utf-8"),
    ],
)
def test_an_old_program_whose_operators_cannot_run_is_an_error_and_no_crash(
    programs: Path, tmp_path: Path, before: bytes, after: bytes, said: str
) -> None:
    copy = Path(shutil.copytree(programs / "old", tmp_path / "copy"))
    path = files.find(artifact_of(copy)).program
    everywhere = after == b"fresh"
    path.write_bytes(path.read_bytes().replace(before, after, -1 if everywhere else 1))
    with pytest.raises(errors.ModelLoadError, match=said):
        load(copy)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"magic":"pir"', b'"magic":"pip"'),
        (b'"N":"name"', b'"N":"n`me"'),
        (b'"OA":[1,0,1],', b""),
        (b'"AT":{"#":"0.a_i32","D":0},"N":"col"', b'"N":"col"'),
        (b'"ops":[', b'"ops":[0,'),
        (b"{", b"[" * 50_000),
    ],
)
def test_a_json_program_that_lacks_what_each_has_is_an_error_and_no_crash(
    model: Path, before: bytes, after: bytes
) -> None:
    path = model / "inference.json"
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    with pytest.raises(errors.ModelLoadError, match=r"inference\.json does not load"):
        load(model)


def test_a_tensor_that_says_to_be_larger_than_its_file_is_an_error_that_says_so(model: Path) -> None:
    path = model / "inference.pdiparams"
    header = b"\x08\x05\x10\x04\x10\x03"  # FP32 of the shape [4, 3]
    assert path.read_bytes().count(header) == 1
    path.write_bytes(path.read_bytes().replace(header, b"\x08\x05\x10\x04\x10\x7f"))
    with pytest.raises(errors.ModelLoadError, match="breaks off in the tensor at byte 36"):
        load(model)


def test_parameters_of_another_program_are_an_error_that_says_so(programs: Path, model: Path) -> None:
    shutil.copy(programs / "two" / "inference.pdiparams", model / "inference.pdiparams")
    (model / "inference.pdiparams").write_bytes((model / "inference.pdiparams").read_bytes() * 2)
    with pytest.raises(errors.ModelLoadError):
        load(model)


def test_an_old_program_records_the_version_that_saved_it(programs: Path) -> None:
    assert files.recorded(artifact_of(programs / "old")) == {"paddlepaddle": importlib.metadata.version("paddlepaddle")}
    assert files.recorded(artifact_of(programs / "json")) == {}
    assert files.recorded(artifact_of(programs)) == {}


def test_programs_are_recognised_by_their_bytes(programs: Path, tmp_path: Path) -> None:
    assert files.recognises(artifact_of(programs / "json"))
    assert files.recognises(artifact_of(programs / "old"))
    (tmp_path / "model.json").write_text('{"learner": {}}')
    assert not files.recognises(artifact_of(tmp_path))


def test_a_negative_number_of_threads_is_a_mistake_of_configuration(programs: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="nthread"):
        load(programs / "json", nthread=-1)


def test_dimensions_of_any_length_leave_a_model_without_samples(programs: Path) -> None:
    assert load(programs / "image").samples() == ()
    assert load(programs / "two").samples()


_AFTER_TENSORFLOW = """
import sys, types
sys.modules["tensorflow.python"] = types.ModuleType("tensorflow.python")
from fairlead_runtime_paddle.runtime import PaddleRuntime
try:
    PaddleRuntime()
except Exception as error:
    print(type(error).__name__, error)
assert "paddle" not in sys.modules
"""


def test_after_tensorflow_it_is_an_error_that_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", _AFTER_TENSORFLOW], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ModelLoadError TensorFlow has been imported in this process")
