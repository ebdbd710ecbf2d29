"""Which files are scikit-learn's, among those whose names other runtimes take too."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fairlead import Artifact
from fairlead_runtime_sklearn.recognition import recognises
from fairlead_runtime_sklearn_tests import estimators


def recognised(path: Path) -> bool | None:
    return recognises(Artifact(path=path, uri=path.as_uri()))


@pytest.fixture
def booster(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class with the name of another library's estimator, which need not be installed here."""
    module = types.ModuleType("xgboost")
    made = type("XGBClassifier", (SVC,), {"__module__": "xgboost"})
    monkeypatch.setattr(module, made.__name__, made, raising=False)
    monkeypatch.setitem(sys.modules, "xgboost", module)
    return made


@pytest.mark.parametrize(
    "estimator",
    [
        estimators.classifier(),
        estimators.pipeline_of_columns(),
        GridSearchCV(SVC(), {"C": [1.0]}),
        {"model": estimators.classifier()},
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_are_recognised_and_so_is_what_holds_one(tmp_path: Path, estimator: Any) -> None:
    for compress in (0, 3, ("xz", 3)):
        joblib.dump(estimator, tmp_path / "model.joblib", compress=compress)
        assert recognised(tmp_path)
    (tmp_path / "model.joblib").unlink()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(estimator, protocol=protocol))
        assert recognised(tmp_path / "model.pkl")


def test_a_skops_file_is_recognised(tmp_path: Path) -> None:
    skops.io.dump(estimators.classifier(), tmp_path / "model.skops")
    assert recognised(tmp_path)


def test_an_estimator_of_a_library_with_a_runtime_of_its_own_is_not(tmp_path: Path, booster: type) -> None:
    joblib.dump(booster(), tmp_path / "model.joblib")
    assert recognised(tmp_path) is False


def test_a_pipeline_around_such_an_estimator_is(tmp_path: Path, booster: type) -> None:
    joblib.dump(make_pipeline(StandardScaler(), booster()), tmp_path / "model.joblib")
    assert recognised(tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"not": "a model"}', pickle.dumps({"a": 1}), b"PK\x03\x04"])
def test_other_files_are_left_to_those_who_know_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    assert recognised(tmp_path) is None


def test_neither_no_file_nor_two_are(tmp_path: Path) -> None:
    assert not recognised(tmp_path)
    joblib.dump(estimators.classifier(), tmp_path / "a.joblib")
    joblib.dump(estimators.classifier(), tmp_path / "b.joblib")
    assert not recognised(tmp_path)


def test_the_look_imports_no_library(tmp_path: Path) -> None:
    joblib.dump(estimators.classifier(), tmp_path / "model.joblib")
    code = (
        "import json, pathlib, sys; from fairlead import Artifact; from fairlead_runtime_sklearn import recognition;"
        "path = pathlib.Path(sys.argv[1]); found = recognition.recognises(Artifact(path=path, uri='x'));"
        "print(json.dumps([found, *sys.modules]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    found, *modules = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found
    assert {"sklearn", "joblib", "numpy"}.isdisjoint(modules)
