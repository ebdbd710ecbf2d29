"""Reading a request as the named tensors that a model takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead import Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature, cast

IMAGE = TensorSpec("image", Datatype.FP32, (-1, 2, 2))
SCALE = TensorSpec("scale", Datatype.FP32, ())
TEXT = TensorSpec("text", Datatype.BYTES, (-1,))


def asked(*tensors: Tensor) -> InferRequest:
    return InferRequest(model_name="m", inputs=tensors)


def of(name: str, values: Any, dtype: str = "f4") -> Tensor:
    return Tensor.from_numpy(name, np.array(values, dtype=dtype))


def test_arrays_come_by_name_in_the_order_of_the_model() -> None:
    found = Signature([IMAGE, SCALE]).read(asked(of("scale", 2.0), of("image", np.zeros((3, 2, 2)))))
    assert list(found) == ["image", "scale"]
    assert found["image"].shape == (3, 2, 2)


def test_an_array_that_fits_is_handed_on_as_it_is() -> None:
    tensor = of("image", np.zeros((3, 2, 2)))
    tensor.data.flags.writeable = False
    assert Signature([IMAGE]).read(asked(tensor))["image"] is tensor.data


def test_a_single_tensor_of_any_name_is_the_input_that_a_model_needs() -> None:
    signature = Signature([IMAGE, SCALE], optional=["scale"])
    assert list(signature.read(asked(of("input-0", np.zeros((1, 2, 2)))))) == ["image"]
    assert list(signature.read(asked(of("image", np.zeros((1, 2, 2))), of("scale", 1.0)))) == ["image", "scale"]


def test_whole_numbers_of_json_become_the_floats_that_a_model_takes() -> None:
    found = Signature([IMAGE]).read(asked(of("image", np.ones((1, 2, 2)), "i8")))["image"]
    assert found.dtype == np.float32
    assert found.tolist() == [[[1.0, 1.0], [1.0, 1.0]]]


def test_text_stays_bytes() -> None:
    tensor = Tensor.from_numpy("text", np.array(["é", "b"]))
    assert Signature([TEXT]).read(asked(tensor))["text"].tolist() == ["é".encode(), b"b"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "The request holds no tensors; expected 'image' FP32 [-1, 2, 2], 'scale' FP32 []."),
        ([of("image", np.zeros((1, 2, 2)))], "The request lacks 'scale'; expected"),
        (
            [of("picture", 1.0), of("scale", 1.0)],
            "lacks 'image' and has inputs that the model does not know",
        ),
        ([of("scale", 1.0), of("scale", 1.0)], "lacks 'image' and has two inputs of one name: 'scale'"),
        (
            [of("image", np.zeros((1, 2, 3))), of("scale", 1.0)],
            "'image' has the shape [1, 2, 3]; expected",
        ),
        ([of("image", np.zeros((2, 2))), of("scale", 1.0)], "'image' has the shape [2, 2]"),
        ([of("image", np.zeros((1, 2, 2))), of("scale", 1e300, "f8")], "a number is too large for float32"),
        ([of("image", np.zeros((1, 2, 2))), Tensor.from_numpy("scale", np.array("x"))], "'scale' is BYTES; expected"),
    ],
)
def test_what_does_not_fit_is_said_with_what_was_expected(tensors: list[Tensor], message: str) -> None:
    with pytest.raises(errors.InvalidInput) as raised:
        Signature([IMAGE, SCALE]).read(asked(*tensors))
    assert message in str(raised.value)


def test_a_number_for_text_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="'text' is FP32; expected 'text' BYTES"):
        Signature([TEXT]).read(asked(of("text", [1.0])))


# -- numbers in another dtype ---------------------------------------------------------------------------

NUMBERS = st.sampled_from([np.dtype(name) for name in ("?", "i1", "i4", "i8", "u1", "u8", "f2", "f4", "f8")])


@given(NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=2, max_side=4))), NUMBERS)
def test_numbers_stay_what_they_are_or_are_refused(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> None:
    try:
        changed = cast(array, dtype)
    except ValueError:
        assert array.dtype != dtype
        return
    assert changed.dtype == dtype
    assert changed.shape == array.shape
    if dtype.kind == "f":
        close = np.finfo(np.float16 if np.dtype("f2") in (dtype, array.dtype) else dtype).eps
        finite = np.isfinite(array.astype(np.float64))
        np.testing.assert_allclose(
            changed[finite].astype(np.float64), array[finite].astype(np.float64), rtol=2 * close, atol=1e-7
        )
    else:
        assert changed.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("array", "dtype", "message"),
    [
        (np.array([300]), "u1", "not between 0 and 255"),
        (np.array([-1]), "u8", "not between 0 and"),
        (np.array([0.5]), "i4", "float64 does not become int32"),
        (np.array([1]), "?", "int64 does not become bool"),
        (np.array([1e39]), "f4", "too large for float32"),
    ],
)
def test_a_number_that_would_change_is_refused(array: np.ndarray[Any, Any], dtype: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cast(array, np.dtype(dtype))


def test_infinity_stays_infinity() -> None:
    assert cast(np.array([np.inf, -np.inf]), np.dtype("f4")).tolist() == [np.inf, -np.inf]
