"""V2 messages with a binary part."""

from __future__ import annotations

import json
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, RequestedOutput, Tensor
from fairlead.protocol import v2
from fairlead_tests.protocol import wire

HEADER = "inference-header-content-length"
EVERY_OUTPUT = InferRequest(model_name="m", id="1", parameters={"binary_data_output": True})


def described(datatype: str, shape: list[int], size: Any) -> dict[str, Any]:
    return {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def decoded(datatype: str, shape: list[int], buffer: bytes, *, size: Any = None) -> Tensor:
    document = {"inputs": [described(datatype, shape, len(buffer) if size is None else size)]}
    return wire.decode_v2_binary(document, buffer).inputs[0]


def element(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


# -- requests -------------------------------------------------------------------------------------------


def test_a_binary_tensor_is_a_view_of_the_received_body() -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    sent = v2.encode_request(
        InferRequest(model_name="m", inputs=[Tensor.from_numpy("x", pixels), Tensor.from_numpy("y", pixels > 3)]),
        binary=True,
    )
    for body in (wire.body(sent), bytearray(wire.body(sent)), memoryview(wire.body(sent))):
        request = v2.decode(body, model_name="m", headers=wire.headers(sent))
        received = np.frombuffer(body, dtype=np.uint8)
        for tensor, expected in zip(request.inputs, (pixels, pixels > 3), strict=True):
            assert np.shares_memory(tensor.data, received)
            assert not tensor.data.flags.writeable
            np.testing.assert_array_equal(tensor.data, expected)


def test_the_chunks_of_a_message_are_views_of_its_tensors() -> None:
    pixels = np.arange(6, dtype=np.float32).reshape(2, 3)
    for encoded in (
        v2.encode_request(InferRequest(model_name="m", inputs=[Tensor.from_numpy("x", pixels)]), binary=True),
        v2.encode(InferResponse(model_name="m", outputs=[Tensor.from_numpy("x", pixels)]), EVERY_OUTPUT),
    ):
        assert np.shares_memory(np.frombuffer(encoded.chunks[1], dtype=np.uint8), pixels)


def test_json_and_binary_inputs_may_be_mixed() -> None:
    document = {"inputs": [wire.v2_input(name="a"), described("INT16", [2], 4)]}
    first, second = wire.decode_v2_binary(document, b"\x01\x00\xff\xff").inputs
    assert first.data.tolist() == [1.0, 2.0]
    assert second == Tensor("x", np.array([1, -1], dtype=np.int16), Datatype.INT16)


def test_the_size_of_the_buffer_is_not_a_parameter_of_the_tensor() -> None:
    document = {"inputs": [described("UINT8", [1], 1)]}
    document["inputs"][0]["parameters"]["kept"] = "a"
    assert wire.decode_v2_binary(document, b"\x07").inputs[0].parameters == {"kept": "a"}


def test_bytes_elements_need_not_be_text() -> None:
    assert decoded("BYTES", [3], element(b"\xff\x00") + element(b"") + element(b"a")).data.tolist() == [
        b"\xff\x00",
        b"",
        b"a",
    ]


def test_a_binary_body_is_read_under_any_content_type() -> None:
    sent = v2.encode_request(InferRequest(model_name="m", inputs=[Tensor.from_numpy("x", np.ones(2))]), binary=True)
    headers = {**wire.headers(sent), "content-type": "application/json"}
    assert v2.decode(wire.body(sent), model_name="m", headers=headers).inputs[0].data.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (b"", "for their lengths alone"),
        (element(b"ab"), "for their lengths alone"),
        (element(b"abcd"), "ends before the length of element 1"),
        (struct.pack("<I", 2**32 - 1) + b"abcd", r"element 0 says that it has 4294967295 bytes, and 4 are left"),
        (element(b"a") + struct.pack("<I", 2) + b"a", "element 1 says that it has 2 bytes, and 1 are left"),
        (element(b"a") + element(b"b") + b"c", "1 bytes are left after its 2 elements"),
    ],
    ids=str,
)
def test_a_length_prefix_that_lies_is_refused(buffer: bytes, message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        decoded("BYTES", [2], buffer)


def test_a_shape_of_more_bytes_elements_than_fit_is_refused_before_anything_is_made() -> None:
    with pytest.raises(errors.InvalidInput, match="for their lengths alone"):
        decoded("BYTES", [2**40], element(b"a"))


@pytest.mark.parametrize("shape", [[3], [1], [0], [2, 2]], ids=str)
def test_a_buffer_of_another_size_than_the_shape_says_is_refused(shape: list[int]) -> None:
    with pytest.raises(errors.InvalidInput, match=r"input 'x': shape .* needs .* bytes, and the buffer has 8"):
        decoded("FP32", shape, b"\x00" * 8)


def test_bytes_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="3 bytes are left in the body"):
        wire.decode_v2_binary({"inputs": [described("UINT8", [2], 2)]}, b"\x00" * 5)


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="is to have 8 bytes, and 5 are left"):
        wire.decode_v2_binary({"inputs": [described("FP64", [1], 8)]}, b"\x00" * 5)


