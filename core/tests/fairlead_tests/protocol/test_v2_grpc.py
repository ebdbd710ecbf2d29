"""V2 over gRPC: messages to requests, and answers to messages."""

from __future__ import annotations

import gc
import struct
import weakref
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as triton

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, RequestedOutput, Tensor
from fairlead.protocol import v2_grpc, v2_grpc_wire
from fairlead.protocol._pb import generate, messages

ARRAYS: dict[str, Any] = {
    "BOOL": np.array([[True, False], [False, True]]),
    "UINT8": np.array([[0, 255]], np.uint8),
    "UINT16": np.array([[0, 65535]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 127]], np.int8),
    "INT16": np.array([[-(2**15), 2**15 - 1]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1], [3, -1]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1], [300, 0]], np.int64),
    "FP32": np.array([[np.pi, -1e38]], np.float32),
    "FP64": np.array([[np.pi, -1e308]], np.float64),
    "BYTES": np.array([[b"\xff\x00", "ü".encode(), b""]], object),
}
FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "UINT64": "uint64_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def asked(datatype: str, shape: Sequence[int], raw: bytes | None = None, **contents: Any) -> triton.ModelInferRequest:
    """A request of one input, in the messages of Triton's client."""
    made = triton.ModelInferRequest(model_name="m", id="7")
    made.inputs.add(name="x", datatype=datatype, shape=shape)
    if raw is not None:
        made.raw_input_contents.append(raw)
    for field, values in contents.items():
        getattr(made.inputs[0].contents, field).extend(values)
    return made


def decoded(made: Any) -> InferRequest:
    body = made if isinstance(made, bytes) else made.SerializeToString()
    return v2_grpc.decode(v2_grpc.parse(body), headers={})


def refusal(made: Any) -> str:
    with pytest.raises(errors.InvalidInput) as raised:
        decoded(made)
    return str(raised.value)


def answered(*outputs: Tensor, raw: bool = False, request: InferRequest | None = None, **fields: Any) -> Any:
    response = InferResponse(model_name="m", outputs=outputs, **fields)
    body = v2_grpc.encode(response, request or InferRequest(model_name="m", id="7"), raw=raw)
    found = triton.ModelInferResponse.FromString(body)
    assert found == triton.ModelInferResponse.FromString(found.SerializeToString())
    return found


# -- the messages ---------------------------------------------------------------------------------------


def test_the_committed_descriptors_are_those_of_the_proto_file() -> None:
    committed = descriptor_pb2.FileDescriptorSet.FromString(generate.TARGET.read_bytes())
    assert descriptor_pb2.FileDescriptorSet.FromString(generate.generated()) == committed


def test_messages_live_beside_those_of_other_packages_of_the_same_name() -> None:
    assert messages.ModelInferRequest.DESCRIPTOR.full_name == triton.ModelInferRequest.DESCRIPTOR.full_name
    assert messages.ModelInferRequest.DESCRIPTOR.file.pool is not triton.ModelInferRequest.DESCRIPTOR.file.pool


@pytest.mark.parametrize("name", ["ModelInferRequest", "ModelInferResponse", "InferTensorContents", "InferParameter"])
def test_fields_have_tritons_numbers_and_kinds(name: str) -> None:
    ours = {field.name: (field.number, field.type) for field in getattr(messages, name).DESCRIPTOR.fields}
    theirs = {field.name: (field.number, field.type) for field in getattr(triton, name).DESCRIPTOR.fields}
    assert {key: value for key, value in ours.items() if key in theirs} == theirs


# -- requests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("datatype", ARRAYS)
def test_typed_contents_of_every_datatype_are_read(datatype: str) -> None:
    array = ARRAYS[datatype]
    tensor = decoded(asked(datatype, array.shape, **{FIELDS[datatype]: array.ravel().tolist()})).inputs[0]
    assert (tensor.name, tensor.datatype, tensor.data.dtype) == ("x", datatype, Datatype(datatype).numpy)
    np.testing.assert_array_equal(tensor.data, array)


