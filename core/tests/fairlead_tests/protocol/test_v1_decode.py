"""V1 requests: what becomes of a body, and of its instances."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import Capability, ModelMetadata
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor, TensorSpec
from fairlead.protocol import v1

UNKNOWN = ModelMetadata()
TAKES_JSON = ModelMetadata(capabilities=frozenset({Capability.JSON}))
TABLE = ModelMetadata(
    inputs=(
        TensorSpec("age", Datatype.FP64, (-1,)),
        TensorSpec("town", Datatype.BYTES, (-1,)),
        TensorSpec("rooms", Datatype.INT64, (-1,)),
    ),
    capabilities=frozenset({Capability.COLUMNS}),
)


def decode(
    content: bytes, *, metadata: ModelMetadata = UNKNOWN, content_type: str | None = None, **headers: str
) -> InferRequest:
    return v1.decode(content, model_name="m", metadata=metadata, content_type=content_type, headers=headers)


def instances(*values: Any, metadata: ModelMetadata = UNKNOWN) -> InferRequest:
    return decode(json.dumps({"instances": values}).encode(), metadata=metadata)


def columns(*values: Any, metadata: ModelMetadata = UNKNOWN) -> dict[str, list[Any]]:
    request = instances(*values, metadata=metadata)
    assert request.columns
    return {tensor.name: tensor.data.tolist() for tensor in request.inputs}


# -- bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/ld+json",
        "application/octet-stream",
    ],
)
def test_these_content_types_are_json(content_type: str | None) -> None:
    request = decode(b'{"instances":[[1.5]]}', content_type=content_type)
    assert request.payload == {"instances": [[1.5]]}
    assert request.inputs[0].data.tolist() == [[1.5]]


@pytest.mark.parametrize("content_type", ["image/png", "text/plain", "application/avro"])
def test_any_other_content_type_is_handed_on_as_bytes(content_type: str) -> None:
    request = decode(b"\x89PNG", content_type=content_type, accept="*/*")
    assert (request.payload, list(request.inputs), dict(request.headers)) == (b"\x89PNG", [], {"accept": "*/*"})
    received = v1.decode(
        memoryview(b"\x89PNG"), model_name="m", metadata=UNKNOWN, content_type=content_type, headers={}
    )
    assert type(received.payload) is bytes


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"instances":[NaN]}'])
def test_a_body_that_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(errors.InvalidInput, match=r"^Unrecognized request format: "):
        decode(content)


@pytest.mark.parametrize("content", [b"[1,2]", b"1", b'"a"', b"null"])
def test_a_body_that_is_no_object_is_for_models_of_json_alone(content: bytes) -> None:
    assert decode(content, metadata=TAKES_JSON).payload == json.loads(content)
    with pytest.raises(errors.InvalidInput, match="not a JSON object"):
        decode(content)


def test_a_model_of_json_gets_the_payload_and_no_tensors() -> None:
    for content in (b'{"instances":[[1,2]]}', b'{"instances":[]}', b'{"prompt":"hi"}', b'{"inputs":{"a":1}}'):
        request = decode(content, metadata=TAKES_JSON)
        assert (request.payload, list(request.inputs)) == (json.loads(content), [])


@pytest.mark.parametrize("metadata", [UNKNOWN, TAKES_JSON], ids=["tensors", "json"])
def test_the_parameters_of_a_body_are_those_of_the_request(metadata: ModelMetadata) -> None:
    parameters = {"method": "predict_proba", "top": 3, "share": 0.5, "flag": True}
    document = {"parameters": parameters, "instances": [[1, 2]]}
    request = decode(json.dumps(document).encode(), metadata=metadata)
    assert (request.parameters, request.payload) == (parameters, document)
    assert decode(b'{"parameters":null,"instances":[1]}', metadata=metadata).parameters == {}


def test_a_table_says_so_beside_the_parameters_of_the_body_and_leaves_the_payload_alone() -> None:
    document = {"parameters": {"method": "predict", "content_type": "np"}, "instances": [{"age": 1, "rooms": 2}]}
    request = decode(json.dumps(document).encode(), metadata=TABLE)
    assert request.parameters == {"method": "predict", "content_type": "pd"}
    assert request.payload == document


@pytest.mark.parametrize("metadata", [UNKNOWN, TAKES_JSON], ids=["tensors", "json"])
@pytest.mark.parametrize(
    ("parameters", "location"),
    [
        ([1], ("parameters",)),
        ("a", ("parameters",)),
        ({"a": [1]}, ("parameters", "a")),
        ({"b": {}}, ("parameters", "b")),
    ],
)
def test_parameters_that_no_request_can_have_are_told_with_their_place(
    metadata: ModelMetadata, parameters: object, location: tuple[str, ...]
) -> None:
    with pytest.raises(errors.InvalidSchema) as caught:
        decode(json.dumps({"parameters": parameters, "instances": [1]}).encode(), metadata=metadata)
    assert caught.value.location == location


@pytest.mark.parametrize("metadata", [UNKNOWN, TAKES_JSON], ids=["tensors", "json"])
def test_instances_that_are_no_list_are_refused(metadata: ModelMetadata) -> None:
    with pytest.raises(errors.InvalidInput, match=r'^Expected "instances" to be a list$'):
        decode(b'{"instances":{"a":1}}', metadata=metadata)


def test_inputs_win_over_instances() -> None:
    assert decode(b'{"instances":[[1]],"inputs":[[2]]}').inputs[0].data.tolist() == [[2]]
    with pytest.raises(errors.InvalidInput, match=r'^Expected "inputs" to be a list$'):
        decode(b'{"instances":[[1]],"inputs":2}')


@pytest.mark.parametrize("content", [b"{}", b'{"data":[1]}'])
def test_an_object_without_instances_is_refused(content: bytes) -> None:
    with pytest.raises(errors.InvalidInput, match='neither "instances" nor "inputs"'):
        decode(content)


def test_no_instances_are_nothing_to_predict() -> None:
    with pytest.raises(errors.InvalidInput, match='"instances" is an empty list'):
        instances()


def with_headers(headers: dict[str, str]) -> InferRequest:
    return v1.decode(b'{"instances":[[1]]}', model_name="m", metadata=UNKNOWN, content_type=None, headers=headers)


def test_a_cloudevent_is_told_to_be_unsupported_and_not_misread() -> None:
    event = {"time": "t", "type": "t", "source": "s", "id": "1", "specversion": "1.0", "data": {"instances": [[1]]}}
    binary = {"ce-specversion": "1.0", "ce-source": "s", "ce-type": "t", "ce-id": "1"}
    with pytest.raises(errors.NotSupported, match="CloudEvents"):
        decode(json.dumps(event).encode(), content_type="application/json")
    with pytest.raises(errors.NotSupported, match="CloudEvents"):
        decode(b'{"instances":[[1]]}', content_type="application/cloudevents+json")
    with pytest.raises(errors.NotSupported, match="CloudEvents"):
        with_headers(binary)
    binary.pop("ce-id")
    assert with_headers(binary).inputs[0].shape == (1, 1)


# -- rectangles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "array", "datatype"),
    [
        ([[6.8, 2.8], [6.0, 3]], np.array([[6.8, 2.8], [6.0, 3.0]]), Datatype.FP64),
        ([[1, 2]], np.array([[1, 2]]), Datatype.INT64),
        ([2**63], np.array([2**63], dtype=np.uint64), Datatype.UINT64),
        ([True, False], np.array([True, False]), Datatype.BOOL),
        ([True, 2], np.array([1, 2]), Datatype.INT64),
        ([[1, None]], np.array([[1.0, np.nan]]), Datatype.FP64),
        ([[None]], np.array([[np.nan]]), Datatype.FP64),
        (["a", "ä"], np.array([b"a", "ä".encode()], dtype=object), Datatype.BYTES),
        ([[["a"]]], np.array([[[b"a"]]], dtype=object), Datatype.BYTES),
        ([[], []], np.empty((2, 0)), Datatype.FP64),
    ],
)
def test_a_rectangle_of_values_is_one_tensor(values: list[Any], array: Any, datatype: Datatype) -> None:
    request = instances(*values)
    assert list(request.inputs) == [Tensor("input-0", array, datatype)]
    assert request.parameters == {}


def test_the_tensor_has_the_name_of_the_models_only_input() -> None:
    metadata = ModelMetadata(inputs=(TensorSpec("pixels", Datatype.FP32, (-1, 4)),))
    assert instances([1, 2, 3, 4], metadata=metadata).inputs[0].name == "pixels"


@pytest.mark.parametrize("values", [[[1, 2], [3]], [1, [2]], [[1, "a"]], [1, {"a": 1}], [{"a": 1}, 2]], ids=str)
def test_what_is_no_rectangle_of_one_kind_stays_as_it_is(values: list[Any]) -> None:
    request = instances(*values)
    assert (request.payload, list(request.inputs)) == ({"instances": values}, [])


@pytest.mark.parametrize("longer", [[4, 5, 6], [4]], ids=str)
def test_a_row_of_another_length_is_named_to_clients_of_models_of_tensors(longer: list[int]) -> None:
    metadata = ModelMetadata(inputs=(TensorSpec("pixels", Datatype.FP32, (-1, 2)),))
    message = rf"^instances: row 2 has {len(longer)} values, row 0 has 2\."
    with pytest.raises(errors.InvalidInput, match=message):
        instances([0, 1], [2, 3], longer, metadata=metadata)
    with pytest.raises(errors.InvalidInput, match="nested lists are not of one shape"):
        instances([[0, 1]], [[2]], metadata=metadata)


def test_integers_of_both_unsigned_and_negative_range_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="in the range of UINT64"):
        instances(-1, 2**64 - 1)


# -- tables ---------------------------------------------------------------------------------------------


def test_mixed_rows_for_a_table_of_that_width_are_columns_by_position() -> None:
    assert columns([30.5, "Kiel", 2], [None, "Bonn", 3], metadata=TABLE) == {
        "age": pytest.approx([30.5, np.nan], nan_ok=True),
        "town": [b"Kiel", b"Bonn"],
        "rooms": [2, 3],
    }


def test_mixed_rows_of_another_width_stay_as_they_are() -> None:
    assert list(instances([30.5, "Kiel"], metadata=TABLE).inputs) == []


def test_rows_of_numbers_are_one_tensor_even_for_a_table() -> None:
    assert instances([1.0, 2.0, 3.0], metadata=TABLE).inputs[0].shape == (1, 3)


@pytest.mark.parametrize(
    "values",
    [
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        [{"a": [1, 2], "b": ["x", "y"]}],
        [{"a": [1], "b": ["x"]}, {"a": [2], "b": ["y"]}],
        [{"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}],
        [[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]],
        [[{"a": 1, "b": "x"}], [{"a": 2, "b": "y"}]],
    ],
    ids=["records", "lists", "one list each", "pandas", "list of records", "lists of records"],
)
def test_every_form_of_a_table_is_one_tensor_for_each_column(values: list[Any]) -> None:
    request = instances(*values)
    assert request.parameters == {"content_type": "pd"}
    assert list(request.inputs) == [
        Tensor("a", np.array([1, 2]), Datatype.INT64),
        Tensor("b", np.array([b"x", b"y"], dtype=object), Datatype.BYTES),
    ]


def test_missing_keys_are_missing_values() -> None:
    assert columns({"a": 1}, {"b": True}) == {
        "a": pytest.approx([1.0, np.nan], nan_ok=True),
        "b": pytest.approx([np.nan, 1.0], nan_ok=True),
    }
    assert columns({"a": {"0": 1.0}, "b": {"1": 2.0}})["b"] == pytest.approx([np.nan, 2.0], nan_ok=True)


def test_columns_come_in_the_models_order_and_then_in_that_of_the_request() -> None:
    assert list(columns({"z": 1, "rooms": 2, "age": 3}, {"y": 1}, metadata=TABLE)) == ["age", "rooms", "z", "y"]


def test_a_column_that_mixes_text_and_other_values_is_refused_by_its_name() -> None:
    with pytest.raises(errors.InvalidInput, match="column 'b' mixes missing values and text"):
        instances({"a": 1, "b": "x"}, {"a": 2})
    with pytest.raises(errors.InvalidInput, match="column 'b' mixes numbers and text"):
        instances({"b": "x"}, {"b": 2})
    with pytest.raises(errors.InvalidInput, match="column 'b' mixes lists"):
        instances({"b": [[1]]})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"a": [1, 2], "b": [1]}, r"instance 0: its columns have \[1, 2\] values"),
        ({"a": [1], "b": 1}, "instance 0: some of its columns are one value"),
        ({"a": {"0": 1}, "b": 1}, "instance 0: some of its columns are one value"),
        ({"a": {"0": 1}, "b": [1]}, "instance 0: some of its columns are one value"),
        ({}, "without a single value"),
        ({"a": []}, "without a single value"),
    ],
)
def test_records_that_make_no_table_are_refused(record: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        instances(record)


@pytest.mark.parametrize(
    "values",
    [
        [{f"c{place}": 1} for place in range(5_000)],
        [{f"c{place}": {str(place): 1} for place in range(5_000)}],
    ],
    ids=["records", "pandas"],
)
def test_a_table_of_nearly_only_missing_values_is_refused_before_it_is_made(values: list[Any]) -> None:
    began = time.process_time()
    with pytest.raises(errors.InvalidInput, match="25000000 cells of which only 5000 have a value"):
        instances(*values)
    assert time.process_time() - began < 1


def test_records_of_several_rows_and_of_one_are_one_table() -> None:
    records: list[Any] = [{"a": [1, 2]}, {"a": 3, "b": 4}, {"b": {"0": 5, "1": 6}}, {"a": []}, {}]
    nothing = pytest.approx(float("nan"), nan_ok=True)
    assert columns(*records) == {
        "a": [1, 2, 3, nothing, nothing, nothing],
        "b": [nothing, nothing, 4, 5, 6, nothing],
    }


def test_a_record_of_a_million_values_takes_little_more_memory_than_they_do() -> None:
    content = b'{"instances":[{"a":[' + b"0," * 999_999 + b"0]}]}"
    tracemalloc.start()
    try:
        request = decode(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert request.inputs[0].shape == (1_000_000,)
    assert peak < 64 * 1_000_000


def test_b64_values_are_binary_data() -> None:
    assert list(instances({"b64": "/wA="}, {"b64": ""}).inputs) == [
        Tensor("input-0", np.array([b"\xff\x00", b""], dtype=object), Datatype.BYTES)
    ]
    assert columns({"image": {"b64": "/wA="}, "size": 3}) == {"image": [b"\xff\x00"], "size": [3]}
    with pytest.raises(errors.InvalidInput, match="not base64"):
        instances({"b64": "?"})
