"""V2 messages that are JSON alone."""

from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Parameter, RequestedOutput, Tensor
from fairlead.protocol import v2
from fairlead_tests.protocol import wire


def decoded_input(**changes: Any) -> Tensor:
    return wire.decode_v2(wire.v2_json(wire.v2_input(**changes))).inputs[0]


def answer(*tensors: Tensor, request: InferRequest | None = None, **more: Any) -> bytes:
    response = InferResponse(model_name="TestModel", outputs=tensors, **more)
    return wire.body(v2.encode(response, request or InferRequest(model_name="TestModel", id="123")))


# -- requests -------------------------------------------------------------------------------------------


def test_nested_data_is_read_in_row_major_order() -> None:
    nested = decoded_input(shape=[2, 2], datatype="INT32", data=[[1, 2], [3, 4]])
    flat = decoded_input(shape=[2, 2], datatype="INT32", data=[1, 2, 3, 4])
    assert nested == flat == Tensor("x", np.array([[1, 2], [3, 4]], dtype=np.int32), Datatype.INT32)


def test_parameters_of_every_kind_are_read_on_the_request_the_inputs_and_the_outputs() -> None:
    parameters: dict[str, Parameter] = {"text": "a", "truth": True, "count": 3, "share": 0.5}
    request = wire.decode_v2(
        wire.v2_json(
            wire.v2_input(parameters=parameters),
            id="9",
            parameters=parameters,
            outputs=[{"name": "y", "parameters": parameters}],
        )
    )
    assert request.id == "9"
    assert request.parameters == parameters
    assert request.inputs[0].parameters == parameters
    assert list(request.outputs) == [RequestedOutput("y", parameters)]


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/json; charset=utf-8"}, {"content-type": "application/octet-stream"}],
    ids=["none", "charset", "octet-stream"],
)
def test_json_is_read_under_any_content_type(headers: dict[str, str]) -> None:
    assert wire.decode_v2(wire.v2_json(wire.v2_input()), **headers).inputs[0].shape == (2,)


def test_the_buffers_of_a_transport_are_all_read() -> None:
    content = wire.v2_json(wire.v2_input())
    for body in (content, bytearray(content), memoryview(content)):
        assert v2.decode(body, model_name="m", headers={}).inputs[0].shape == (2,)


def test_unknown_keys_are_ignored_and_null_means_absent() -> None:
    content = wire.v2_json({**wire.v2_input(), "parameters": None, "extra": 1}, id=None, outputs=None, model_name="z")
    request = wire.decode_v2(content)
    assert (request.model_name, request.id, request.parameters, list(request.outputs)) == ("m", None, {}, [])


def test_nan_and_infinity_literals_are_read_as_numbers() -> None:
    tensor = decoded_input(shape=[3], data=[float("nan"), float("inf"), -float("inf")])
    np.testing.assert_array_equal(tensor.data, np.array([np.nan, np.inf, -np.inf], dtype=np.float32))


def test_null_is_nan_in_floating_point_datatypes_alone() -> None:
    assert np.isnan(decoded_input(data=[None, 1.0]).data[0])
    for datatype in ("INT32", "BOOL", "BYTES"):
        with pytest.raises(errors.InvalidInput, match="element 0"):
            decoded_input(datatype=datatype, data=[None, 1])


def test_64_bit_integers_are_exact_over_their_whole_range() -> None:
    assert decoded_input(datatype="UINT64", data=[0, 2**64 - 1]).data.tolist() == [0, 2**64 - 1]
    assert decoded_input(datatype="INT64", data=[-(2**63), 2**63 - 1]).data.tolist() == [-(2**63), 2**63 - 1]
    assert decoded_input(datatype="INT64", data=[2**63 - 1, 1.0]).data.tolist() == [2**63 - 1, 1]