@pytest.mark.parametrize("datatype", [name for name in ARRAYS if name != "BYTES"])
def test_raw_contents_of_every_datatype_are_read(datatype: str) -> None:
    array = ARRAYS[datatype]
    np.testing.assert_array_equal(decoded(asked(datatype, array.shape, array.tobytes())).inputs[0].data, array)


def test_raw_halves_bfloats_and_texts_are_read() -> None:
    halves = np.array([0.5, -65504.0], np.float16)
    np.testing.assert_array_equal(decoded(asked("FP16", [2], halves.tobytes())).inputs[0].data, halves)
    bfloats = np.array([0.5, -3.0], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(decoded(asked("BF16", [2], bfloats.tobytes())).inputs[0].data, [0.5, -3.0])
    texts = struct.pack("<I", 2) + b"ab" + struct.pack("<I", 0)
    assert decoded(asked("BYTES", [2], texts)).inputs[0].data.tolist() == [b"ab", b""]


def test_large_raw_contents_are_views_of_the_received_message() -> None:
    array = np.arange(150528, dtype=np.float32).reshape(1, 3, 224, 224)
    body = asked("FP32", array.shape, array.tobytes()).SerializeToString()
    data = v2_grpc.decode(v2_grpc.parse(body), headers={}).inputs[0].data
    assert np.shares_memory(data, np.frombuffer(body, np.uint8))
    assert not data.flags.writeable
    np.testing.assert_array_equal(data, array)


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "BOOL"])
def test_packed_numbers_are_not_read_one_by_one(datatype: str) -> None:
    array = np.ones((64, 1024), Datatype(datatype).numpy)
    contents: dict[str, Any] = {FIELDS[datatype]: array.ravel()}
    message = v2_grpc.parse(asked(datatype, array.shape, **contents).SerializeToString())
    data = v2_grpc.decode(message, headers={}).inputs[0].data
    np.testing.assert_array_equal(data, array)
    assert not data.flags.owndata  # a view of the bytes, which nobody may write


def test_a_large_message_with_several_raw_tensors_keeps_their_order() -> None:
    made = triton.ModelInferRequest(model_name="m", id="7")
    for index in range(3):
        made.inputs.add(name=f"x{index}", datatype="UINT8", shape=[20000])
        made.raw_input_contents.append(bytes([index]) * 20000)
    request = decoded(made)
    assert [(tensor.name, int(tensor.data[0]), int(tensor.data[-1])) for tensor in request.inputs] == [
        ("x0", 0, 0),
        ("x1", 1, 1),
        ("x2", 2, 2),
    ]
    assert request.id == "7"


def chunked(field: int, *chunks: bytes) -> bytes:
    return b"".join(v2_grpc_wire.delimited(field, len(chunk)) + chunk for chunk in chunks)


def with_contents(datatype: str, shape: Sequence[int], contents: bytes) -> bytes:
    """A request whose contents are these bytes on the wire."""
    tensor = triton.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape).SerializeToString()
    tensor += chunked(5, contents)
    return bytes(triton.ModelInferRequest(model_name="m").SerializeToString()) + chunked(5, tensor)


def test_packed_numbers_may_come_in_several_chunks() -> None:
    chunks = chunked(6, struct.pack("<2f", 1, 2), struct.pack("<f", 3))
    assert decoded(with_contents("FP32", [3], chunks)).inputs[0].data.tolist() == [1, 2, 3]
    assert decoded(with_contents("INT32", [3], chunked(2, b"\x01", b"\xac\x02\x03"))).inputs[0].data.tolist() == [
        1,
        300,
        3,
    ]


def test_numbers_may_come_unpacked() -> None:
    floats = b"".join(bytes([6 << 3 | 5]) + struct.pack("<f", value) for value in (1, 2, 3))
    assert decoded(with_contents("FP32", [3], floats)).inputs[0].data.tolist() == [1, 2, 3]
    truths = b"".join(bytes([1 << 3, value]) for value in (1, 0))
    assert decoded(with_contents("BOOL", [2], truths)).inputs[0].data.tolist() == [True, False]


def test_packed_and_unpacked_numbers_are_read_in_the_order_in_which_they_came() -> None:
    mixed = bytes([2 << 3, 1]) + chunked(2, b"\x02\x03") + bytes([2 << 3, 4])
    assert decoded(with_contents("INT16", [4], mixed)).inputs[0].data.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("field", "datatype"), [(6, "FP32"), (7, "FP64")])
