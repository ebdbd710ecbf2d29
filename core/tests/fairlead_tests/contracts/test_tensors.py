"""The tensor contract: datatypes, the arrays that carry them, and the messages that hold them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Tensor

SIZES = {
    Datatype.BOOL: 1,
    Datatype.UINT8: 1,
    Datatype.UINT16: 2,
    Datatype.UINT32: 4,
    Datatype.UINT64: 8,
    Datatype.INT8: 1,
    Datatype.INT16: 2,
    Datatype.INT32: 4,
    Datatype.INT64: 8,
    Datatype.FP16: 2,
    Datatype.BF16: 2,
    Datatype.FP32: 4,
    Datatype.FP64: 8,
    Datatype.BYTES: None,
}


def objects(*values: object) -> np.ndarray[Any, np.dtype[np.object_]]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_every_datatype_has_the_element_size_of_the_protocol() -> None:
    assert {datatype: datatype.itemsize for datatype in Datatype} == SIZES


def test_every_datatype_but_bf16_is_that_of_its_own_dtype() -> None:
    for datatype in Datatype:
        expected = Datatype.FP32 if datatype is Datatype.BF16 else datatype
        assert Datatype.from_numpy(datatype.numpy) is expected


@pytest.mark.parametrize("dtype", ["U3", "S3", "O", "M8[s]"])
def test_text_bytes_objects_and_dates_are_carried_as_bytes(dtype: str) -> None:
    assert Datatype.from_numpy(np.dtype(dtype)) is Datatype.BYTES


def test_the_byte_order_of_an_array_does_not_matter() -> None:
    assert Datatype.from_numpy(np.dtype(">f4")) is Datatype.FP32
    assert Tensor.from_numpy("x", np.array([1.5], dtype=">f4")).data.dtype == np.dtype("<f4")


@pytest.mark.parametrize("dtype", ["c16", "m8[s]", [("a", "f4")]], ids=str)
def test_what_no_datatype_carries_is_refused_by_its_name(dtype: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="no tensor datatype carries numpy arrays of dtype"):
        Datatype.from_numpy(np.dtype(dtype))


def test_an_array_of_the_datatypes_own_dtype_is_not_copied() -> None:
    array = np.arange(4, dtype=np.float32)
    assert Tensor.from_numpy("x", array).data is array
    assert Tensor.from_numpy("x", array, Datatype.BF16).data is array


def test_an_array_is_converted_to_the_datatype_that_is_asked_for() -> None:
    tensor = Tensor.from_numpy("x", np.array([1, 2]), Datatype.FP32)
    assert (tensor.datatype, tensor.data.dtype, tensor.shape) == (Datatype.FP32, np.dtype(np.float32), (2,))


def test_text_dates_and_objects_become_their_utf8_text() -> None:
    day = dt.date(2024, 5, 1)
    assert Tensor.from_numpy("x", np.array(["ä"])).data.tolist() == ["ä".encode()]
    assert Tensor.from_numpy("x", np.array([day], dtype="M8[D]")).data.tolist() == [b"2024-05-01"]
    mixed = Tensor.from_numpy("x", objects("a", b"\xff", bytearray(b"b"), memoryview(b"c"), day, 1.5, None))
    assert mixed.data.tolist() == [b"a", b"\xff", b"b", b"c", b"2024-05-01", b"1.5", b"None"]
    assert mixed.datatype is Datatype.BYTES


def test_numbers_in_an_object_array_are_the_numbers_that_they_are() -> None:
    assert Tensor.from_numpy("x", objects(1, 2)) == Tensor("x", np.array([1, 2]), Datatype.INT64)
    assert Tensor.from_numpy("x", objects(1, 2.5)).datatype is Datatype.FP64
    assert Tensor.from_numpy("x", objects(True, False)).datatype is Datatype.BOOL
    assert Tensor.from_numpy("x", objects([1], [2, 3])).datatype is Datatype.BYTES


def test_numbers_in_an_object_array_are_text_where_bytes_are_asked_for() -> None:
    assert Tensor.from_numpy("x", objects(1, 2), Datatype.BYTES).data.tolist() == [b"1", b"2"]


def test_text_that_cannot_be_utf8_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="lone surrogate"):
        Tensor.from_numpy("x", objects("\ud800"))


@given(
    array=hnp.arrays(object, hnp.array_shapes(min_dims=0, min_side=0), elements=st.text(st.characters(codec="utf-8")))
)
def test_text_is_read_back_as_it_was(array: np.ndarray[Any, np.dtype[np.object_]]) -> None:
    tensor = Tensor.from_numpy("x", array, Datatype.BYTES)
    assert tensor.shape == array.shape
    assert tensor.as_strings().tolist() == array.tolist()


def test_only_text_is_read_as_strings() -> None:
    with pytest.raises(errors.InvalidInput, match="'x' is INT64, not BYTES"):
        Tensor.from_numpy("x", np.array([1])).as_strings()
    with pytest.raises(errors.InvalidInput, match="'x' has an element that is not UTF-8"):
        Tensor.from_numpy("x", objects(b"\xff")).as_strings()


def test_tensors_are_equal_when_everything_of_them_is() -> None:
    tensor = Tensor("x", np.array([1.0, np.nan]), Datatype.FP64, {"a": 1})
    assert tensor == Tensor("x", np.array([1.0, np.nan]), Datatype.FP64, {"a": 1})
    assert tensor != Tensor("y", tensor.data, Datatype.FP64, {"a": 1})
    assert tensor != Tensor("x", tensor.data, Datatype.FP64)
    assert tensor != Tensor("x", np.array([[1.0, np.nan]]), Datatype.FP64, {"a": 1})
    assert tensor != Tensor("x", tensor.data.astype(np.float32), Datatype.FP32, {"a": 1})
    assert tensor != "x"


def test_tensors_have_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Tensor("x", np.array([1]), Datatype.INT64))


def test_inputs_and_outputs_are_found_by_name() -> None:
    tensor = Tensor("x", np.array([1]), Datatype.INT64)
    assert InferRequest(model_name="m", inputs=[tensor]).input("x") is tensor
    assert InferResponse(model_name="m", outputs=[tensor]).output("x") is tensor
    with pytest.raises(errors.InvalidInput, match=r"no input 'y' \(it has 'x'\)"):
        InferRequest(model_name="m", inputs=[tensor]).input("y")
    with pytest.raises(errors.InvalidInput, match="Unexpected inference output 'y' for model 'm'"):
        InferResponse(model_name="m", outputs=[tensor]).output("y")


def test_a_request_of_columns_says_so_by_its_content_type() -> None:
    assert InferRequest(model_name="m", parameters={"content_type": "pd"}).columns
    assert not InferRequest(model_name="m").columns