def test_a_boolean_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="byte 2, which is neither 0 nor 1"):
        decoded("BOOL", [2], b"\x01\x02")


@pytest.mark.parametrize("length", ["x", "", "-1", "1.0", "+1", "1_0", "²"])
def test_a_header_that_is_no_length_is_refused(length: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not a length in bytes"):
        wire.decode_v2(b"{}", **{HEADER: length})


@pytest.mark.parametrize("length", ["3", str(2**63), "9" * 5000])
def test_a_header_past_the_end_of_the_body_is_refused(length: str) -> None:
    with pytest.raises(errors.InvalidInput, match="the body has only 2 bytes"):
        wire.decode_v2(b"{}", **{HEADER: length})


def test_a_request_without_a_json_part_is_refused_with_what_to_do() -> None:
    with pytest.raises(errors.InvalidInput, match=r"is 0.*not supported.*Send the JSON part"):
        wire.decode_v2(b"\x00\x00", **{HEADER: "0"})


def test_a_header_that_reaches_into_the_binary_part_is_refused() -> None:
    head = wire.v2_json(described("UINT8", [2], 2))
    with pytest.raises(errors.InvalidInput, match="Unrecognized request format"):
        wire.decode_v2(head + b"\x00\x00", **{HEADER: str(len(head) + 1)})


@pytest.mark.parametrize("size", [-1, "2", 2.0, True])
def test_a_size_that_is_no_number_of_bytes_is_told_with_its_place(size: object) -> None:
    with pytest.raises(errors.InvalidSchema) as caught:
        decoded("UINT8", [2], b"\x00\x00", size=size)
    assert caught.value.location == ("inputs", 0, "parameters", "binary_data_size")


def test_an_input_with_data_and_a_buffer_is_ambiguous() -> None:
    with pytest.raises(errors.InvalidSchema, match="only one of them can be meant"):
        wire.decode_v2_binary({"inputs": [{**described("UINT8", [2], 2), "data": [1, 2]}]}, b"\x00\x00")


def test_a_buffer_without_the_header_is_told_of_the_header() -> None:
    with pytest.raises(errors.InvalidSchema, match=f"the header {HEADER} is missing"):
        wire.decode_v2(wire.v2_json(described("UINT8", [2], 2)))


# -- answers --------------------------------------------------------------------------------------------


def test_a_binary_answer_has_the_keys_of_kserve_in_its_order() -> None:
    response = InferResponse(
        model_name="TestModel",
        outputs=[
            Tensor.from_numpy("fp16_output", np.array([[1, 2]], dtype=np.float16)),
            Tensor("fp32_output", np.array([[3, 4]], dtype=np.float32), Datatype.FP32, {"unit": "cm"}),
        ],
    )
    encoded = v2.encode(response, EVERY_OUTPUT)
    head = (
        b'{"id":"1","model_name":"TestModel","model_version":null,"outputs":['
        b'{"name":"fp16_output","shape":[1,2],"datatype":"FP16","parameters":{"binary_data_size":4}},'
        b'{"name":"fp32_output","shape":[1,2],"datatype":"FP32","parameters":{"unit":"cm","binary_data_size":8}}]}'
    )
    assert wire.body(encoded) == head + struct.pack("<2e2f", 1, 2, 3, 4)
    assert encoded.headers == ((HEADER, str(len(head))),)
    assert encoded.content_type == "application/octet-stream"


def test_parameters_of_a_binary_answer_come_last_and_only_when_there_are_any() -> None:
    output = Tensor.from_numpy("y", np.array([1], dtype=np.uint8))
    encoded = v2.encode(InferResponse(model_name="m", outputs=[output], parameters={"a": 1}), EVERY_OUTPUT)
    assert encoded.chunks[0] == (
        b'{"id":"1","model_name":"m","model_version":null,"outputs":[{"name":"y","shape":[1],"datatype":"UINT8",'
        b'"parameters":{"binary_data_size":1}}],"parameters":{"a":1}}'
    )


def test_an_answer_may_mix_json_and_binary_outputs() -> None:
    outputs = [
        Tensor("a", np.array([1.5]), Datatype.FP64, {"unit": "cm"}),
        Tensor.from_numpy("b", np.array([2, 3], dtype=np.int8)),
    ]
    request = InferRequest(
        model_name="m", id="1", outputs=[RequestedOutput("b", {"binary_data": True}), RequestedOutput("a")]
    )
    encoded = v2.encode(InferResponse(model_name="m", outputs=outputs), request)
    assert wire.body(encoded) == (
        b'{"id":"1","model_name":"m","model_version":null,"outputs":['
        b'{"name":"b","shape":[2],"datatype":"INT8","parameters":{"binary_data_size":2}},'
        b'{"name":"a","shape":[1],"datatype":"FP64","parameters":{"unit":"cm"},"data":[1.5]}]}\x02\x03'
    )


def outputs_sent_as_binary(request: InferRequest, *, inherit_binary: bool = False) -> dict[str, bool]:
    outputs = [Tensor.from_numpy(name, np.array([1.5])) for name in "ab"]
    encoded = v2.encode(InferResponse(model_name="m", outputs=outputs), request, inherit_binary=inherit_binary)
    listed = json.loads(bytes(encoded.chunks[0]))["outputs"]
    return {output["name"]: "data" not in output for output in listed}


def test_without_listed_outputs_the_requests_parameter_decides() -> None:
    assert outputs_sent_as_binary(EVERY_OUTPUT) == {"a": True, "b": True}
    assert outputs_sent_as_binary(InferRequest(model_name="m")) == {"a": False, "b": False}


def test_listed_outputs_decide_for_themselves() -> None:
    wanted = [RequestedOutput("a", {"binary_data": True}), RequestedOutput("b")]
    for parameters in ({}, {"binary_data_output": True}):
        request = InferRequest(model_name="m", outputs=wanted, parameters=dict(parameters))
        assert outputs_sent_as_binary(request) == {"a": True, "b": False}


def test_listed_outputs_may_inherit_as_they_do_in_triton() -> None:
    wanted = [RequestedOutput("a", {"binary_data": False}), RequestedOutput("b")]
    request = InferRequest(model_name="m", outputs=wanted, parameters={"binary_data_output": True})
    assert outputs_sent_as_binary(request, inherit_binary=True) == {"a": False, "b": True}
    assert outputs_sent_as_binary(request) == {"a": False, "b": False}


def test_an_output_without_elements_has_a_buffer_of_no_bytes() -> None:
    for array in (np.empty((0, 3), dtype=np.float32), np.empty((2, 0), dtype=object)):
        encoded = v2.encode(InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", array)]), EVERY_OUTPUT)
        assert v2.decode_response(wire.body(encoded), wire.headers(encoded)).outputs[0].shape == array.shape


def test_outputs_that_are_not_contiguous_are_sent_in_row_major_order() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3).T
    encoded = v2.encode(InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", array)]), EVERY_OUTPUT)
    assert np.frombuffer(encoded.chunks[1], dtype=np.int64).tolist() == [0, 3, 1, 4, 2, 5]


def test_a_bytes_output_of_anything_but_bytes_is_the_models_fault() -> None:
    output = Tensor("y", np.array(["text"], dtype=object), Datatype.BYTES)
    with pytest.raises(errors.InferenceFailed, match="not bytes"):
        v2.encode(InferResponse(model_name="m", outputs=[output]), EVERY_OUTPUT)


# -- BF16 -----------------------------------------------------------------------------------------------


@given(numbers=hnp.arrays(np.uint32, st.integers(0, 40), fill=st.nothing()).map(lambda bits: bits.view(np.float32)))
def test_bf16_is_rounded_to_the_nearest_and_half_way_to_even(numbers: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    output = Tensor.from_numpy("y", numbers, Datatype.BF16)
    encoded = v2.encode(InferResponse(model_name="m", outputs=[output]), EVERY_OUTPUT)
    sent = np.frombuffer(b"".join(encoded.chunks[1:]), dtype=ml_dtypes.bfloat16)
    with np.errstate(all="ignore"):
        expected = numbers.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(sent.astype(np.float32), expected.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(sent.astype(np.float32)), np.signbit(numbers))


@pytest.mark.parametrize(
    ("number", "pattern"),
    [
        (1.0, 0x3F80),
        (1.00390625, 0x3F80),  # half-way between two, down to the even one
        (1.01171875, 0x3F82),  # half-way between two, up to the even one
        (-0.0, 0x8000),
        (float("inf"), 0x7F80),
        (-float("inf"), 0xFF80),
        (3.4e38, 0x7F80),  # past the largest BF16 by more than half a step
        (float("nan"), 0x7FC0),
    ],
)
def test_bf16_bit_patterns(number: float, pattern: int) -> None:
    output = Tensor.from_numpy("y", np.array([number], dtype=np.float32), Datatype.BF16)
    encoded = v2.encode(InferResponse(model_name="m", outputs=[output]), EVERY_OUTPUT)
    assert bytes(encoded.chunks[1]) == struct.pack("<H", pattern)


def test_every_bf16_bit_pattern_is_read_as_its_value() -> None:
    patterns = np.arange(2**16, dtype="<u2")
    tensor = decoded("BF16", [2**16], patterns.tobytes())
    np.testing.assert_array_equal(tensor.data, patterns.view(ml_dtypes.bfloat16).astype(np.float32))


# -- Triton's client ------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [True, False])
def test_requests_of_tritons_client_are_read(binary: bool) -> None:
    numbers, words = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([b"a", b"bc"], dtype=object)
    inputs = [triton.InferInput("numbers", [2, 3], "FP32"), triton.InferInput("words", [2], "BYTES")]
    inputs[0].set_data_from_numpy(numbers, binary_data=binary)
    inputs[1].set_data_from_numpy(words, binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=[triton.InferRequestedOutput("y", binary_data=binary)], request_id="5"
    )
    request = v2.decode(body, model_name="m", headers={} if length is None else {HEADER: str(length)})
    assert list(request.inputs) == [Tensor.from_numpy("numbers", numbers), Tensor.from_numpy("words", words)]
    assert list(request.outputs) == [RequestedOutput("y", {"binary_data": binary})]
    assert request.id == "5"


@pytest.mark.parametrize("binary", [True, False])
def test_answers_are_read_by_tritons_client(binary: bool) -> None:
    outputs = [
        Tensor.from_numpy("numbers", np.arange(6, dtype=np.float32).reshape(2, 3)),
        Tensor.from_numpy("words", np.array(["a", "ä"])),
    ]
    request = InferRequest(model_name="m", parameters={"binary_data_output": binary})
    encoded = v2.encode(InferResponse(model_name="m", outputs=outputs), request)
    length = dict(encoded.headers).get(HEADER)
    result = triton.InferenceServerClient.parse_response_body(
        wire.body(encoded), header_length=None if length is None else int(length)
    )
    np.testing.assert_array_equal(result.as_numpy("numbers"), outputs[0].data)
    words = result.as_numpy("words").tolist()
    assert [word if isinstance(word, str) else word.decode() for word in words] == ["a", "ä"]