def test_packed_bytes_that_are_no_numbers_are_refused(field: int, datatype: str) -> None:
    assert "are not numbers" in refusal(with_contents(datatype, [1], chunked(field, b"123")))


@pytest.mark.parametrize("octets", [b"\x80", b"\x01\xff", b"\xff" * 10 + b"\x01"])
def test_varints_that_have_no_end_or_are_too_long_are_refused(octets: bytes) -> None:
    assert "varints" in refusal(with_contents("INT64", [1], chunked(3, octets)))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_varints_are_read_as_protobuf_reads_them(numbers: list[int]) -> None:
    made = asked("INT64", [len(numbers)], int64_contents=numbers)
    assert decoded(made).inputs[0].data.tolist() == numbers


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [
        ("INT8", "int_contents", 128),
        ("INT8", "int_contents", -129),
        ("INT16", "int_contents", 2**15),
        ("UINT8", "uint_contents", 256),
        ("UINT16", "uint_contents", 2**16),
    ],
)
def test_numbers_that_the_datatype_cannot_hold_are_refused(datatype: str, field: str, value: int) -> None:
    contents: dict[str, Any] = {field: [0, value]}
    assert f"element 1, {value}, is not in the range" in refusal(asked(datatype, [2], **contents))


def test_contents_of_another_kind_are_refused() -> None:
    assert "belong in int_contents, and fp32_contents" in refusal(asked("INT32", [1], fp32_contents=[1]))
    assert "belong in fp32_contents" in refusal(asked("FP32", [1], fp32_contents=[1], bool_contents=[True]))
    assert "belong in fp32_contents" in refusal(with_contents("FP32", [1], bytes([1 << 3, 1])))


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_datatypes_without_contents_ask_for_raw_ones(datatype: str) -> None:
    assert "raw contents" in refusal(asked(datatype, [1], fp32_contents=[1]))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (asked("FP32", [2], fp32_contents=[1]), "needs 2 elements, and fp32_contents has 1"),
        (asked("FP32", [2]), "needs 2 elements"),
        (asked("FP32", [2], b"1234"), "needs 8 bytes"),
        (asked("FP32", [-1], b""), "negative dimension"),
        (asked("FP32", [2**62, 2**62], b""), "addressed"),
        (asked("FP32", [1] * 33, b""), "33 dimensions"),
        (asked("FP33", [1], b""), "not a datatype"),
        (asked("BYTES", [1], b"\xff\xff\xff\xff"), "element 0"),
        (asked("BYTES", [2**40], b"\x00"), "need"),
        (asked("BYTES", [1], struct.pack("<I", 1) + b"ab"), "left"),
        (asked("BOOL", [1], b"\x02"), "neither 0 nor 1"),
        (asked("FP32", [1], b"1234", fp32_contents=[1]), "send only one"),
        (triton.ModelInferRequest(model_name="m"), "no inputs"),
    ],
)
def test_what_does_not_fit_together_is_refused(made: Any, text: str) -> None:
    assert text in refusal(made)


def test_there_is_one_raw_buffer_for_each_input() -> None:
    made = asked("UINT8", [1], b"1")
    made.raw_input_contents.append(b"2")
    assert "1 inputs and 2 raw_input_contents" in refusal(made)
    made.inputs.add(name="x", datatype="UINT8", shape=[1])
    assert "two inputs have the name 'x'" in refusal(made)


def test_datatypes_are_read_in_either_case() -> None:
    assert decoded(asked("fp32", [1], fp32_contents=[1])).inputs[0].datatype is Datatype.FP32


def test_empty_tensors_are_tensors() -> None:
    assert decoded(asked("FP32", [0, 4])).inputs[0].shape == (0, 4)
    assert decoded(asked("FP32", [0, 4], b"")).inputs[0].shape == (0, 4)


def test_texts_of_shape_nothing_are_as_many_as_there_are() -> None:
    assert decoded(asked("BYTES", [], bytes_contents=[b"a", b"b"])).inputs[0].shape == (2,)


