"""Every tensor arrives as it was sent, by every encoding that can carry it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.runtime import ModelMetadata
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Tensor
from fairlead.protocol import v1, v2
from fairlead_tests.protocol import wire

BINARY = st.lists(wire.tensors(list(Datatype)), min_size=1, max_size=3).map(wire.named_apart)
TEXTUAL = st.lists(wire.tensors(wire.JSON_DATATYPES, text=True), min_size=1, max_size=3).map(wire.named_apart)


def as_json_carries(tensor: Tensor) -> Tensor:
    """JSON has no infinities: they are null, and null is NaN; and BYTES without dimensions are a list of one."""
    data = tensor.data
    if tensor.datatype is Datatype.BYTES and not tensor.shape:
        data = data.reshape(1)
    if data.dtype.kind == "f":
        data = np.where(np.isfinite(data), data, np.nan)
    return Tensor(tensor.name, data, tensor.datatype, tensor.parameters)


@given(inputs=BINARY, parameters=wire.parameters, identity=st.none() | wire.names)
def test_a_binary_v2_request_arrives_as_it_was_sent(
    inputs: list[Tensor], parameters: dict[str, bool | int | float | str], identity: str | None
) -> None:
    parameters.pop("binary_data_output", None)
    sent = InferRequest(model_name="m", inputs=inputs, parameters=parameters, id=identity)

    encoded = v2.encode_request(sent, binary=True)
    arrived = v2.decode(wire.body(encoded), model_name="m", headers=wire.headers(encoded))

    assert list(arrived.inputs) == inputs
    assert (arrived.id, arrived.parameters) == (identity, parameters)


@given(inputs=TEXTUAL)
def test_a_json_v2_request_arrives_as_it_was_sent(inputs: list[Tensor]) -> None:
    encoded = v2.encode_request(InferRequest(model_name="m", inputs=inputs), binary=False)
    arrived = v2.decode(wire.body(encoded), model_name="m", headers=wire.headers(encoded))

    assert list(arrived.inputs) == [as_json_carries(tensor) for tensor in inputs]


@given(outputs=BINARY)
def test_a_binary_v2_answer_arrives_as_it_was_sent(outputs: list[Tensor]) -> None:
    request = InferRequest(model_name="m", parameters={"binary_data_output": True}, id="7")
    encoded = v2.encode(InferResponse(model_name="m", outputs=outputs, model_version="2"), request)
    arrived = v2.decode_response(wire.body(encoded), wire.headers(encoded))

    assert list(arrived.outputs) == outputs
    assert (arrived.model_name, arrived.model_version, arrived.id) == ("m", "2", "7")


@given(outputs=TEXTUAL)
def test_a_json_v2_answer_arrives_as_it_was_sent(outputs: list[Tensor]) -> None:
    encoded = v2.encode(InferResponse(model_name="m", outputs=outputs), InferRequest(model_name="m"))
    arrived = v2.decode_response(wire.body(encoded), wire.headers(encoded))

    assert list(arrived.outputs) == [as_json_carries(tensor) for tensor in outputs]


@given(tensor=wire.tensors([d for d in Datatype if d is not Datatype.BYTES]))
def test_a_v1_answer_is_the_nested_list_of_its_output(tensor: Tensor) -> None:
    encoded = v1.encode(InferResponse(model_name="m", outputs=[tensor]), InferRequest(model_name="m"))
    predictions = json.loads(wire.body(encoded))["predictions"]

    dtype = np.dtype(np.float64) if tensor.data.dtype.kind == "f" else tensor.data.dtype
    expected = as_json_carries(tensor).data
    # What a list says of the shape of an array without elements ends at its first empty dimension.
    arrived = np.array(predictions, dtype=dtype).astype(tensor.data.dtype).reshape(tensor.shape)
    np.testing.assert_array_equal(arrived, expected)


@given(tensor=wire.tensors([Datatype.BOOL, Datatype.INT64, Datatype.FP64, Datatype.BYTES], text=True))
def test_v1_instances_arrive_as_the_tensor_that_they_are_a_list_of(tensor: Tensor) -> None:
    data = tensor.as_strings() if tensor.datatype is Datatype.BYTES else as_json_carries(tensor).data
    if not data.ndim or not data.size:
        return
    content = json.dumps({"instances": data.tolist()}).replace("NaN", "null").encode()
    if tensor.datatype is Datatype.FP64 and np.isnan(data).all():
        content = json.dumps({"instances": np.zeros_like(data).tolist()}).encode()
        data = np.zeros_like(data)
    arrived = v1.decode(content, model_name="m", metadata=ModelMetadata(), content_type=None, headers={})

    (found,) = arrived.inputs
    expected = tensor.data if tensor.datatype is Datatype.BYTES else data
    assert found == Tensor("input-0", expected, tensor.datatype)


@given(element=st.binary(max_size=6))
def test_bytes_that_are_not_text_are_refused_by_json_and_named_in_the_message(element: bytes) -> None:
    array = np.empty(1, dtype=object)
    array[0] = element
    answer = InferResponse(model_name="m", outputs=[Tensor("label", array, Datatype.BYTES)])
    try:
        element.decode()
    except UnicodeDecodeError:
        with pytest.raises(errors.InvalidInput, match=r"'label'.*not UTF-8"):
            v2.encode(answer, InferRequest(model_name="m"))
        with pytest.raises(errors.InvalidInput, match=r"'label'.*not UTF-8"):
            v1.encode(answer, InferRequest(model_name="m"))
    else:
        assert json.loads(wire.body(v1.encode(answer, InferRequest(model_name="m")))) == {
            "predictions": [element.decode()]
        }
