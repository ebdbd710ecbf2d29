"""Explainer plugins on the platform: beside the model in the predictor, and as the explainer of an InferenceService."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, isvc, platform

SERVE = [str(Path(sys.executable).with_name("fairlead")), "serve"]
WEIGHTS = np.array([2.0, -3.0, 0.5])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("platform") / "manifests") as made:
        yield made


def linear(folder: Path) -> Path:
    """A model of which SHAP values are known: the weight times the distance from the mean of the reference data."""
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(20, 3))
    joblib.dump(LinearRegression().fit(rows, rows @ WEIGHTS + 1), folder / "model.joblib")
    return folder


def reference(folder: Path) -> Path:
    """Reference data whose mean is zero."""
    rows = np.vstack([np.eye(3), -np.eye(3)])
    np.save(folder / "reference.npy", rows)
    return folder / "reference.npy"


def explain(running: Platform, name: str, path: str, body: Any) -> httpx.Response:
    url = f"{running.url}/serving/default/{name}/{path}"
    return httpx.post(url, json=body, trust_env=False, timeout=60)


def check(running: Platform, name: str) -> None:
    """Both protocols explain through the gateway, and predictions are those of the model."""
    row = [1.0, 2.0, 3.0]
    one = explain(running, name, f"v1/models/{name}:explain", {"instances": [row]}).json()
    np.testing.assert_allclose(one["explanations"][0]["shap_values"], WEIGHTS * row, atol=1e-6)
    tensor = {"name": "input-0", "shape": [1, 3], "datatype": "FP64", "data": row}
    outputs = explain(running, name, f"v2/models/{name}/explain", {"inputs": [tensor]}).json()["outputs"]
    np.testing.assert_allclose(outputs[0]["data"], WEIGHTS * row, atol=1e-6)
    assert running.ask(name, {"instances": [row]}).json()["predictions"] == pytest.approx([WEIGHTS @ row + 1])


def test_an_explainer_beside_the_model_is_asked_by_way_of_the_predictor(running: Platform, tmp_path: Path) -> None:
    manifest = json.loads(isvc("beside", linear(tmp_path / "model")))
    manifest["spec"]["predictor"]["model"]["args"] = [
        "--explainer=shap",
        f"--explainer-dir=file://{reference(tmp_path)}",
    ]
    running.declare(json.dumps(manifest), "beside.yaml")
    running.wait_ready("beside")
    check(running, "beside")


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_an_explainer_of_the_service_asks_its_predictor(running: Platform, tmp_path: Path, protocol: str) -> None:
    name = f"apart-{protocol}"
    manifest = json.loads(isvc(name, linear(tmp_path / "model")))
    arguments = [f"--explainer-dir=file://{reference(tmp_path)}", f"--predictor_protocol={protocol}"]
    container = {
        "name": "kserve-container",
        "image": "none",
        "command": SERVE,
        "args": ["--explainer=shap", *arguments],
    }
    manifest["spec"]["explainer"] = {"containers": [container]}
    running.declare(json.dumps(manifest), f"{name}.yaml")
    running.wait_ready(name)
    assert running.condition(name, "ExplainerReady")["status"] == "True"
    check(running, name)


def test_an_explainer_that_does_not_load_keeps_the_service_from_ready(running: Platform, tmp_path: Path) -> None:
    manifest = json.loads(isvc("without-data", linear(tmp_path / "model")))
    container = {"name": "kserve-container", "image": "none", "command": SERVE, "args": ["--explainer=shap"]}
    manifest["spec"]["explainer"] = {"containers": [container]}
    running.declare(json.dumps(manifest), "without-data.yaml")
    eventually(lambda: running.condition("without-data", "PredictorReady").get("status") == "True")
    eventually(lambda: running.condition("without-data", "ExplainerReady").get("status") == "False")
    assert not running.is_ready("without-data")
    told = json.dumps(running.view("without-data"))
    assert "there is none" in told
    assert "--explainer-dir" in told
    assert running.ask("without-data", {"instances": [[0.0, 0.0, 0.0]]}).status_code == 200
