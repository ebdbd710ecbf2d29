"""Models that another runtime loads, where its wheel is installed; answers are those of MLflow all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.models import infer_signature

from fairlead import Artifact, Capability, LoadSettings
from fairlead.testing.server import running_server
from fairlead_runtime_mlflow.runtime import MlflowRuntime
from fairlead_runtime_mlflow_tests import models

_LABELS = [0, 1, 0, 1]
_FLAVORS = ["catboost", "lightgbm", "onnx", "xgboost"]


def save(flavor: str, folder: Path) -> np.ndarray[Any, Any]:
    """Save a model of a flavour; returns rows that it takes."""
    given: dict[str, Any] = {"signature": infer_signature(models.TABLE), "pip_requirements": models.PINS}
    rows = models.TABLE.to_numpy()
    if flavor == "xgboost":
        import xgboost

        booster = xgboost.train({}, xgboost.DMatrix(models.TABLE, _LABELS), 2)
        mlflow.xgboost.save_model(booster, folder, **given)
    elif flavor == "lightgbm":
        import lightgbm

        data = lightgbm.Dataset(models.TABLE, _LABELS, params={"min_data_in_leaf": 1, "min_data_in_bin": 1})
        mlflow.lightgbm.save_model(lightgbm.train({"verbose": -1, "min_data_in_leaf": 1}, data, 2), folder, **given)
    elif flavor == "catboost":
        import catboost

        model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False)
        mlflow.catboost.save_model(model.fit(models.TABLE, _LABELS), folder, **given)
    else:
        from skl2onnx import to_onnx

        rows = rows.astype(np.float32)
        converted = to_onnx(models.regression(), rows[:1])
        mlflow.onnx.save_model(converted, folder, **{**given, "signature": infer_signature({"X": rows})})
    return rows


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter
@pytest.mark.parametrize("flavor", _FLAVORS)
def test_the_runtime_of_the_framework_answers_as_mlflow_does(tmp_path: Path, flavor: str) -> None:
    for needed in (f"fairlead_runtime_{flavor}", "skl2onnx" if flavor == "onnx" else flavor):
        pytest.importorskip(needed)
    rows = save(flavor, tmp_path / "model")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    expected = loaded.predict({"X": rows})["variable"] if flavor == "onnx" else loaded.predict(models.TABLE)
    with running_server({"m": tmp_path / "model"}) as server:
        found = server.client.post("/v1/models/m:predict", json={"instances": rows.tolist()}).json()["predictions"]
        properties = server.client.get("/v2/models/m").json()["properties"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert properties["loaded_by"] == f"the runtime {flavor}"


def test_without_the_other_runtime_mlflow_loads_the_model(tmp_path: Path) -> None:
    folder = models.save_sklearn(tmp_path / "model", models.classifier())
    settings = LoadSettings(model_name="m")
    assert not settings.delegates
    model = MlflowRuntime().load(Artifact(path=folder, uri="x"), settings)
    assert model.metadata.properties["loaded_by"] == "mlflow"
    assert model.native.predict(models.TABLE).tolist() == [0, 0, 1, 1]


def test_explainers_reach_the_estimator_of_a_model_that_was_handed_over(tmp_path: Path) -> None:
    folder = models.save_sklearn(tmp_path / "model", models.classifier())
    with running_server({"m": folder}) as server:
        serving = server.engine.registry.get("m").serving
        assert serving is not None
        assert serving.model.native.predict(models.TABLE.to_numpy()).tolist() == [0, 0, 1, 1]
        assert serving.model.metadata.supports(Capability.BATCHING)
