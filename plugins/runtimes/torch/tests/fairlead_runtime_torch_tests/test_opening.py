"""Files that are damaged, foreign, or hostile: each is an error that says what to do, and none of their code runs."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fairlead import Artifact, errors
from fairlead.testing import running_server
from fairlead_runtime_torch import files
from fairlead_runtime_torch_tests import modules


def refusal(path: Path, policy: str = "allow", **options: str) -> errors.ModelLoadError:
    with pytest.raises(errors.ModelLoadError) as caught:
        modules.load(path, policy, **options)
    return caught.value


@pytest.mark.parametrize("name", ["model.pt2", "model.pt"])
@pytest.mark.parametrize("part", [0.3, 0.95])
def test_a_truncated_archive_is_an_error_that_says_so(
    exported: Path, scripted: Path, tmp_path: Path, name: str, part: float
) -> None:
    content = (exported if name == "model.pt2" else scripted).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * part)])
    assert re.search("cut short or damaged|archive is corrupted", str(refusal(tmp_path)))


def test_an_archive_with_a_damaged_name_is_an_error_that_says_so(exported: Path, tmp_path: Path) -> None:
    content = exported.read_bytes()
    place = content.rindex(b"/models/model.json")  # in the list of names at the end
    (tmp_path / "model.pt2").write_bytes(content[:place] + b"\xff" + content[place + 1 :])
    assert "cut short or damaged (UnicodeDecodeError" in str(refusal(tmp_path))


def test_an_empty_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    assert "model.pt is empty" in str(refusal(tmp_path))


def test_a_zip_archive_of_another_kind_is_an_error_that_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("word/document.xml", "<document/>")
    assert "is no file of PyTorch" in str(refusal(tmp_path))


def test_a_program_whose_graph_is_damaged_is_an_error_with_the_name_of_the_file(exported: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model.pt2"
    with zipfile.ZipFile(exported) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            target.writestr(name, b'{"torch_version": "99.0"}' if name.endswith("model.json") else source.read(name))
    assert re.search(r"model\.pt2 was saved with torch 99\.0 and does not load with", str(refusal(damaged)))


def test_a_bomb_among_weights_does_not_run_and_the_error_says_what_to_save(weights: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    bomb = tmp_path / "model.pt"
    torch.save({"linear.weight": modules.Bomb(marker)}, bomb)
    (tmp_path / "model.py").write_text(modules.CLASS, encoding="utf-8")
    error = str(refusal(tmp_path))
    assert "more than weights" in error
    assert "state_dict" in error
    assert not marker.exists()


def test_an_older_pickle_with_a_bomb_does_not_run_either(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save({"weight": modules.Bomb(marker)}, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    assert "more than weights" in str(refusal(tmp_path))
    assert not marker.exists()


def test_a_whole_pickled_module_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    torch.save(modules.made(), tmp_path / "model.pt")
    error = str(refusal(tmp_path))
    assert "torch.export.save" in error
    assert "model.state_dict()" in error


def test_a_program_holds_pickles_and_asks_the_policy_before_anything_of_it_is_read(
    exported: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    bombed = modules.bombed(exported, tmp_path / "model.pt2", marker)
    with pytest.raises(errors.UnpicklingRefused):
        modules.load(bombed, "deny")
    assert not marker.exists()


def test_torchscript_that_touches_files_needs_permission_and_other_torchscript_does_not(
    scripted: Path, tmp_path: Path
) -> None:
    touching = modules.script(tmp_path / "model.pt", modules.Saving(str(tmp_path / "saved")))
    with pytest.raises(errors.UnpicklingRefused):
        modules.load(touching, "deny")
    assert modules.load(scripted, "deny").metadata.platform == "pytorch"


def test_weights_alone_say_that_their_class_is_missing(tmp_path: Path) -> None:
    torch.save(modules.made().state_dict(), tmp_path / "model.pt")
    assert "Name the file of the class model.py, beside the weights" in str(refusal(tmp_path))


def test_another_python_file_beside_weights_is_not_run(tmp_path: Path) -> None:
    torch.save(modules.made().state_dict(), tmp_path / "bare.pt")
    script = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n{modules.CLASS}"
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    for path in (tmp_path, tmp_path / "bare.pt"):
        error = str(refusal(path))
        assert "no model.py with the model's class lies beside it; train.py there is not run" in error
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_class_say_which_are_missing(tmp_path: Path) -> None:
    folder = modules.weights(tmp_path)
    torch.save(torch.nn.Conv2d(1, 1, 3).state_dict(), folder / "model.pt")
    error = str(refusal(folder))
    assert "does not hold the weights of Net" in error
    assert "linear.weight" in error


def test_a_tensor_alone_is_no_weights(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "model.pt")
    assert "holds a Tensor that is no weights" in str(refusal(tmp_path))


def test_the_weights_of_a_training_checkpoint_are_found(tmp_path: Path) -> None:
    folder = modules.weights(tmp_path)
    torch.save({"epoch": 3, "model_state_dict": modules.made().state_dict()}, folder / "model.pt")
    assert modules.load(folder).metadata.inputs


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch\nclass Net(torch.nn.Module:\n", "cannot be imported: SyntaxError"),
        ("raise ValueError('no')\n", r"ValueError: no \(model.py:1\)"),
        (
            "import a_package_that_is_not_there\n",
            "Install the distribution that provides 'a_package_that_is_not_there'",
        ),
        ("x = 1\n", "defines no subclass of torch.nn.Module"),
        (modules.CLASS.replace("classes=3", "classes"), r"Net\(\) cannot be made: TypeError.*setting options"),
        (f"{modules.CLASS}\n\nclass Other(Net):\n    pass\n", "several modules: Net, Other"),
        (
            modules.CLASS.replace('[TensorSpec("x", Datatype.FP32, (-1, 4))]', "'x'"),
            "no sequence of fairlead.TensorSpec",
        ),
        (modules.CLASS.replace("(-1, 4))]", "(-1, 4)), TensorSpec('y', Datatype.FP32, (-1,))]"), "forward takes x"),
        (
            modules.CLASS.replace("    inputs =", "    others =").replace("(self, x)", "(self, *x)"),
            "Declare the inputs with the setting inputs",
        ),
    ],
    ids=["syntax", "raises", "import", "none", "arguments", "several", "inputs", "too many inputs", "names"],
)
def test_a_file_of_a_class_that_cannot_be_used_says_why(tmp_path: Path, source: str, expected: str) -> None:
    assert re.search(expected, str(refusal(modules.weights(tmp_path, source=source))))


def test_the_settings_class_and_options_choose_the_class_and_its_arguments(tmp_path: Path) -> None:
    source = modules.CLASS.replace("classes=3", "classes") + "\n\nclass Other(Net):\n    pass\n"
    folder = modules.weights(tmp_path, source=source)
    model = modules.load(folder, **{"class": "Other", "options": json.dumps({"classes": 3})})
    assert type(model.native).__name__ == "Other"


def test_a_helper_beside_the_class_is_imported(tmp_path: Path) -> None:
    folder = modules.weights(
        tmp_path, source=modules.CLASS.replace("import torch\n", "import torch\nimport sizes\n", 1)
    )
    (folder / "sizes.py").write_text("WIDTH = 4\n", encoding="utf-8")
    assert modules.load(folder).metadata.inputs


@pytest.mark.parametrize("layout", ["archive", "folders"])
def test_what_is_packed_for_torchserve_is_refused_with_what_to_do(tmp_path: Path, layout: str) -> None:
    archive = tmp_path / "mnist.mar" if layout == "archive" else tmp_path / "model-store" / "mnist.mar"
    archive.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", "{}")
    (tmp_path / "config").mkdir()
    error = str(refusal(tmp_path))
    assert "packed for TorchServe" in error
    assert "transformer" in error
    assert files.recognises(Artifact(path=tmp_path, uri=tmp_path.as_uri()))


def test_a_package_of_aotinductor_is_refused_with_what_to_save(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("model/data/aotinductor/model/code.so", "")
    assert "torch.export.save" in str(refusal(tmp_path))


def test_the_version_that_exported_a_program_is_read_without_loading_it(exported: Path, scripted: Path) -> None:
    import importlib.metadata

    def saved_with(path: Path) -> dict[str, str]:
        return dict(files.saved_with(Artifact(path=path, uri=path.as_uri())))

    assert saved_with(exported) == {"torch": importlib.metadata.version("torch")}
    assert saved_with(scripted) == {}


def test_a_class_of_fairleads_own_api_beside_weights_is_not_for_this_runtime(tmp_path: Path) -> None:
    folder = modules.weights(tmp_path)
    artifact = Artifact(path=folder, uri=folder.as_uri())
    assert files.recognises(artifact)
    (folder / "model.py").write_text("from fairlead import CustomModel\n", encoding="utf-8")
    assert not files.recognises(artifact)


def test_safetensors_without_a_class_are_those_of_another_library(tmp_path: Path) -> None:
    safetensors.torch.save_file(modules.made().state_dict(), tmp_path / "model.safetensors")
    artifact = Artifact(path=tmp_path, uri=tmp_path.as_uri())
    assert not files.recognises(artifact)
    (tmp_path / "model.py").write_text(modules.CLASS, encoding="utf-8")
    assert files.recognises(artifact)


def test_a_server_serves_weights_and_their_class_without_being_told_the_format(weights: Path) -> None:
    with running_server({"model": weights}) as running:
        answer = running.client.post("/v1/models/model:predict", json={"instances": modules.ROWS.tolist()})
        assert answer.status_code == 200, answer.text
