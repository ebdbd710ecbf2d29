"""A model with numpy 2 and an explainer with numpy 1, side by side: the platform gives each its own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from fairlead_tests import packages
from fairlead_tests.waiting import eventually
from integration.platforms import Platform, isvc, platform
from integration.processes import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 300.0  # a fresh machine downloads what the explainer needs
HEADER = "sepal length,sepal width,petal length,petal width"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with one service, whose explainer is Alibi's."""
    if not packages.index_has("hatchling", "alibi==0.9.4", "spacy==3.7.5"):
        pytest.skip("the package index does not answer, or has not what the explainer needs")
    folder = tmp_path_factory.mktemp("alibi")
    flowers = load_iris()
    (folder / "iris").mkdir()
    forest = RandomForestClassifier(10, random_state=0).fit(flowers.data, flowers.target)
    joblib.dump(forest, folder / "iris" / "model.joblib")
    np.savetxt(folder / "rows.csv", flowers.data, delimiter=",", header=HEADER, comments="", fmt="%g")
    manifest = json.loads(isvc("iris", folder / "iris"))
    arguments = ["--explainer", "alibi", "--explainer-dir", str(folder / "rows.csv")]
    container = {"name": "kserve-container", "image": "none", "command": ["fairlead", "serve"], "args": arguments}
    manifest["spec"]["explainer"] = {"containers": [container]}
    environ = {"FAIRLEAD_CACHE": str(folder / "cache")}
    with platform(folder / "manifests", environ=environ) as made:
        made.declare(json.dumps(manifest))
        making = "An environment with alibi==0.9.4"
        eventually(lambda: making in made.condition("iris", "ExplainerReady").get("message", ""))
        eventually(lambda: made.is_ready("iris") or made.process.poll() is not None, PATIENCE)
        assert made.is_ready("iris"), made.condition("iris", "ExplainerReady")
        yield made


def explain(running: Platform, body: Any) -> httpx.Response:
    url = f"{running.url}/serving/default/iris/v1/models/iris:explain"
    return httpx.post(url, json=body, trust_env=False, timeout=60)


def numpy_of(replica: dict[str, Any]) -> str:
    """The version of numpy in the environment of a replica."""
    python = Path(f"/proc/{replica['pid']}/cmdline").read_bytes().split(b"\0")[0].decode()
    shown = "import importlib.metadata; print(importlib.metadata.version('numpy'))"
    return subprocess.run([python, "-c", shown], capture_output=True, text=True, check=True).stdout.strip()


def test_model_and_explainer_have_numpy_of_their_own(running: Platform) -> None:
    found = {each["component"]: numpy_of(each) for each in running.replicas("iris")}
    assert found["predictor"].startswith("2.")
    assert found["explainer"].startswith("1.")


def test_explain_answers_the_anchor_of_the_models_prediction(running: Platform) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]
    predicted = running.ask("iris", {"instances": rows}).json()["predictions"]
    answer = explain(running, {"instances": rows})
    assert answer.status_code == 200, answer.text
    explanations = answer.json()["explanations"]
    assert [each["data"]["raw"]["prediction"] for each in explanations] == [[label] for label in predicted]
    for each in explanations:
        assert each["data"]["anchor"]
        assert each["data"]["precision"] >= 0.9
        assert any(name in each["data"]["anchor"][0] for name in HEADER.split(","))
    assert explain(running, {"instances": rows}).json() == answer.json()


def test_a_request_that_cannot_be_explained_is_the_clients_fault(running: Platform) -> None:
    answer = explain(running, {"instances": [[1.0, 2.0]]})
    assert answer.status_code == 400
    assert "Expected rows of 4 features" in answer.text


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc-v2"])
def test_without_a_platform_the_explainer_goes_on_in_the_same_environment(running: Platform, protocol: str) -> None:
    folder = running.folder.parent
    cache = {"FAIRLEAD_CACHE": running.environ["FAIRLEAD_CACHE"]}
    with served(folder / "iris", ["--name", "iris"]) as predictor:
        asked = predictor.grpc_address if protocol == "grpc-v2" else f"127.0.0.1:{predictor.port}"
        arguments = ["--explainer", "alibi", "--explainer-dir", str(folder / "rows.csv"), "--name", "iris"]
        arguments += ["--predictor_host", asked, "--predictor_protocol", protocol]
        with served(None, arguments, cache) as explainer:
            answer = explainer.client.post("/v1/models/iris:explain", json={"instances": [[5.1, 3.5, 1.4, 0.2]]})
            assert answer.status_code == 200, answer.text
            (found,) = answer.json()["explanations"]
            assert found["data"]["raw"]["prediction"] == [0]
            assert "Making an environment" not in "".join(explainer.lines)
            data = {"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
            other = explainer.client.post("/v2/models/iris/explain", json={"inputs": [data]}).json()
            assert json.loads(other["outputs"][0]["data"][0]) == [found]
