"""Where a model may lie in an artefact, and what is said of artefacts that hold none."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import Artifact, errors
from fairlead_runtime_tensorflow import layout
from fairlead_runtime_tensorflow.layout import Found

GRAPH = b"\x08\x01\x12\x00"


def artifact(path: Path) -> Artifact:
    return Artifact(path=path, uri=f"file://{path}")


def find(path: Path) -> Found:
    return layout.find(artifact(path))


def saved(folder: Path, content: bytes = GRAPH) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def test_a_saved_model_lies_at_the_top_level(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    assert find(folder) == find(folder / "saved_model.pb") == Found(folder)


def test_a_keras_model_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK\x03\x04")
    assert find(tmp_path) == find(path) == Found(path)
    assert find(path).is_keras


def test_of_folders_of_numbers_the_highest_is_served(tmp_path: Path) -> None:
    for name in ("1", "0009", "00010", "not-a-version", ".11"):
        saved(tmp_path / name)
    (tmp_path / "12").write_bytes(b"a file")
    assert find(tmp_path) == Found(tmp_path / "00010", "10")


def test_a_model_at_the_top_level_wins_over_folders_of_numbers(tmp_path: Path) -> None:
    saved(saved(tmp_path / "model") / "7")
    assert find(tmp_path / "model") == Found(tmp_path / "model")


def test_versions_that_cannot_be_served_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty" / "2").mkdir(parents=True)
    saved(tmp_path / "empty" / "1")
    with pytest.raises(errors.ArtifactMissing, match=r"no saved_model\.pb in the folder 2 .* the highest version"):
        find(tmp_path / "empty")
    saved(tmp_path / "twice" / "3")
    saved(tmp_path / "twice" / "003")
    with pytest.raises(errors.ArtifactAmbiguous, match="of version 3: 003, 3"):
        find(tmp_path / "twice")


def test_none_and_several_models_are_told(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(errors.ArtifactMissing, match="it holds weights"):
        find(tmp_path)
    saved(tmp_path / "two")
    (tmp_path / "two" / "model.keras").write_bytes(b"")
    with pytest.raises(errors.ArtifactAmbiguous, match=r"model\.keras, saved_model\.pb"):
        find(tmp_path / "two")


def test_the_legacy_format_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(
        errors.ModelLoadError, match=r"model\.h5 is of the legacy format HDF5.*save\(\"model\.keras\"\)"
    ):
        find(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "own"),
    [
        ("saved_model.pb", GRAPH, True),
        ("5/saved_model.pb", GRAPH, True),
        ("saved_model.pb", b"\x0a", False),
        ("5/saved_model.pb", b"", False),
        ("5/model.joblib", GRAPH, False),
        ("v5/saved_model.pb", GRAPH, False),
        ("model.keras", b"PK\x03\x04", True),
        ("model.keras", b"no archive", False),
        ("model.h5", b"\x89HDF\r\n\x1a\n", True),
        ("model.h5", b"", False),
    ],
)
def test_a_look_at_the_first_bytes_tells_whose_a_file_is(tmp_path: Path, name: str, content: bytes, own: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert layout.recognises(artifact(tmp_path)) is own