@pytest.mark.parametrize(
    ("datatype", "element"),
    [
        ("INT8", 128),
        ("INT8", -129),
        ("INT8", 300.0),
        ("UINT8", -1),
        ("UINT8", 256),
        ("UINT16", 65536),
        ("INT32", 2**31),
        ("UINT32", 2**32),
        ("INT64", 2**63),
        ("INT64", -(2**63) - 1),
        ("INT64", 2.0**53 + 2),
        ("UINT64", 2**64),
        ("UINT64", -1),
        ("FP32", 1e39),
        ("INT32", 1.5),
        ("INT32", "1"),
        ("FP32", "1.5"),
        ("FP32", [1.0]),
        ("FP64", {}),
        ("BOOL", 2),
        ("BOOL", -1),
        ("BOOL", "true"),
        ("BYTES", 1),
        ("BYTES", True),
        ("BYTES", ["a"]),
    ],
)
def test_an_element_that_is_not_of_the_datatype_is_refused_with_its_place(datatype: str, element: object) -> None:
    good = "a" if datatype == "BYTES" else 1
    with pytest.raises(errors.InvalidInput, match="input 'x': element 1 of its data"):
        decoded_input(datatype=datatype, data=[good, element])


def test_whole_floats_and_booleans_are_numbers() -> None:
    assert decoded_input(datatype="INT8", data=[1.0, True]).data.tolist() == [1, 1]
    assert decoded_input(datatype="FP32", data=[1, False]).data.tolist() == [1.0, 0.0]
    assert decoded_input(datatype="BOOL", data=[1.0, 0]).data.tolist() == [True, False]


def test_whole_numbers_of_a_shape_may_be_written_as_floats() -> None:
    assert decoded_input(shape=[2.0, 1]).shape == (2, 1)


def test_integers_that_no_double_can_hold_are_out_of_range() -> None:
    content = wire.v2_json(wire.v2_input(datatype="FP64", data=[float("nan"), 10**400]))
    with pytest.raises(errors.InvalidInput, match=r"element 1 of its data, 1000.* is not in the range of FP64"):
        wire.decode_v2(content)


def test_an_integer_parameter_has_at_most_64_bits() -> None:
    content = wire.v2_json(wire.v2_input(data=[float("nan"), 1]), parameters={"a": 2**64})
    with pytest.raises(errors.InvalidSchema, match="at most 64 bits"):
        wire.decode_v2(content)


def test_bytes_elements_are_the_utf8_of_their_strings() -> None:
    assert decoded_input(datatype="BYTES", data=["ä\x00", ""]).data.tolist() == ["ä\x00".encode(), b""]


def test_datatypes_are_read_in_either_case() -> None:
    assert decoded_input(datatype="fp64").datatype is Datatype.FP64


def test_bytes_without_a_shape_are_as_many_as_are_sent() -> None:
    assert decoded_input(datatype="BYTES", shape=[], data=["a", "b"]).shape == (2,)
    assert decoded_input(datatype="BYTES", shape=[], data=["a"]).shape == (1,)


def test_a_number_without_dimensions_is_one_element() -> None:
    assert decoded_input(shape=[], data=[1.5]).shape == ()
    with pytest.raises(errors.InvalidInput, match=r"shape \[\] needs 1 elements, and data has 2"):
        decoded_input(shape=[], data=[1.0, 2.0])


def test_empty_tensors_are_tensors() -> None:
    assert decoded_input(shape=[0, 4], data=[]).shape == (0, 4)
    assert decoded_input(shape=[2, 0], data=[[], []]).shape == (2, 0)