def test_parameters_become_plain_values() -> None:
    made = asked("UINT8", [1], b"1")
    made.parameters["b"].bool_param = False
    made.parameters["i"].int64_param = -5
    made.parameters["s"].string_param = "pd"
    made.parameters["d"].double_param = 1.5
    made.parameters["u"].uint64_param = 2**64 - 1
    made.inputs[0].parameters["p"].int64_param = 1
    request = decoded(made)
    assert request.parameters == {"b": False, "i": -5, "s": "pd", "d": 1.5, "u": 2**64 - 1}
    assert type(request.parameters["b"]) is bool
    assert request.inputs[0].parameters == {"p": 1}


def test_a_parameter_without_a_value_is_refused() -> None:
    made = asked("UINT8", [1], b"1")
    made.parameters["x"].SetInParent()
    assert "parameters.x" in refusal(made)
    made.parameters["x"].double_param = float("nan")
    assert "finite" in refusal(made)


def test_the_size_of_a_buffer_is_checked_and_not_passed_on() -> None:
    made = asked("UINT8", [1], b"1")
    made.inputs[0].parameters["binary_data_size"].int64_param = 1
    assert decoded(made).inputs[0].parameters == {}
    made.inputs[0].parameters["binary_data_size"].int64_param = 2
    assert "binary_data_size 2, and 1 bytes" in refusal(made)


def test_extensions_of_tritons_are_refused_by_name() -> None:
    made = asked("UINT8", [1], b"1")
    made.outputs.add(name="y").parameters["classification"].int64_param = 1
    with pytest.raises(errors.NotSupported, match="classification"):
        decoded(made)
    made = asked("UINT8", [1])
    made.inputs[0].parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(errors.NotSupported, match="shared_memory_region"):
        decoded(made)


def test_requested_outputs_keep_their_order_and_are_asked_for_once() -> None:
    made = asked("UINT8", [1], b"1")
    made.outputs.add(name="b")
    made.outputs.add(name="a")
    assert [output.name for output in decoded(made).outputs] == ["b", "a"]
    made.outputs.add(name="b")
    assert "'b' is asked for twice" in refusal(made)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_clear_refusal(body: bytes) -> None:
    try:
        decoded(body)
    except (errors.InvalidInput, errors.NotSupported) as error:
        assert str(error)  # noqa: PT017  # one of many examples


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_request_is_a_request_or_a_clear_refusal(data: st.DataObject) -> None:
    raw = asked("FP32", [2], struct.pack("<2f", 1, 2)).SerializeToString()
    typed = asked("INT64", [2], int64_contents=[1, 300]).SerializeToString()
    body = bytearray(data.draw(st.sampled_from([raw, typed])))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded(bytes(body))
    except (errors.InvalidInput, errors.NotSupported) as error:
        assert str(error)  # noqa: PT017  # as above


@given(st.text(max_size=5), st.lists(st.binary(max_size=200), max_size=5))
def test_splitting_a_message_agrees_with_protobuf(name: str, buffers: list[bytes]) -> None:
    made = triton.ModelInferRequest(model_name=name, raw_input_contents=buffers)
    made.outputs.add(name="y")
    found = v2_grpc_wire.split(made.SerializeToString(), 7)
    assert found is not None
    assert [bytes(view) for view in found[1]] == buffers
    made.ClearField("raw_input_contents")
    assert triton.ModelInferRequest.FromString(found[0]) == made


# -- answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("datatype", ARRAYS)
def test_answers_are_typed_where_the_request_was(datatype: str) -> None:
    array = ARRAYS[datatype]
    found = answered(Tensor("y", array, Datatype(datatype)))
    output = found.outputs[0]
    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, list(array.shape))
    assert list(getattr(output.contents, FIELDS[datatype])) == array.ravel().tolist()
    assert not found.raw_output_contents


