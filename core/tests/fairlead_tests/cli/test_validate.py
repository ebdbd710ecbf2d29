"""``fairlead validate``: what is printed of manifests, and how the command ends."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest

from fairlead import errors
from fairlead.api import documents
from fairlead.cli import manifests
from fairlead_tests.api.manifests import RUNTIME, STORAGE_CONTAINER, iris

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command

IRIS: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris}
spec: {predictor: {sklearn: {storageUri: "gs://flowers/iris"}}}
"""
WRONG: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: wrong, namespace: flowers}
spec: {predictor: {minReplicas: -1, scaleMetricType: Value, sklearn: {storageUri: "gs://flowers/iris"}}}
"""


def piped(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def names(paths: list[str], namespace: str | None = None) -> list[str]:
    return [f"{each.metadata.namespace}/{each.metadata.name}" for each in manifests.load(paths, namespace=namespace)]


# -- what is printed ------------------------------------------------------------------------------------------


def test_each_object_has_a_line(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{IRIS}---\n{RUNTIME}---\n{STORAGE_CONTAINER}")
    ran = fairlead("validate", str(tmp_path / "all.yaml"))
    assert (ran.status, ran.errors) == (0, "")
    assert ran.output == (
        "InferenceService default/iris: valid\n"
        "ServingRuntime flowers/sklearn: valid\n"
        "ClusterStorageContainer default: valid\n"
        "3 objects: 3 valid.\n"
    )


def test_what_is_wrong_stands_below_its_object(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{WRONG}---\n{IRIS}")
    ran = fairlead("validate", str(tmp_path / "all.yaml"))
    assert (ran.status, ran.errors) == (1, "")
    assert ran.output == (
        "InferenceService flowers/wrong: invalid\n"
        "  spec.predictor.minReplicas: -1 is below 0. Write 0 or more.\n"
        "  warning: spec.predictor.scaleMetricType: it has no effect. Say it in autoScaling, or take it out.\n"
        "InferenceService default/iris: valid\n"
        "2 objects: 1 valid, 1 invalid, 1 warning.\n"
    )


def test_a_file_that_cannot_be_read_hides_no_other(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(IRIS.replace("predictor", "predicter"))
    (tmp_path / "b.yaml").write_text("a: [")
    (tmp_path / "c.yaml").write_text(WRONG)
    ran = fairlead("validate", str(tmp_path))
    assert ran.status == 1
    lines = ran.output.splitlines()
    assert [line.partition(": ")[0] for line in lines[:2]] == [f"{tmp_path}/a.yaml:4", f"{tmp_path}/a.yaml:4"]
    assert lines[2].startswith(f"{tmp_path}/b.yaml:")
    assert lines[3] == "InferenceService flowers/wrong: invalid"
    assert lines[-1] == "1 object: 0 valid, 1 invalid, 1 warning, 3 mistakes in files that cannot be read."


def test_quiet_prints_what_is_wrong_alone(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "iris.yaml").write_text(IRIS)
    ran = fairlead("validate", "--quiet", str(tmp_path))
    assert (ran.status, ran.output, ran.errors) == (0, "", "")
    (tmp_path / "wrong.yaml").write_text(WRONG)
    ran = fairlead("validate", "-q", str(tmp_path))
    assert ran.status == 1
    assert ran.output == (
        "InferenceService flowers/wrong: invalid\n  spec.predictor.minReplicas: -1 is below 0. Write 0 or more.\n"
    )


def test_objects_of_several_files_are_checked_together(fairlead: Command, tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(IRIS)
    ran = fairlead("validate", str(tmp_path))
    assert ran.status == 1
    assert "  metadata.name: this object is declared more than once." in ran.output


def test_strategies_that_are_installed_are_known(fairlead: Command, tmp_path: Path) -> None:
    text = IRIS.replace("{name: iris}", '{name: iris, annotations: {"serving.kserve.io/autoscalerClass": kpa}}')
    (tmp_path / "iris.yaml").write_text(text)
    assert fairlead("validate", str(tmp_path)).status == 0


def test_wrong_usage_has_a_status_of_its_own(fairlead: Command, tmp_path: Path) -> None:
    ran = fairlead("validate", str(tmp_path / "none.yaml"))
    assert (ran.status, ran.output) == (2, "")
    assert "There is no file or folder" in ran.errors
    assert fairlead("validate").status == 2


# -- which files ----------------------------------------------------------------------------------------------


def test_a_folder_is_read_by_name_and_not_below_itself(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", "d.txt", "below/e.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        service = iris()
        service["metadata"]["name"] = path.stem
        path.write_text(json.dumps(service))
    (tmp_path / "folder.yaml").mkdir()
    assert names([str(tmp_path)]) == ["None/a", "None/b", "None/c"]
    assert manifests.files([str(tmp_path), "-"]) == [tmp_path / name for name in ("a.yaml", "b.yml", "c.json")]


def test_a_file_that_is_named_may_end_in_anything(tmp_path: Path) -> None:
    (tmp_path / "iris.txt").write_text(IRIS)
    assert names([str(tmp_path / "iris.txt")]) == ["None/iris"]


def test_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="There is no manifest in"):
        manifests.load([str(tmp_path)])


def test_standard_input_is_a_minus(fairlead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(IRIS, monkeypatch)
    assert fairlead("validate", "-").output.startswith("InferenceService default/iris: valid\n")
    piped("a: [", monkeypatch)
    assert fairlead("validate", "-").output.startswith("<stdin>:")


def test_standard_input_is_read_once() -> None:
    with pytest.raises(errors.ConfigurationError, match="Standard input can be read once"):
        manifests.load(["-", "-"])


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(IRIS,))
    writer.start()
    try:
        assert names([str(pipe)]) == ["None/iris"]
    finally:
        writer.join()


def test_no_more_of_a_file_is_read_than_it_may_have(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(64 * 1024**3)  # a file with a hole: it takes no room, and would fill the memory
    with pytest.raises(errors.InvalidManifest, match=rf"^{path}: it has more than {documents.MOST_BYTES} bytes"):
        manifests.load([str(path)])
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    with pytest.raises(errors.InvalidManifest, match="it has more than"):
        manifests.load([str(tmp_path / "endless.yaml")])


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "iris.yaml"
    path.write_bytes(IRIS.encode() + "# für Iris\n".encode("latin-1"))
    with pytest.raises(errors.InvalidManifest, match=rf"^{path}:5: this is not UTF-8"):
        manifests.load([str(path)])
    path.write_bytes(b"\xef\xbb\xbf" + IRIS.encode())
    assert names([str(path)]) == ["None/iris"]


def test_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("kind: Pod\napiVersion: v1\n")
    with pytest.raises(errors.InvalidManifest) as raised:
        manifests.load([str(tmp_path)])
    assert [text.partition(": ")[0] for text in raised.value.problems] == [
        f"{tmp_path}/a.yaml:1",
        f"{tmp_path}/b.yaml:1",
    ]


# -- namespaces -----------------------------------------------------------------------------------------------


def test_the_namespace_of_the_command_line_is_that_of_objects_without_one(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{IRIS}---\n{RUNTIME}---\n{STORAGE_CONTAINER}")
    assert names([str(path)], "flowers") == ["flowers/iris", "flowers/sklearn", "None/default"]


def test_an_object_in_another_namespace_is_an_error(fairlead: Command, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    ran = fairlead("validate", "-n", "trees", str(path))
    assert ran.status == 1
    assert ran.output.splitlines()[0] == (
        f"{path}: InferenceService wrong: metadata.namespace: 'flowers' is not the namespace 'trees' of the command "
        "line. Leave --namespace out, or change one of them."
    )