@pytest.mark.parametrize("data", [[[1, 2], [3]], [[1], 2], [[[1]], [2]]], ids=str)
def test_ragged_data_is_refused(data: list[Any]) -> None:
    with pytest.raises(errors.InvalidInput, match="not of one length"):
        decoded_input(shape=[3], data=data)


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_is_refused_in_json_with_what_to_do(datatype: str) -> None:
    with pytest.raises(errors.InvalidInput, match=f"{datatype} has no JSON form.*binary"):
        decoded_input(datatype=datatype)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([-1, 2], "negative"),
        ([2**62, 2**62], "more elements than can be addressed"),
        ([0, 2**63], "more elements than can be addressed"),
        ([1] * 33, "33 dimensions"),
        ([3], "needs 3 elements, and data has 2"),
        ([2**40], "data has 2"),
    ],
    ids=str,
)
def test_a_shape_that_cannot_be_is_refused(shape: list[int], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        decoded_input(shape=shape)


@pytest.mark.parametrize(
    ("document", "location", "kind"),
    [
        ([], (), "dict_type"),
        ({}, ("inputs",), "missing"),
        ({"inputs": {}}, ("inputs",), "list_type"),
        ({"inputs": [1]}, ("inputs", 0), "dict_type"),
        ({"inputs": [wire.v2_input(name=None)]}, ("inputs", 0, "name"), "missing"),
        ({"inputs": [wire.v2_input(name=1)]}, ("inputs", 0, "name"), "string_type"),
        ({"inputs": [wire.v2_input(shape=None)]}, ("inputs", 0, "shape"), "missing"),
        ({"inputs": [wire.v2_input(shape=2)]}, ("inputs", 0, "shape"), "list_type"),
        ({"inputs": [wire.v2_input(shape=[1.5])]}, ("inputs", 0, "shape", 0), "int_type"),
        ({"inputs": [wire.v2_input(shape=["2"])]}, ("inputs", 0, "shape", 0), "int_type"),
        ({"inputs": [wire.v2_input(shape=[True])]}, ("inputs", 0, "shape", 0), "int_type"),
        ({"inputs": [wire.v2_input(datatype=None)]}, ("inputs", 0, "datatype"), "missing"),
        ({"inputs": [wire.v2_input(data=None)]}, ("inputs", 0, "data"), "missing"),
        ({"inputs": [wire.v2_input(data=1)]}, ("inputs", 0, "data"), "list_type"),
        ({"inputs": [wire.v2_input(parameters=[])]}, ("inputs", 0, "parameters"), "dict_type"),
        ({"inputs": [wire.v2_input(parameters={"a": []})]}, ("inputs", 0, "parameters", "a"), "parameter_type"),
        ({"inputs": [wire.v2_input()], "id": 1}, ("id",), "string_type"),
        ({"inputs": [wire.v2_input()], "parameters": {"a": None}}, ("parameters", "a"), "parameter_type"),
        ({"inputs": [wire.v2_input()], "parameters": {"a": float("inf")}}, ("parameters", "a"), "finite_number"),
        (
            {"inputs": [wire.v2_input()], "parameters": {"binary_data_output": 1}},
            ("parameters", "binary_data_output"),
            "bool_type",
        ),
        ({"inputs": [wire.v2_input()], "outputs": {}}, ("outputs",), "list_type"),
        ({"inputs": [wire.v2_input()], "outputs": [{}]}, ("outputs", 0, "name"), "missing"),
        (
            {"inputs": [wire.v2_input()], "outputs": [{"name": "y", "parameters": {"binary_data": "yes"}}]},
            ("outputs", 0, "parameters", "binary_data"),
            "bool_type",
        ),
    ],
)
def test_a_schema_mistake_is_told_with_its_place(document: Any, location: tuple[str | int, ...], kind: str) -> None:
    with pytest.raises(errors.InvalidSchema) as caught:
        wire.decode_v2(json.dumps(document).encode())
    assert (caught.value.location, caught.value.kind) == (location, kind)


def test_an_unknown_datatype_is_refused_with_those_that_exist() -> None:
    with pytest.raises(errors.InvalidInput, match=r"'FP8' is not a datatype.*BF16"):
        decoded_input(datatype="FP8")


def test_a_request_without_inputs_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="no inputs"):
        wire.decode_v2(b'{"inputs":[]}')


def test_names_that_occur_twice_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="two inputs have the name 'x'"):
        wire.decode_v2(wire.v2_json(wire.v2_input(), wire.v2_input()))
    with pytest.raises(errors.InvalidInput, match="'y' is asked for twice"):
        wire.decode_v2(wire.v2_json(wire.v2_input(), outputs=[{"name": "y"}, {"name": "y"}]))