@pytest.mark.parametrize("datatype", [name for name in ARRAYS if name != "BYTES"])
def test_answers_are_raw_where_the_request_was(datatype: str) -> None:
    array = ARRAYS[datatype]
    found = answered(Tensor("y", array, Datatype(datatype)), raw=True)
    assert found.raw_output_contents[0] == array.tobytes()
    assert found.outputs[0].parameters["binary_data_size"].int64_param == array.nbytes
    assert not found.outputs[0].HasField("contents")


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_a_datatype_without_contents_makes_the_whole_answer_raw(datatype: str) -> None:
    kind = Datatype(datatype)
    found = answered(
        Tensor("a", np.array([1], np.int64), Datatype.INT64), Tensor("h", np.array([0.5], kind.numpy), kind)
    )
    assert found.raw_output_contents[0] == struct.pack("<q", 1)
    assert len(found.raw_output_contents[1]) == 2


def test_requested_outputs_are_sent_in_the_order_asked_for() -> None:
    outputs = [Tensor(name, np.array([1]), Datatype.INT64) for name in "abc"]
    request = InferRequest(model_name="m", outputs=[RequestedOutput("c"), RequestedOutput("a")])
    assert [output.name for output in answered(*outputs, request=request).outputs] == ["c", "a"]
    with pytest.raises(errors.InvalidInput, match="Unexpected inference output 'z' for model 'm'"):
        answered(*outputs, request=InferRequest(model_name="m", outputs=[RequestedOutput("z")]))


def test_an_answer_has_the_id_of_its_request_or_one_that_is_made() -> None:
    assert answered().id == "7"
    assert len(answered(request=InferRequest(model_name="m")).id) == 36


def test_parameters_of_an_answer_are_sent_whatever_number_they_are() -> None:
    parameters = {"b": True, "i": -5, "u": 2**63, "d": 1.5, "s": "x", "n": np.float32(0.5)}
    tensor = Tensor("y", np.array([1]), Datatype.INT64, {"p": 2})
    found = answered(tensor, parameters=parameters)
    values = {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in found.parameters.items()}
    assert values == parameters
    assert found.outputs[0].parameters["p"].int64_param == 2


@pytest.mark.parametrize("value", [None, [1], 2**64, -(2**63) - 1, "\ud800"])
def test_a_parameter_that_no_message_can_hold_is_the_models_fault(value: Any) -> None:
    with pytest.raises(errors.InferenceFailed, match="cannot hold"):
        answered(parameters={"x": value})


def test_a_payload_that_is_a_v2_answer_becomes_tensors() -> None:
    payload = {"outputs": [{"name": "y", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
    assert list(answered(payload=payload).outputs[0].contents.fp32_contents) == [1, 2]
    with pytest.raises(errors.InferenceFailed, match="no V2 answer"):
        answered(payload={"predictions": [1]})


def test_a_tensor_that_is_not_what_it_says_is_the_models_fault() -> None:
    with pytest.raises(errors.InferenceFailed, match=r"Tensor\.from_numpy"):
        answered(Tensor("y", np.array([1.0]), Datatype.INT64))
    with pytest.raises(errors.InferenceFailed):
        answered(Tensor("y", np.array(["text"], object), Datatype.BYTES))


def test_texts_are_sent_raw_with_their_lengths() -> None:
    found = answered(Tensor("y", np.array([b"ab"], object), Datatype.BYTES), raw=True)
    assert found.raw_output_contents[0] == b"\x02\x00\x00\x00ab"


def test_no_class_of_a_message_is_ever_made_anew() -> None:
    """protobuf ends the process when one is found while a collector in another thread clears it."""
    full = messages.ModelInferRequest(model_name="m")
    full.parameters["p"].bool_param = True
    tensor = full.inputs.add(name="x", datatype="FP64", shape=[1])
    tensor.contents.fp64_contents.append(1.0)
    tensor.parameters["q"].string_param = "v"
    full.outputs.add(name="y").parameters["r"].int64_param = 1
    text = full.SerializeToString()

    def classes() -> list[weakref.ref[type]]:
        found = []
        for kind in (messages.ModelInferRequest, messages.PackedRequest):
            message = kind.FromString(text)
            parts: list[Any] = [message, message.inputs[0], message.inputs[0].contents, message.outputs[0]]
            parts += [message.parameters["p"], message.inputs[0].parameters["q"], message.outputs[0].parameters["r"]]
            found += [weakref.ref(type(part)) for part in parts]
        return found

    made = classes()
    gc.collect()
    assert all(each() is not None for each in made)
