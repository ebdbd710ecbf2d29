"""`fairlead serve` as the transformer of an InferenceService: a Python file in front of a scikit-learn predictor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, isvc, platform
from integration.servers import pulse

PULSE = {"serving.kserve.io/autoscalerClass": "pulse"}
TRANSFORMER = """
import numpy as np
from fairlead import CustomModel


class Doubled(CustomModel):
    def preprocess(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.float64)

    def postprocess(self, y: np.ndarray) -> np.ndarray:
        return y * 2
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with platform(folder / "manifests", environ=pulse(folder / "site")) as made:
        yield made


def service(name: str, folder: Path, value: float, *arguments: str, at_zero: bool = False, **predictor: Any) -> str:
    """The manifest of a predictor that answers with a value, and of a transformer that doubles it."""
    file = folder / "transformer.py"
    file.write_text(TRANSFORMER)
    least = {"minReplicas": 0} if at_zero else {}
    model = constant(folder / str(value), value)
    manifest = json.loads(isvc(name, model, annotations=PULSE if at_zero else {}, **predictor, **least))
    command = [str(Path(sys.executable).with_name("fairlead")), "serve", str(file)]
    container = {"name": "kserve-container", "image": "none", "command": command, "args": list(arguments)}
    manifest["spec"]["transformer"] = {"containers": [container], **least}
    return json.dumps(manifest)


def infer_v2(running: Platform, name: str) -> Any:
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}
    url = f"{running.url}/serving/default/{name}/v2/models/{name}/infer"
    return httpx.post(url, json={"inputs": [tensor]}, trust_env=False, timeout=60).json()["outputs"][0]["data"]


def infer_grpc(running: Platform, name: str) -> Any:
    tensor = triton.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 1), np.float32))
    options = [("grpc.default_authority", f"{name}-default.localhost")]
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}", channel_args=options) as client:
        return client.infer(name, [tensor], client_timeout=60).as_numpy("output-0").tolist()


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc-v2"])
def test_every_protocol_in_goes_with_every_protocol_to_the_predictor(
    running: Platform, tmp_path: Path, protocol: str
) -> None:
    name = f"by-{protocol}"
    running.declare(service(name, tmp_path, 3.0, "--predictor_protocol", protocol), f"{name}.yaml")
    running.wait_ready(name)
    assert running.ask(name).json() == {"predictions": [6.0]}
    assert infer_v2(running, name) == [6.0]
    assert infer_grpc(running, name) == [6.0]


def test_a_canary_of_the_predictor_is_behind_the_transformer(running: Platform, tmp_path: Path) -> None:
    running.declare(service("halves", tmp_path, 1.0), "halves.yaml")
    running.wait_ready("halves")
    running.declare(service("halves", tmp_path, 2.0, canaryTrafficPercent=50), "halves.yaml")
    eventually(lambda: len(running.status("halves")["components"]["predictor"].get("traffic", [])) == 2)
    seen: set[float] = set()

    def both() -> bool:
        seen.add(running.ask("halves").json()["predictions"][0])
        return seen == {2.0, 4.0}

    eventually(both)


def test_a_predictor_that_is_gone_is_told_to_the_client(running: Platform, tmp_path: Path) -> None:
    running.declare(service("lonely", tmp_path, 1.0, "--predictor_host", "127.0.0.1:1"), "lonely.yaml")
    running.wait_ready("lonely")
    answer = running.ask("lonely")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "The predictor at 127.0.0.1:1 cannot be reached" in answer.json()["error"]


def test_one_request_wakes_a_transformer_and_its_predictor(running: Platform, tmp_path: Path) -> None:
    running.declare(service("sleepers", tmp_path, 5.0, at_zero=True), "sleepers.yaml")
    eventually(lambda: running.is_ready("sleepers") and running.replicas("sleepers") == [])
    assert running.ask("sleepers").json() == {"predictions": [10.0]}
    eventually(lambda: running.replicas("sleepers") == [])
    assert infer_grpc(running, "sleepers") == [10.0]