def test_an_answer_of_another_kind_is_not_supported() -> None:
    with pytest.raises(errors.NotSupported, match="classification"):
        wire.decode_v2(wire.v2_json(wire.v2_input(), outputs=[{"name": "y", "parameters": {"classification": 3}}]))


def test_an_unreadable_body_that_may_be_binary_is_told_of_the_header() -> None:
    with pytest.raises(errors.InvalidInput, match=r"Unrecognized request format.*inference-header-content-length"):
        wire.decode_v2(b"\x00\x01", **{"content-type": "application/octet-stream"})


# -- answers --------------------------------------------------------------------------------------------


def test_an_answer_has_the_keys_and_nulls_of_kserve_in_its_order() -> None:
    output = Tensor.from_numpy("fp32_output", np.array([[6.8, 2.5]], dtype=np.float16).astype(np.float32))
    assert answer(output) == (
        b'{"model_name":"TestModel","model_version":null,"id":"123","parameters":null,"outputs":'
        b'[{"name":"fp32_output","shape":[1,2],"datatype":"FP32","parameters":null,"data":[6.8007812,2.5]}]}'
    )


def test_an_answer_carries_its_version_and_parameters() -> None:
    output = Tensor("y", np.array([1]), Datatype.INT64, {"unit": "cm"})
    document = json.loads(answer(output, model_version="2", parameters={"note": "a"}, id="own"))
    assert (document["model_version"], document["parameters"], document["id"]) == ("2", {"note": "a"}, "own")
    assert document["outputs"][0]["parameters"] == {"unit": "cm"}


def test_the_size_of_a_buffer_that_a_model_echoes_is_not_sent_with_data() -> None:
    output = Tensor("y", np.array([1]), Datatype.INT64, {"binary_data_size": 8, "unit": "cm"})
    assert json.loads(answer(output))["outputs"][0]["parameters"] == {"unit": "cm"}


def test_an_answer_is_json_without_further_headers() -> None:
    encoded = v2.encode(InferResponse(model_name="m"), InferRequest(model_name="m"))
    assert (encoded.content_type, encoded.headers) == ("application/json", ())


def test_an_answer_to_a_request_without_an_id_gets_a_fresh_one() -> None:
    first, second = (json.loads(answer(request=InferRequest(model_name="m")))["id"] for _ in range(2))
    assert first != second
    assert uuid.UUID(first).version == 4


def test_numbers_that_json_lacks_are_null() -> None:
    output = Tensor.from_numpy("y", np.array([np.nan, np.inf, -np.inf, 1.0]))
    assert json.loads(answer(output))["outputs"][0]["data"] == [None, None, None, 1.0]


def test_outputs_that_are_not_contiguous_are_sent_in_row_major_order() -> None:
    output = Tensor.from_numpy("y", np.arange(6).reshape(2, 3).T)
    assert json.loads(answer(output))["outputs"][0]["data"] == [0, 3, 1, 4, 2, 5]


def test_string_labels_are_sent_as_text() -> None:
    output = Tensor.from_numpy("label", np.array(["setosa", "ä"]))
    assert json.loads(answer(output))["outputs"][0] == {
        "name": "label",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": None,
        "data": ["setosa", "ä"],
    }


def test_requested_outputs_are_filtered_and_ordered() -> None:
    outputs = [Tensor.from_numpy(name, np.array([index])) for index, name in enumerate("abc")]
    request = InferRequest(model_name="m", outputs=[RequestedOutput("c"), RequestedOutput("a")])
    assert [output["name"] for output in json.loads(answer(*outputs, request=request))["outputs"]] == ["c", "a"]


