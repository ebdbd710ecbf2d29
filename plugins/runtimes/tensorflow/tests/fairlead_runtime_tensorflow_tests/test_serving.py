"""A real server answers over every protocol as TensorFlow and Keras themselves do."""

from __future__ import annotations

import base64
import concurrent.futures
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tritonclient.grpc
import tritonclient.http

from fairlead import errors
from fairlead.testing.server import RunningServer, running_server
from fairlead_runtime_tensorflow_tests import models

TEXTS = np.array([b"one", "zwölf".encode(), b""], dtype=object)
WORDS = np.array([b"dog", b"cow"], dtype=object)
FEEDS: Mapping[str, Mapping[str, Any]] = {
    "affine": {"x": models.ROWS, "offset": models.OFFSETS},
    "versions": {"x": models.ROWS, "offset": models.OFFSETS},
    "sequential": {"features": models.ROWS},
    "named": {"numbers": models.ROWS, "word": WORDS},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    models.affine(root / "affine")
    models.affine(root / "versions" / "12")
    models.lengths(root / "versions" / "9")
    models.lengths(root / "lengths")
    models.mean_of_image(root / "image")
    models.sequential(root / "sequential.keras")
    models.named(root / "named.keras")
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[RunningServer]:
    with running_server({path.stem: path for path in root.iterdir()}, grpc=True) as running:
        yield running


@pytest.fixture(scope="module")
def expected(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """The answers of the libraries themselves."""

    def signature(name: str) -> dict[str, Any]:
        called = tf.saved_model.load(str(root / name)).signatures["serving_default"]
        feeds = FEEDS["affine"]
        return {key: each.numpy() for key, each in called(**{k: tf.constant(v) for k, v in feeds.items()}).items()}

    named = keras.saving.load_model(root / "named.keras")(
        {"numbers": tf.constant(models.ROWS), "word": tf.constant(WORDS)}
    )
    return {
        "affine": signature("affine"),
        "versions": signature("versions/12"),
        "sequential": {"scores": keras.saving.load_model(root / "sequential.keras").predict(models.ROWS, verbose=0)},
        "named": {key: each.numpy() for key, each in named.items()},
    }


def v1(server: RunningServer, model: str, body: Any, status: int = 200) -> Any:
    answer = server.client.post(f"/v1/models/{model}:predict", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def plain(array: Any) -> Any:
    return [each.decode() for each in array] if array.dtype.kind == "O" else array.tolist()


def assert_equal(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(np.asarray(found[name]), array, rtol=1e-6)


@pytest.mark.parametrize("name", FEEDS)
def test_v1_in_rows(server: RunningServer, expected: Mapping[str, Mapping[str, Any]], name: str) -> None:
    feeds = {key: plain(value) for key, value in FEEDS[name].items()}
    rows = [dict(zip(feeds, values, strict=True)) for values in zip(*feeds.values(), strict=True)]
    predictions = v1(server, name, {"instances": rows})["predictions"]
    if len(expected[name]) == 1:
        assert_equal(dict.fromkeys(expected[name], predictions), expected[name])
    else:
        assert_equal({key: [row[key] for row in predictions] for key in expected[name]}, expected[name])


@pytest.mark.parametrize("name", FEEDS)
def test_v1_in_columns(server: RunningServer, expected: Mapping[str, Mapping[str, Any]], name: str) -> None:
    outputs = v1(server, name, {"inputs": {key: plain(value) for key, value in FEEDS[name].items()}})["outputs"]
    assert_equal(outputs if len(expected[name]) > 1 else dict.fromkeys(expected[name], outputs), expected[name])


def triton_inputs(module: Any, feeds: Mapping[str, Any], **more: Any) -> list[Any]:
    inputs = []
    for key, array in feeds.items():
        datatype = "BYTES" if array.dtype.kind == "O" else "FP32"
        inputs.append(module.InferInput(key, array.shape, datatype))
        inputs[-1].set_data_from_numpy(array, **more)
    return inputs


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("name", FEEDS)
def test_v2(server: RunningServer, expected: Mapping[str, Mapping[str, Any]], name: str, binary: bool) -> None:
    client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))
    outputs = [tritonclient.http.InferRequestedOutput(key, binary_data=binary) for key in expected[name]]
    inputs = triton_inputs(tritonclient.http, FEEDS[name], binary_data=binary)
    answer = client.infer(name, inputs, outputs=outputs)
    assert_equal({key: answer.as_numpy(key) for key in expected[name]}, expected[name])
    client.close()


@pytest.mark.parametrize("name", FEEDS)
def test_grpc(server: RunningServer, expected: Mapping[str, Mapping[str, Any]], name: str) -> None:
    assert server.grpc_address is not None
    client = tritonclient.grpc.InferenceServerClient(server.grpc_address)
    answer = client.infer(name, triton_inputs(tritonclient.grpc, FEEDS[name]))
    assert_equal({key: answer.as_numpy(key) for key in expected[name]}, expected[name])
    client.close()


def test_metadata_are_the_usual_signature(server: RunningServer) -> None:
    metadata = server.client.get("/v2/models/versions").json()
    assert metadata["platform"] == "tensorflow"
    assert metadata["inputs"] == [
        {"name": "offset", "datatype": "FP32", "shape": [-1]},
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
    ]
    assert metadata["properties"].pop("device") in ("cpu", "cuda:0")
    assert metadata["properties"] == {
        "signature": "serving_default",
        "signatures": "double, serving_default",
        "version": "12",
    }


def test_a_request_names_its_signature(server: RunningServer) -> None:
    rows = models.ROWS.tolist()
    assert v1(server, "affine", {"signature_name": "double", "instances": rows}) == {
        "predictions": (2 * models.ROWS).tolist()
    }
    tensor = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": rows}
    answer = server.client.post(
        "/v2/models/affine/infer", json={"inputs": [tensor], "parameters": {"signature_name": "double"}}
    )
    assert answer.json()["outputs"][0]["name"] == "doubled"
    wrong = v1(server, "affine", {"signature_name": "treble", "instances": rows}, 400)
    assert wrong["error"] == "The model has no signature 'treble'; it has 'double', 'serving_default'."
    number = {"inputs": [tensor], "parameters": {"signature_name": 3}}
    assert server.client.post("/v2/models/affine/infer", json=number).status_code == 400


def test_requests_of_different_signatures_are_never_joined(server: RunningServer) -> None:
    def asked(place: int) -> bool:
        row = [float(place), 1.0, 2.0]
        if place % 2:
            body: dict[str, Any] = {"signature_name": "double", "instances": [row]}
            return bool(v1(server, "affine", body)["predictions"] == [[2 * each for each in row]])
        answer = v1(server, "affine", {"instances": [{"x": row, "offset": 0.0}]})["predictions"][0]
        return bool(answer["y"] == [place + 13.0, 2 * place + 16.0])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(asked, range(200)))


def test_strings_are_text_or_binary_data_and_come_back_as_their_name_says(server: RunningServer) -> None:
    blobs = [{"b64": base64.b64encode(text).decode()} for text in TEXTS]
    assert v1(server, "lengths", {"instances": [blobs[0], "zwölf", ""]})["predictions"] == [
        {"length": len(text), "text_bytes": blob} for text, blob in zip(TEXTS, blobs, strict=True)
    ]
    assert v1(server, "lengths", {"inputs": blobs})["outputs"] == {"length": [3, 6, 0], "text_bytes": blobs}
    assert v1(server, "lengths", {"instances": [{"text": {"b64": "/wA="}}]})["predictions"] == [
        {"length": 2, "text_bytes": {"b64": "/wA="}}
    ]


def test_an_encoded_image_is_a_string_and_what_is_none_is_the_clients_fault(server: RunningServer) -> None:
    png = tf.io.encode_png(np.full((2, 2, 3), 7, np.uint8)).numpy()
    image = {"image_bytes": {"b64": base64.b64encode(png).decode()}}
    assert v1(server, "image", {"instances": [image, image]}) == {"predictions": [7.0, 7.0]}
    error = v1(server, "image", {"instances": ["no image"]}, 400)["error"]
    assert "image" in error
    assert "node" not in error
    assert "Op:" not in error
    assert v1(server, "image", {"instances": [image]}) == {"predictions": [7.0]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"x": [1, 2, 3]}]}, "lacks 'offset'"),
        ({"instances": [{"x": [1, 2, 3], "offset": 0, "z": 1}]}, "does not know: 'z'"),
        ({"instances": [{"x": [1, 2], "offset": 0}]}, r"shape \[1, 2\]; expected 'x' FP32 \[-1, 3\]"),
        ({"instances": [{"x": [[1, 2, 3]], "offset": 0}]}, r"shape \[1, 1, 3\]"),
        ({"instances": [{"x": ["a", "b", "c"], "offset": 0}]}, "'x' is BYTES"),
        ({"instances": [{"x": [1e300, 2, 3], "offset": 0}]}, "too large for float32"),
        ({"instances": [[1, 2, 3]]}, "lacks"),
        ({"instances": []}, "empty list"),
    ],
)
def test_a_wrong_request_is_told_and_the_server_lives(server: RunningServer, body: Any, message: str) -> None:
    error = v1(server, "affine", body, 400)["error"]
    assert re.search(message, error), error
    assert v1(server, "affine", {"signature_name": "double", "instances": [[1, 2, 3]]})["predictions"] == [[2, 4, 6]]


def test_batches_without_rows_are_answered_without_rows(server: RunningServer) -> None:
    tensors = [
        {"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []},
        {"name": "offset", "shape": [0], "datatype": "FP32", "data": []},
    ]
    outputs = server.client.post("/v2/models/affine/infer", json={"inputs": tensors}).json()["outputs"]
    assert [each["shape"] for each in outputs] == [[0], [0, 2]]


def test_a_model_that_does_not_load_is_told(tmp_path: Path) -> None:
    folder = models.affine(tmp_path / "model")
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12 and no more")
    with (
        pytest.raises(errors.FairleadError, match=r"saved_model\.pb is damaged"),
        running_server({"model": folder}),
    ):
        pass
