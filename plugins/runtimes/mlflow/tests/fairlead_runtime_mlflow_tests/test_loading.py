"""Folders that do not load, or only with permission; each says what is wrong, and nothing of it runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from fairlead import Artifact, LoadSettings, UnpicklingMode, UnpicklingPolicy, errors
from fairlead.testing.server import running_server
from fairlead_runtime_mlflow import mlmodel
from fairlead_runtime_mlflow.runtime import MlflowRuntime
from fairlead_runtime_mlflow_tests import models
from fairlead_runtime_mlflow_tests.code_models import Doubling, Touching

END = b"utc_time_created: now\n"
DENY = UnpicklingPolicy(UnpicklingMode.DENY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_sklearn(tmp_path_factory.mktemp("saved") / "skops", models.classifier())


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def artifact_of(folder: Path) -> Artifact:
    return Artifact(path=folder, uri=folder.as_uri())


def load(folder: Path, policy: UnpicklingPolicy | None = None) -> Any:
    settings = LoadSettings(model_name="m", unpickling=policy or UnpicklingPolicy())
    return MlflowRuntime().load(artifact_of(folder), settings)


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "MLmodel"
    document = yaml.safe_load(path.read_text())
    edit(document)
    path.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no flavors"),
        (b"flavors: [", "it is no YAML"),
        (b"\xff\xfe\x00", "it is no YAML"),
        (b"flavors: {python_function: {}}", "it breaks off"),
        (END + b"flavors: {sklearn: {}}", "not python_function"),
        (END + b"flavors: {python_function: {}}\nsignature: {inputs: '[{'}", "its signature cannot be read"),
        (END + b"flavors: {python_function: {}}\nsignature: {inputs: '3'}", "no list of columns"),
        (END + b'flavors: {python_function: {}}\nsignature: {inputs: \'[{"type": "tensor"}]\'}', "cannot be served"),
        (b"!!python/object/apply:os.system ['false']", "it is no YAML"),
        (b"[" * 2000, "nested deeper than 64 levels"),
        (END + b"flavors: {python_function: {}}\nsignature: {inputs: '" + b"[" * 200_000 + b"'}", "cannot be read"),
        (b"#" * (4 * 1024 * 1024 + 1), "has more than"),
    ],
)
def test_a_malformed_description_is_an_error_that_says_so(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "MLmodel").write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=said):
        load(tmp_path)


def test_a_truncated_model_file_is_an_error_that_says_so(model: Path) -> None:
    path = model / "model.skops"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        load(model)
    with pytest.raises(errors.ModelLoadError, match=r"model\.skops does not load"), running_server({"m": model}):
        pass


def test_a_missing_model_file_is_an_error_that_says_so(model: Path) -> None:
    (model / "model.skops").unlink()
    with pytest.raises(errors.ModelLoadError, match=r"model\.skops"):
        load(model)


@pytest.mark.parametrize("path", ["../other.skops", "/etc/passwd", "..\\x", "C:\\x", "a/../../b"])
def test_a_path_that_leaves_the_folder_is_refused(model: Path, path: str) -> None:
    change(model, lambda document: document["flavors"]["python_function"].update(model_path=path))
    with pytest.raises(errors.ModelLoadError, match="outside of the model's folder"):
        load(model)


def test_an_artefact_of_a_model_that_leaves_the_folder_is_refused(model: Path) -> None:
    outside = {"data": {"path": "../../secret", "uri": "file:///tmp/secret"}}
    change(model, lambda document: document["flavors"]["python_function"].update(artifacts=outside))
    with pytest.raises(errors.ModelLoadError, match="outside of the model's folder"):
        load(model)


def test_a_model_of_code_is_refused_under_deny_before_anything_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    folder = models.code_model(tmp_path / "model", Touching(trace))
    with pytest.raises(errors.UnpicklingRefused, match=r"python_model\.pkl"):
        load(folder, DENY)
    assert not trace.exists()


def test_a_pickle_that_the_runtime_of_scikit_learn_would_load_is_refused_too(tmp_path: Path) -> None:
    folder = models.save_sklearn(tmp_path / "model", models.classifier(), serialization_format="pickle")
    with (
        pytest.raises(errors.UnpicklingRefused, match=r"model\.pkl"),
        running_server({"m": folder}, unpickling=DENY),
    ):
        pass


def test_a_skops_model_loads_under_deny(model: Path) -> None:
    assert load(model, DENY).metadata.properties["flavor"] == "sklearn"
    with running_server({"m": model}, unpickling=DENY) as server:
        assert server.client.get("/v1/models/m").json()["ready"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document["flavors"]["sklearn"].update(skops_trusted_types=["os.system"]),
        lambda document: document["flavors"]["sklearn"].update(serialization_format="pickle"),
        lambda document: document["flavors"]["python_function"].update(loader_module="code_of_mine"),
        lambda document: document["flavors"]["python_function"].update(code="code"),
    ],
)
def test_a_description_that_asks_for_more_than_data_needs_permission(
    model: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    change(model, edit)
    with pytest.raises(errors.UnpicklingRefused):
        load(model, DENY)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_module_of_this_machine_is_imported_only_with_permission_for_the_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "touching_of_the_tests.py").write_text("raise OSError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    folder = tmp_path / "model"
    folder.mkdir()
    content = END + b"flavors: {python_function: {loader_module: touching_of_the_tests}}\n"
    (folder / "MLmodel").write_bytes(content)
    digests = frozenset({f"sha256:{hashlib.sha256(content).hexdigest() if trusted else '0' * 64}"})
    expected = (errors.ModelLoadError, "imported") if trusted else (errors.UnpicklingRefused, "MLmodel")
    for policy in (UnpicklingPolicy(UnpicklingMode.TRUSTED, digests), *(() if trusted else (DENY,))):
        with pytest.raises(expected[0], match=expected[1]):
            load(folder, policy)


def test_the_versions_are_those_that_the_description_records(model: Path) -> None:
    change(model, lambda document: document["flavors"]["sklearn"].update(sklearn_version="99.0"))
    recorded = mlmodel.recorded(artifact_of(model))
    assert recorded == {"mlflow": mlflow.__version__, "scikit-learn": "99.0"}
    assert mlmodel.recorded(artifact_of(model.parent)) == {}


def test_a_model_of_a_newer_library_that_does_not_load_names_both_versions(model: Path) -> None:
    (model / "model.skops").write_bytes(b"PK\x03\x04 of another time")
    change(model, lambda document: document.update(mlflow_version="99.0"))
    with pytest.raises(errors.ModelLoadError, match=rf"mlflow 99\.0 and does not load with {mlflow.__version__}"):
        load(model)


@pytest.mark.parametrize("version", ["3.0.0", mlflow.__version__, "of old"])
def test_a_model_that_an_older_mlflow_saved_and_that_does_not_load_is_not_blamed_on_mlflow(
    model: Path, version: str
) -> None:
    (model / "model.skops").write_bytes(b"PK\x03\x04 damaged")
    change(model, lambda document: document.update(mlflow_version=version))
    with pytest.raises(errors.ModelLoadError, match="does not load") as caught:
        load(model)
    assert "pip install mlflow" not in str(caught.value)


def test_a_model_of_another_scikit_learn_that_does_not_load_names_that(model: Path) -> None:
    (model / "model.skops").write_bytes(b"PK\x03\x04 of another time")
    change(model, lambda document: document["flavors"]["sklearn"].update(sklearn_version="1.0.1"))
    with pytest.raises(errors.ModelLoadError, match=r"saved with scikit-learn 1\.0\.1 and does not load with"):
        load(model)


def test_a_model_of_code_asks_for_the_packages_that_it_lists(tmp_path: Path, model: Path) -> None:
    folder = models.code_model(
        tmp_path / "model", Touching(tmp_path / "trace"), pip_requirements=["numpy", "six==1.17.0"]
    )
    assert set(mlmodel.requirements(artifact_of(folder))) == {
        "numpy",
        "six==1.17.0",
        f"mlflow-skinny=={mlflow.__version__}",
    }
    assert mlmodel.requirements(artifact_of(model)) == ()


def test_another_python_is_a_note(tmp_path: Path) -> None:
    folder = models.code_model(tmp_path / "model", Doubling())
    change(folder, lambda document: document["flavors"]["python_function"].update(python_version="3.8.1"))
    assert any("Python 3.8.1" in note for note in load(folder).notes)


def test_mlflow_reports_nothing_to_anybody(model: Path) -> None:
    load(model)
    from mlflow.telemetry.client import get_telemetry_client
    from mlflow.tracing.provider import is_tracing_enabled

    assert get_telemetry_client() is None
    assert not is_tracing_enabled()


def test_a_folder_with_an_odd_name_loads(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "a model, größer")
    assert load(Path(folder)).metadata.platform == "mlflow"


_LOADER = """
from pathlib import Path

class Adding:
    def __init__(self, summand):
        self.summand = summand

    def predict(self, data, params=None):
        return data + self.summand

def _load_pyfunc(path):
    return Adding(float(Path(path).read_text()))
"""


def test_a_model_with_python_modules_of_its_own_is_served_where_the_policy_permits_it(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "adding_of_the_tests.py").write_text(_LOADER)
    (tmp_path / "summand.txt").write_text("1.5")
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(
        folder,
        loader_module="adding_of_the_tests",
        data_path=tmp_path / "summand.txt",
        code_paths=[str(tmp_path / "code" / "adding_of_the_tests.py")],
        pip_requirements=models.PINS,
    )
    with running_server({"m": folder}) as server:
        answer = server.client.post("/v1/models/m:predict", json={"instances": [[1.0, 2.0]]}).json()
    assert answer == {"predictions": [[2.5, 3.5]]}
    with pytest.raises(errors.UnpicklingRefused, match=r"adding_of_the_tests\.py"):
        load(folder, DENY)
