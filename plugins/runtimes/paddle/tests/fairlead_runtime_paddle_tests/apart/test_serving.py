"""Programs served and asked over every protocol; answers are those of ``paddle.inference``."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from fairlead.testing.server import RunningServer, running_server
from fairlead_runtime_paddle_tests.apart import programs as made
from fairlead_runtime_paddle_tests.apart.programs import ROWS

_INDEX = np.array([[1], [2], [3]])


@pytest.fixture(scope="module")
def server(programs: Path) -> Iterator[RunningServer]:
    with running_server({each.name: each for each in programs.iterdir()}, grpc=True) as server:
        yield server


@pytest.mark.parametrize("form", ["json", "old"])
def test_answers_are_those_of_paddlepaddle_over_every_protocol(
    server: RunningServer, programs: Path, form: str
) -> None:
    (expected,) = made.answer(programs / form, ROWS)
    response = server.client.post(f"/v1/models/{form}:predict", json={"instances": ROWS.tolist()})
    np.testing.assert_allclose(response.json()["predictions"], expected, rtol=1e-5)
    for found in _asked(server, form, [("x", ROWS)]):
        assert list(found) == ["output-0"]
        np.testing.assert_allclose(found["output-0"], expected, rtol=1e-5)


def test_several_inputs_and_outputs_go_by_their_names(server: RunningServer, programs: Path) -> None:
    expected = made.answer(programs / "two", ROWS, _INDEX)
    metadata = server.client.get("/v2/models/two").json()
    names = [each["name"] for each in metadata["outputs"]]
    assert {each["name"]: each["datatype"] for each in metadata["inputs"]} == {"numbers": "FP32", "index": "INT64"}
    assert len(names) == len(expected)
    for found in _asked(server, "two", [("index", _INDEX), ("numbers", ROWS)]):
        for name, array in zip(names, expected, strict=True):
            np.testing.assert_allclose(found[name], array, rtol=1e-5)


def _asked(server: RunningServer, model: str, inputs: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """What a model answers over V2 JSON, V2 binary and gRPC."""
    assert server.grpc_address is not None
    kinds = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}
    found = []
    for binary in (False, True):
        asked = [tritonclient.http.InferInput(name, array.shape, kinds[array.dtype]) for name, array in inputs]
        for tensor, (_, array) in zip(asked, inputs, strict=True):
            tensor.set_data_from_numpy(array, binary_data=binary)
        with tritonclient.http.InferenceServerClient(server.url.removeprefix("http://")) as client:
            result = client.infer(model, asked)
            found.append({each["name"]: result.as_numpy(each["name"]) for each in result.get_response()["outputs"]})
    asked = [tritonclient.grpc.InferInput(name, array.shape, kinds[array.dtype]) for name, array in inputs]
    for tensor, (_, array) in zip(asked, inputs, strict=True):
        tensor.set_data_from_numpy(array)
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        result = client.infer(model, asked)
        found.append({each.name: result.as_numpy(each.name) for each in result.get_response().outputs})
    return found


def test_metadata_is_what_the_program_declares(server: RunningServer) -> None:
    for form in ("json", "old"):
        metadata = server.client.get(f"/v2/models/{form}").json()
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
        assert metadata["outputs"] == [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}]
        assert metadata["properties"] == {"device": "cpu"}


def test_integers_in_json_become_the_floats_that_the_program_takes(server: RunningServer) -> None:
    whole = server.client.post("/v1/models/json:predict", json={"instances": [[1, 2, 3, 4]]})
    floats = server.client.post("/v1/models/json:predict", json={"instances": [[1.0, 2.0, 3.0, 4.0]]})
    assert whole.json() == floats.json()


def test_dimensions_of_any_length_take_any(server: RunningServer) -> None:
    for side in (2, 5):
        image = np.ones((1, 3, side, side), np.float32)
        for found in _asked(server, "image", [("image", image)]):
            np.testing.assert_allclose(found["output-0"], [[2.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"shape": [1, 5], "datatype": "FP32", "data": [0.0] * 5}, "shape"),
        ({"shape": [4], "datatype": "FP32", "data": [0.0] * 4}, "shape"),
        ({"shape": [1, 4], "datatype": "BYTES", "data": ["a"] * 4}, "BYTES"),
        ({"shape": [1, 4], "datatype": "FP64", "data": [1e300] * 4}, "too large"),
    ],
)
def test_a_wrong_tensor_is_the_clients_fault_and_the_next_request_is_answered(
    server: RunningServer, programs: Path, tensor: dict[str, Any], said: str
) -> None:
    response = server.client.post("/v2/models/json/infer", json={"inputs": [{"name": "x", **tensor}]})
    assert response.status_code == 400
    assert said in response.json()["error"]
    (expected,) = made.answer(programs / "json", ROWS)
    after = server.client.post("/v1/models/json:predict", json={"instances": ROWS.tolist()}).json()["predictions"]
    np.testing.assert_allclose(after, expected, rtol=1e-5)


def test_nan_and_an_empty_batch_are_answered(server: RunningServer) -> None:
    nothing = {"name": "x", "shape": [0, 4], "datatype": "FP32", "data": []}
    response = server.client.post("/v2/models/json/infer", json={"inputs": [nothing]})
    assert response.json()["outputs"][0]["shape"] == [0, 3]
    rows = np.full((1, 4), np.nan, np.float32)
    for found in _asked(server, "json", [("x", rows)])[1:]:
        assert np.isnan(found["output-0"]).all()


def test_a_server_still_ends_in_order_when_it_is_told_to(programs: Path) -> None:
    command = [sys.executable, "-m", "fairlead", "serve", str(programs / "json"), "--name", "m"]
    ports = ["--http_port", "0", "--grpc_port", "0"]
    process = subprocess.Popen([*command, *ports], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("ready on http" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "FatalError" not in said
