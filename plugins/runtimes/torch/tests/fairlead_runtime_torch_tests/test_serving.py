"""A model of every form is served over every protocol, and answers as the library does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from fairlead.testing import RunningServer, running_server
from fairlead_runtime_torch_tests import modules

ANSWER = modules.expected().numpy()
NAMES = ("exported", "scripted", "weights")


@pytest.fixture(scope="module")
def running(exported: Path, scripted: Path, weights: Path) -> Iterator[RunningServer]:
    with running_server({"exported": exported, "scripted": scripted, "weights": weights}, grpc=True) as server:
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_v1_answers_as_the_library_does(running: RunningServer, name: str) -> None:
    answer = running.client.post(f"/v1/models/{name}:predict", json={"instances": modules.ROWS.tolist()})
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(answer.json()["predictions"], ANSWER, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_v2_json_answers_as_the_library_does(running: RunningServer, name: str) -> None:
    sent = {"name": "x", "datatype": "FP32", "shape": [3, 4], "data": modules.ROWS.ravel().tolist()}
    answer = running.client.post(f"/v2/models/{name}/infer", json={"inputs": [sent]})
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("output-0", "FP32", [3, 3])
    np.testing.assert_allclose(np.reshape(output["data"], (3, 3)), ANSWER, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("library", [tritonclient.http, tritonclient.grpc], ids=["binary", "grpc"])
def test_v2_binary_and_grpc_answer_as_the_library_does(running: RunningServer, name: str, library: Any) -> None:
    address = running.grpc_address if library is tritonclient.grpc else running.url.removeprefix("http://")
    client = library.InferenceServerClient(address)
    sent = library.InferInput("x", [3, 4], "FP32")
    sent.set_data_from_numpy(modules.ROWS)
    try:
        np.testing.assert_allclose(client.infer(name, [sent]).as_numpy("output-0"), ANSWER, rtol=1e-6)
    finally:
        client.close()


def test_the_metadata_tells_inputs_outputs_and_the_device(running: RunningServer) -> None:
    found = running.client.get("/v2/models/exported").json()
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}]
    assert found["properties"]["device"] in ("cpu", "cuda:0")


@pytest.mark.parametrize(
    "rows", [[[1.0, 2.0]], [1.0, 2.0, 3.0, 4.0], [["a", "b", "c", "d"]]], ids=["width", "rank", "text"]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_request_is_the_clients_fault_and_the_server_lives(
    running: RunningServer, name: str, rows: list[Any]
) -> None:
    answer = running.client.post(f"/v1/models/{name}:predict", json={"instances": rows})
    if name == "scripted" and rows == [1.0, 2.0, 3.0, 4.0]:
        assert answer.status_code == 200  # a linear layer takes one row without its axis
    else:
        assert answer.status_code == 400, answer.text
    test_v1_answers_as_the_library_does(running, name)
