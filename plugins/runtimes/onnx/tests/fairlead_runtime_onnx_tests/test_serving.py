"""A real server answers over every protocol as onnxruntime itself does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper

from fairlead.testing.server import RunningServer, running_server
from fairlead_runtime_onnx_tests import graphs

ROWS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
FEEDS: dict[str, dict[str, Any]] = {
    "doubling": {"x": ROWS},
    "affine": {"a": np.arange(9, dtype=np.float32).reshape(3, 3), "b": ROWS},
    "text": {"x": np.array(["one", "zwölf"], dtype=object)},
    "weights": {"x": ROWS},
    "forest": {"X": graphs.IRIS},
    "labels": {"X": graphs.IRIS},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("models")
    graphs.saved(root / "doubling", graphs.doubling())
    graphs.saved(root / "affine", graphs.affine())
    graphs.saved(root / "text", graphs.identity(TensorProto.STRING))
    graphs.weights(graphs.saved(root / "weights", graphs.with_external("weights.bin")) / "weights.bin")
    graphs.saved(root / "forest", graphs.forest())
    graphs.saved(root / "labels", graphs.forest(labels=("setosa", "versicolor", "virginica")))
    return {name: root / name for name in FEEDS}


@pytest.fixture(scope="module")
def server(folders: Mapping[str, Path]) -> Iterator[RunningServer]:
    with running_server(folders, grpc=True) as running:
        yield running


def expected(folder: Path, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """onnxruntime's own answer; maps as arrays, and text as text."""
    return {
        name: np.array([list(row.values()) for row in value], np.float32) if type(value) is list else value
        for name, value in graphs.own_answer(folder, feeds).items()
    }


def _assert_equal(answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert answer.keys() == wanted.keys()
    for name, array in answer.items():
        got = [x.decode() for x in array.ravel()] if array.dtype.kind in "OS" else array.ravel().tolist()
        assert got == wanted[name].ravel().tolist()
        assert array.shape == wanted[name].shape


@pytest.mark.parametrize("name", [name for name, feeds in FEEDS.items() if len(feeds) == 1])
def test_v1(server: RunningServer, folders: Mapping[str, Path], name: str) -> None:
    feeds = FEEDS[name]
    (only,) = feeds.values()
    answer = server.client.post(f"/v1/models/{name}:predict", json={"instances": only.tolist()})
    wanted = expected(folders[name], feeds)
    predictions = answer.json()["predictions"]
    if len(wanted) == 1:
        (column,) = wanted.values()
        assert predictions == column.tolist()
    else:
        columns = [value.tolist() for value in wanted.values()]
        assert predictions == [dict(zip(wanted, row, strict=True)) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("name", FEEDS)
def test_v2(server: RunningServer, folders: Mapping[str, Path], name: str, binary: bool) -> None:
    client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))
    inputs = []
    wanted = expected(folders[name], FEEDS[name])
    for key, array in FEEDS[name].items():
        datatype = "BYTES" if array.dtype.kind == "O" else "FP32"
        tensor = tritonclient.http.InferInput(key, array.shape, datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    outputs = [tritonclient.http.InferRequestedOutput(key, binary_data=binary) for key in wanted]
    answer = client.infer(name, inputs, outputs=outputs)
    client.close()
    _assert_equal({key: _as_bytes(answer.as_numpy(key)) for key in wanted}, wanted)


@pytest.mark.parametrize("name", FEEDS)
def test_grpc(server: RunningServer, folders: Mapping[str, Path], name: str) -> None:
    wanted = expected(folders[name], FEEDS[name])
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        inputs = []
        for key, array in FEEDS[name].items():
            tensor = tritonclient.grpc.InferInput(key, array.shape, "BYTES" if array.dtype.kind == "O" else "FP32")
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        answer = client.infer(name, inputs)
        _assert_equal({key: answer.as_numpy(key) for key in wanted}, wanted)


def _as_bytes(array: Any) -> Any:
    """Text of JSON as the bytes that the other encodings have."""
    if array.dtype.kind in "OSU" and array.size and isinstance(array.ravel()[0], str):
        return np.array([each.encode() for each in array.ravel()], dtype=object).reshape(array.shape)
    return array


def test_several_inputs_are_records_of_scalars_in_v1(tmp_path: Path) -> None:
    made = graphs.model(
        [graphs.value("a", [None]), graphs.value("b", [None])],
        [graphs.value("y", [None])],
        [helper.make_node("Add", ["a", "b"], ["y"])],
    )
    with running_server({"add": graphs.saved(tmp_path / "add", made)}) as running:
        body = {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
        assert running.client.post("/v1/models/add:predict", json=body).json() == {"predictions": [3.0, 7.0]}


def test_metadata_says_what_the_graph_declares(server: RunningServer) -> None:
    found = server.client.get("/v2/models/affine").json()
    assert found["platform"] == "onnx_onnxv1"
    assert found["inputs"] == [
        {"name": "a", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "b", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert found["outputs"] == [
        {"name": "sum", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "most", "datatype": "INT64", "shape": [-1]},
    ]
    assert found["properties"]["device"] == "cpu"


def test_bad_input_is_refused_and_the_server_lives(server: RunningServer) -> None:
    def infer(*inputs: dict[str, Any]) -> Any:
        return server.client.post("/v2/models/affine/infer", json={"inputs": list(inputs)})

    a = {"name": "a", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    b = {"name": "b", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    for bad in ([a], [a, b, {**b, "name": "c"}], [a, {**b, "shape": [2]}], [{**a, "datatype": "BYTES"}, b]):
        answer = infer(*bad)
        assert answer.status_code == 400, answer.text
    assert infer(a, b).status_code == 200


def test_requests_of_many_clients_are_answered_each_with_its_own(server: RunningServer) -> None:
    def ask(number: int) -> Any:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [number, -number]}]}
        return server.client.post("/v2/models/doubling/infer", json=body).json()["outputs"][0]["data"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(64))) == [[2 * number, -2 * number] for number in range(64)]
