"""What clients write, servers read, and the other way round: V1, and V2 over gRPC."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import ModelMetadata
from fairlead.contracts.tensors import InferRequest, InferResponse, RequestedOutput, Tensor
from fairlead.protocol import v1, v1_client, v2_grpc, v2_grpc_client

NUMBERS = Tensor.from_numpy("x", np.arange(6, dtype=np.float32).reshape(2, 3))
TEXTS = Tensor.from_numpy("t", np.array([["a"], ["ü"]], dtype=object))
FLAT = Tensor.from_numpy("f", np.array(["a", "ü"], dtype=object))
HALVES = Tensor.from_numpy("h", np.ones(2, np.float16))
LARGE = Tensor.from_numpy("l", np.arange(50_000, dtype=np.int64))


@pytest.mark.parametrize("tensors", [[NUMBERS], [TEXTS, NUMBERS, HALVES], [LARGE, TEXTS]])
def test_a_call_is_read_as_it_was_written(tensors: list[Tensor]) -> None:
    asked = InferRequest(
        model_name="m", inputs=tensors, id="7", parameters={"a": 1, "b": True}, outputs=[RequestedOutput("y")]
    )
    read = v2_grpc.decode(v2_grpc.parse(v2_grpc_client.encode_request(asked)), headers={})
    for tensor in read.inputs:
        tensor.parameters.clear()
    assert (read.model_name, read.id, read.parameters) == ("m", "7", {"a": 1, "b": True})
    assert list(read.inputs) == tensors
    assert [each.name for each in read.outputs] == ["y"]


@pytest.mark.parametrize(("tensors", "raw"), [([NUMBERS, TEXTS], True), ([NUMBERS, TEXTS], False), ([LARGE], True)])
def test_an_answer_to_a_call_is_read_as_it_was_written(tensors: list[Tensor], raw: bool) -> None:
    response = InferResponse(model_name="m", outputs=tensors, id="7", parameters={"a": 1.5})
    body = v2_grpc.encode(response, InferRequest(model_name="m"), raw=raw)
    assert v2_grpc_client.decode_response(body) == response


@pytest.mark.parametrize("body", [b"\xff", b"not a message"])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(errors.InvalidInput):
        v2_grpc_client.decode_response(body)


def test_what_a_message_cannot_hold_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="what a message cannot"):
        v2_grpc_client.encode_request(InferRequest(model_name="m", parameters={"big": 2**70}))


@pytest.mark.parametrize("tensors", [[NUMBERS], [Tensor.from_numpy("a", np.array([1, 2])), FLAT]])
def test_instances_are_read_as_they_were_written(tensors: list[Tensor]) -> None:
    encoded = v1_client.encode_request(InferRequest(model_name="m", inputs=tensors, parameters={"p": 1}))
    read = v1.decode(
        b"".join(encoded.chunks), model_name="m", metadata=ModelMetadata(), content_type=v1.JSON, headers={}
    )
    assert [each.data.ravel().tolist() for each in read.inputs] == [each.data.ravel().tolist() for each in tensors]
    assert read.parameters["p"] == 1


def test_what_is_not_json_is_handed_on_as_bytes_both_ways() -> None:
    request = InferRequest(model_name="m", payload=b"png", headers={"content-type": "image/png"})
    asked = v1_client.encode_request(request)
    assert (asked.chunks, asked.content_type) == ((b"png",), "image/png")
    answer = v1_client.decode_response(b"png", {"content-type": "image/png"}, model_name="m")
    assert (answer.payload, answer.headers) == (b"png", {"content-type": "image/png"})


@pytest.mark.parametrize(("values", "names"), [([1, 2], ["y"]), ([{"a": 1, "b": "t"}], ["a", "b"]), ([], []), (3, [])])
def test_predictions_are_tensors_where_they_can_be(values: object, names: list[str]) -> None:
    assert [each.name for each in v1_client.tensors_of(values, "y")] == names


def test_a_signature_is_a_member_of_its_own() -> None:
    request = InferRequest(model_name="m", inputs=[NUMBERS], parameters={"signature_name": "other", "p": 1})
    assert json.loads(b"".join(v1_client.encode_request(request).chunks)) == {
        "instances": [[0, 1, 2], [3, 4, 5]],
        "parameters": {"p": 1},
        "signature_name": "other",
    }


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        ({"predictions": [[1, 2]]}, {"y": [[1, 2]]}),
        ({"predictions": [{"a": [1, 2], "b": 0.5}, {"a": [3, 4], "b": 1}]}, {"a": [[1, 2], [3, 4]], "b": [0.5, 1]}),
        ({"predictions": [{"b64": "/w=="}]}, {"y": [b"\xff"]}),
        ({"predictions": [{"a": {"0": 1, "1": 2}}]}, {"a": [1, 2]}),
        ({"outputs": [[1, 2]]}, {"y": [[1, 2]]}),
        ({"outputs": {"a": [[1]], "b": ["t", {"b64": "/w=="}]}}, {"a": [[1]], "b": [b"t", b"\xff"]}),
        ({"outputs": 3}, {}),
        ({"predictions": [{"a": [1]}, {"a": [1, 2]}, {"a": "t"}]}, {}),
        ({"explanations": 1}, {}),
        (b"png", {}),
    ],
    ids=str,
)
def test_an_answer_in_rows_or_in_columns_is_tensors_where_it_can_be(body: object, outputs: dict[str, object]) -> None:
    assert {each.name: each.data.tolist() for each in v1_client.outputs_of(body, "y")} == outputs