def test_a_requested_output_that_does_not_exist_is_the_clients_mistake() -> None:
    request = InferRequest(model_name="TestModel", outputs=[RequestedOutput("x")])
    with pytest.raises(errors.InvalidInput, match=r"^Unexpected inference output 'x' for model 'TestModel'$"):
        answer(request=request)


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.BF16])
def test_half_precision_that_is_not_asked_for_as_binary_is_refused(datatype: Datatype) -> None:
    with pytest.raises(errors.InvalidInput, match="binary_data"):
        answer(Tensor.from_numpy("y", np.array([1.0]), datatype))


def test_an_output_that_is_not_what_it_says_is_the_models_fault() -> None:
    with pytest.raises(errors.InferenceFailed, match="says that it is FP32 and holds float64"):
        answer(Tensor("y", np.array([1.0]), Datatype.FP32))
    with pytest.raises(errors.InferenceFailed, match=r"not bytes.*from_numpy"):
        answer(Tensor("y", np.array(["text"], dtype=object), Datatype.BYTES))


def test_a_payload_that_is_a_v2_answer_is_sent_as_one() -> None:
    output = {"name": "y", "shape": (1, 2), "datatype": "FP32", "data": np.array([[1.0, 2.0]])}
    other = {"name": "z", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    request = InferRequest(model_name="m", id="1", outputs=[RequestedOutput("y")])
    assert answer(payload={"outputs": [output, other]}, request=request) == (
        b'{"model_name":"TestModel","model_version":null,"id":"1","parameters":null,"outputs":'
        b'[{"name":"y","shape":[1,2],"datatype":"FP32","parameters":null,"data":[1.0,2.0]}]}'
    )


@pytest.mark.parametrize(
    "payload",
    [{"predictions": [1]}, [1, 2], b"raw", {"outputs": 1}, {"outputs": [{"name": "y"}]}, {"outputs": [1]}],
    ids=str,
)
def test_a_payload_that_is_no_v2_answer_is_the_models_fault(payload: Any) -> None:
    with pytest.raises(errors.InferenceFailed, match="no V2 answer"):
        answer(payload=payload)


# -- the client's side ----------------------------------------------------------------------------------


def test_a_client_cannot_send_what_json_cannot_carry() -> None:
    request = InferRequest(model_name="m", inputs=[Tensor("x", np.array([1.0]), Datatype.FP32)])
    with pytest.raises(errors.InvalidInput, match="says that it is FP32"):
        v2.encode_request(request, binary=False)


def test_a_client_sends_its_id_parameters_and_requested_outputs() -> None:
    request = InferRequest(
        model_name="m",
        id="1",
        inputs=[Tensor.from_numpy("x", np.array([1]))],
        outputs=[RequestedOutput("y"), RequestedOutput("z", {"binary_data": True})],
        parameters={"content_type": "pd"},
    )
    assert wire.body(v2.encode_request(request, binary=False)) == (
        b'{"id":"1","parameters":{"content_type":"pd"},"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[1]}'
        b'],"outputs":[{"name":"y"},{"name":"z","parameters":{"binary_data":true}}]}'
    )


def test_an_answer_without_a_model_name_is_none() -> None:
    with pytest.raises(errors.InvalidSchema) as caught:
        v2.decode_response(b'{"outputs":[]}', {})
    assert caught.value.location == ("model_name",)


# -- explanations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "text"),
    [({"why": [1, 2]}, b'{"why":[1,2]}'), ([1], b"[1]"), ("text", b"text"), (b"raw", b"raw"), (1.5, b"1.5")],
)
def test_an_explanation_that_is_no_tensors_is_the_text_of_one(payload: Any, text: bytes) -> None:
    (output,) = v2.as_explanation(InferResponse(model_name="m", payload=payload)).outputs
    assert (output.name, output.datatype, output.shape, output.data[0]) == ("explanation", Datatype.BYTES, (1,), text)


def test_an_explanation_of_tensors_stays_as_it_is() -> None:
    response = InferResponse(model_name="m", outputs=[Tensor.from_numpy("a", np.zeros(2))])
    assert v2.as_explanation(response) is response
