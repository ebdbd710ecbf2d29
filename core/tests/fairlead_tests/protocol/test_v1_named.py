"""V1 for models of named tensors: what TensorFlow Serving's REST API reads and writes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import Capability, ModelMetadata
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Tensor, TensorSpec
from fairlead.protocol import v1
from fairlead_tests.protocol import wire

TWO = ModelMetadata(inputs=(TensorSpec("a", Datatype.FP32, (-1, 2)), TensorSpec("b", Datatype.FP32, (-1,))))
ONE = ModelMetadata(inputs=(TensorSpec("image", Datatype.BYTES, (-1,)),))
SCALAR = ModelMetadata(inputs=(TensorSpec("x", Datatype.FP32, ()),))


def decode(document: dict[str, Any], metadata: ModelMetadata = TWO) -> InferRequest:
    content = json.dumps(document).encode()
    return v1.decode(content, model_name="m", metadata=metadata, content_type=None, headers={})


def decoded(document: dict[str, Any], metadata: ModelMetadata = TWO) -> dict[str, Any]:
    request = decode(document, metadata)
    assert request.parameters == {}
    assert request.payload == document
    return {tensor.name: tensor.data.tolist() for tensor in request.inputs}


def answer(request: InferRequest, *outputs: Tensor, metadata: ModelMetadata = TWO) -> Any:
    return json.loads(wire.body(v1.encode(InferResponse(model_name="m", outputs=outputs), request, metadata)))


# -- rows -----------------------------------------------------------------------------------------------


def test_each_named_input_of_the_rows_is_stacked_along_a_new_first_axis() -> None:
    rows = [{"a": [1, 2], "b": 0.5}, {"b": 1.5, "a": [3, 4]}]
    assert decoded({"instances": rows}) == {"a": [[1, 2], [3, 4]], "b": [0.5, 1.5]}
    assert decoded({"instances": [{"a": [[1, 2], [3, 4]], "b": 0.5}]}) == {"a": [[[1, 2], [3, 4]]], "b": [0.5]}
    assert decoded({"instances": [{"image": [1, 2]}]}, ONE) == {"image": [[1, 2]]}


def test_a_single_input_needs_no_name() -> None:
    assert decoded({"instances": [[1, 2], [3, 4]]}, SCALAR) == {"x": [[1, 2], [3, 4]]}
    assert decoded({"instances": [[1, 2]]}) == {"input-0": [[1, 2]]}


def test_text_and_binary_data_may_stand_anywhere_side_by_side() -> None:
    blob = {"b64": "/wA="}
    assert decoded({"instances": [blob, "ä"]}, ONE) == {"image": [b"\xff\x00", "ä".encode()]}
    assert decoded({"instances": [[[blob], ["a"]]]}, ONE) == {"image": [[[b"\xff\x00"], [b"a"]]]}
    assert decoded({"instances": [{"a": [blob, blob], "b": 1}]}) == {"a": [[b"\xff\x00"] * 2], "b": [1]}
    assert decoded({"inputs": blob}, ModelMetadata(inputs=(TensorSpec("x", Datatype.BYTES, ()),))) == {"x": b"\xff\x00"}


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([{"a": 1}, 2], "instance 1 is no object"),
        ([{"a": 1}, {"b64": "/w=="}], "instance 1 has 'b64', and instance 0 does not"),
        ([{}], "instance 0 is an empty object"),
        ([{"a": 1, "b": 1}, {"a": 1}], "instance 0 has 'b', and instance 1 does not"),
        ([{"a": 1, "b": 1}, {"a": 1, "c": 1}], "instance 1 has 'c', and instance 0 does not"),
        ([{"a": 1}, {}], "instance 0 has 'a', and instance 1 does not"),
        ([{"a": [1, 2]}, {"a": [1]}], r"input 'a': row 1 has 1 values, row 0 has 2"),
        ([{"a": [[1], [1, 2]]}, {"a": [[1], [2]]}], "input 'a': the nested lists are not of one shape"),
        ([{"a": [1, "x"]}], "input 'a' mixes numbers and text"),
        ([[1, {"c": 2}]], "instances mixes a nested value and numbers"),
        ([2, {"a": 1}], "instances mixes a nested value and numbers"),
        ([{"b64": "?"}], "not base64"),
    ],
)
def test_rows_that_make_no_tensors_are_told_with_their_place(instances: list[Any], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        decode({"instances": instances})


# -- columns --------------------------------------------------------------------------------------------


def test_in_columns_each_input_is_there_as_a_whole() -> None:
    assert decoded({"inputs": {"a": [[1, 2]], "b": [0.5]}}) == {"a": [[1, 2]], "b": [0.5]}
    assert decoded({"inputs": {"a": [[1, 2]], "b": 3}}) == {"a": [[1, 2]], "b": 3}
    assert decoded({"inputs": [[1, 2]]}, ONE) == {"image": [[1, 2]]}
    assert decoded({"inputs": 2.5}, SCALAR) == {"x": 2.5}
    assert decoded({"inputs": [{"a": [1, 2], "b": 1}]}) == {"a": [[1, 2]], "b": [1]}


def test_columns_without_anything_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="empty object"):
        decode({"inputs": {}})
    with pytest.raises(errors.InvalidInput, match="empty list"):
        decode({"inputs": []})
    with pytest.raises(errors.InvalidInput, match=r'^Expected "inputs" to be a list'):
        decode({"inputs": 2.5})
    with pytest.raises(errors.InvalidInput, match=r'^Expected "instances" to be a list'):
        decode({"instances": {"a": [1]}})


# -- signatures -----------------------------------------------------------------------------------------


def test_the_name_of_a_signature_is_a_parameter_of_the_request() -> None:
    request = decode({"signature_name": "other", "instances": [[1, 2]], "parameters": {"p": 1}})
    assert request.parameters == {"p": 1, "signature_name": "other"}
    assert decode({"signature_name": None, "instances": [1]}).parameters == {}
    assert decode({"parameters": {"signature_name": "other"}, "instances": [1]}).parameters == {
        "signature_name": "other"
    }


@pytest.mark.parametrize("name", [1, ["a"], {"a": 1}, True], ids=str)
def test_the_name_of_a_signature_is_text(name: object) -> None:
    with pytest.raises(errors.InvalidInput, match=r'^Expected "signature_name" to be a string'):
        decode({"signature_name": name, "instances": [1]})


def test_a_signature_that_is_named_twice_is_named_alike() -> None:
    assert decode({"signature_name": "s", "parameters": {"signature_name": "s"}, "instances": [1]}).parameters
    with pytest.raises(errors.InvalidInput, match="'s', and 't' among the parameters"):
        decode({"signature_name": "s", "parameters": {"signature_name": "t"}, "instances": [1]})


# -- answers --------------------------------------------------------------------------------------------

Y = Tensor.from_numpy("y", np.array([[1, 2], [3, 4]]))
Z = Tensor.from_numpy("z", np.array([0.5, 1.5]))
TOTAL = Tensor.from_numpy("total", np.array(7))
BLOBS = Tensor.from_numpy("image_bytes", np.array([b"\xff", b"a"], dtype=object))


def test_rows_are_answered_with_predictions() -> None:
    asked = decode({"instances": [[1, 2], [3, 4]]})
    assert answer(asked, Y) == {"predictions": [[1, 2], [3, 4]]}
    assert answer(asked, Y, Z) == {"predictions": [{"y": [1, 2], "z": 0.5}, {"y": [3, 4], "z": 1.5}]}
    with pytest.raises(errors.InferenceFailed, match="in columns, by the member inputs"):
        answer(asked, Y, TOTAL)


def test_columns_are_answered_with_outputs() -> None:
    asked = decode({"inputs": {"a": [[1, 2]], "b": [0.5]}})
    assert answer(asked, Y) == {"outputs": [[1, 2], [3, 4]]}
    assert answer(asked, Y, TOTAL) == {"outputs": {"y": [[1, 2], [3, 4]], "total": 7}}
    with pytest.raises(errors.InferenceFailed, match="without outputs"):
        answer(asked)


def test_binary_outputs_are_base64_where_their_name_says_so() -> None:
    blobs = [{"b64": "/w=="}, {"b64": "YQ=="}]
    assert answer(decode({"instances": [1, 2]}), BLOBS) == {"predictions": blobs}
    assert answer(decode({"inputs": [1, 2]}), BLOBS, Z) == {"outputs": {"image_bytes": blobs, "z": [0.5, 1.5]}}


# -- other models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        ModelMetadata(),
        ModelMetadata(inputs=(TensorSpec("input-0", Datatype.FP64, (-1, 2)),)),
        ModelMetadata(inputs=TWO.inputs, capabilities=frozenset({Capability.COLUMNS})),
    ],
    ids=["unknown", "rows of features", "table"],
)
def test_models_of_tables_and_of_rows_are_asked_and_answer_as_kserves_do(metadata: ModelMetadata) -> None:
    asked = decode({"inputs": [[1, 2]], "signature_name": 5}, metadata)
    assert asked.parameters == {}
    assert answer(asked, Y, metadata=metadata) == {"predictions": [[1, 2], [3, 4]]}
    table = decode({"instances": [{"a": [1, 2], "b": [3, 4]}]}, metadata)
    assert table.columns
    assert {tensor.name: tensor.data.tolist() for tensor in table.inputs} == {"a": [1, 2], "b": [3, 4]}
    with pytest.raises(errors.InvalidInput, match=r'^Expected "inputs" to be a list$'):
        decode({"inputs": {"a": [1]}}, metadata)
