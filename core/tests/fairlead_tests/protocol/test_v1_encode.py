"""V1 answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Tensor
from fairlead.protocol import v1
from fairlead.protocol.encoded import Encoded
from fairlead_tests.protocol import wire


def encode(*outputs: Tensor, payload: Any = None) -> Encoded:
    response = InferResponse(model_name="m", outputs=outputs, payload=payload)
    return v1.encode(response, InferRequest(model_name="m"))


@pytest.mark.parametrize(
    ("array", "body"),
    [
        (np.array([[1, 2]]), b'{"predictions":[[1,2]]}'),
        (np.array([0.5, np.nan, np.inf]), b'{"predictions":[0.5,null,null]}'),
        (np.array([0.1], dtype=np.float32), b'{"predictions":[0.1]}'),
        (np.array([1.5], dtype=np.float16), b'{"predictions":[1.5]}'),
        (np.array(2.5), b'{"predictions":2.5}'),
        (np.array([True]), b'{"predictions":[true]}'),
        (np.arange(4).reshape(2, 2).T, b'{"predictions":[[0,2],[1,3]]}'),
        (np.array([["setosa"], ["ä"]]), '{"predictions":[["setosa"],["ä"]]}'.encode()),
        (np.empty((2, 0)), b'{"predictions":[[],[]]}'),
    ],
)
def test_one_output_is_the_nested_list_of_predictions(array: Any, body: bytes) -> None:
    assert encode(Tensor.from_numpy("y", array)) == Encoded((body,), "application/json")


def test_half_precision_is_widened_to_numbers() -> None:
    assert wire.body(encode(Tensor.from_numpy("y", np.array([1.5]), Datatype.BF16))) == b'{"predictions":[1.5]}'


def test_several_outputs_are_one_object_for_each_row() -> None:
    encoded = encode(
        Tensor.from_numpy("label", np.array(["a", "b"])),
        Tensor.from_numpy("score", np.array([[0.1, np.nan], [0.5, 0.25]], dtype=np.float32)),
        Tensor.from_numpy("share", np.array([0.1, 0.2], dtype=np.float16)),
        Tensor.from_numpy("sure", np.array([True, False])),
    )
    assert wire.body(encoded) == (
        b'{"predictions":[{"label":"a","score":[0.1,null],"share":0.099975586,"sure":true},'
        b'{"label":"b","score":[0.5,0.25],"share":0.19995117,"sure":false}]}'
    )


@pytest.mark.parametrize("shape", [(3,), ()], ids=str)
def test_outputs_without_common_rows_are_told_with_their_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.InferenceFailed, match=r"no common rows: 'a' \[2\], 'b' .*V2"):
        encode(Tensor.from_numpy("a", np.zeros(2)), Tensor.from_numpy("b", np.zeros(shape)))


def test_an_answer_without_anything_is_the_models_fault() -> None:
    with pytest.raises(errors.InferenceFailed, match="without outputs"):
        encode()


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ({"predictions": [[1, 2]]}, b'{"predictions":[[1,2]]}'),
        ({"labels": ("a",), 1: {2}}, b'{"labels":["a"],"1":[2]}'),
        ({"y": np.arange(4).reshape(2, 2).T}, b'{"y":[[0,2],[1,3]]}'),
        ({"y": np.array(["a"], dtype=object)}, b'{"y":["a"]}'),
        ({"y": np.float32(0.1), "z": float("nan")}, b'{"y":0.1,"z":null}'),
        (
            {"predictions": [dt.datetime(2024, 5, 1, tzinfo=dt.UTC)]},
            b'{"predictions":["2024-05-01T00:00:00+00:00"]}',
        ),
        ([1, 2], b'{"predictions":[1,2]}'),
        (7, b'{"predictions":7}'),
        (np.array([1, 2]), b'{"predictions":[1,2]}'),
    ],
    ids=str,
)
def test_a_payload_is_sent_as_json_and_wrapped_unless_it_is_an_object(payload: Any, body: bytes) -> None:
    assert encode(payload=payload) == Encoded((body,), "application/json")


@pytest.mark.parametrize("payload", [b"\x89PNG", bytearray(b"\x89PNG"), memoryview(b"\x89PNG")], ids=type)
def test_bytes_are_sent_as_they_are_without_a_content_type(payload: Any) -> None:
    assert encode(payload=payload) == Encoded((b"\x89PNG",), None)


def test_text_is_sent_as_it_is_without_a_content_type() -> None:
    assert encode(payload="ä") == Encoded(("ä".encode(),), None)


@pytest.mark.parametrize(
    "payload",
    [{"a": object()}, {"a": 2**70}, {"a": b"\xff"}, "\ud800", {"a": "\ud800"}],
    ids=["an object", "a long number", "bytes", "a surrogate", "a surrogate inside"],
)
def test_a_payload_that_cannot_be_sent_is_the_models_fault(payload: Any) -> None:
    with pytest.raises(errors.InferenceFailed):
        encode(payload=payload)


# -- explanations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (InferResponse(model_name="m", outputs=[Tensor.from_numpy("a", np.array([1, 2]))]), b'{"explanations":[1,2]}'),
        (
            InferResponse(
                model_name="m",
                outputs=[Tensor.from_numpy("a", np.array([1, 2])), Tensor.from_numpy("b", np.array(["x", "y"]))],
            ),
            b'{"explanations":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}',
        ),
        (InferResponse(model_name="m", payload={"why": [1]}), b'{"why":[1]}'),
        (InferResponse(model_name="m", payload=[1, 2]), b'{"explanations":[1,2]}'),
        (InferResponse(model_name="m", payload=b"raw"), b"raw"),
    ],
)
def test_an_explanation_is_named_as_one(response: InferResponse, body: bytes) -> None:
    assert b"".join(v1.encode_explanation(response).chunks) == body


def test_an_explanation_of_uneven_rows_is_the_fault_of_the_explainer() -> None:
    outputs = [Tensor.from_numpy("a", np.zeros(2)), Tensor.from_numpy("b", np.zeros(3))]
    with pytest.raises(errors.InferenceFailed, match="explainer of model m answered with outputs that have no common"):
        v1.encode_explanation(InferResponse(model_name="m", outputs=outputs))
