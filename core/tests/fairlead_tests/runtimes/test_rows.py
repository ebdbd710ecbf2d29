"""Rows that are explained, and other rows as requests of the same form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead.runtimes.rows import Rows

NAMES = ("age", "sex")
CATEGORIES = {1: ("female", "male")}


def rows(request: InferRequest) -> Rows:
    return Rows.of(request, NAMES, categories=CATEGORIES)


def asked(*tensors: Tensor, **parameters: Any) -> InferRequest:
    return InferRequest(model_name="m", inputs=tensors, parameters=parameters)


def matrix(values: Any, name: str = "x") -> InferRequest:
    return asked(Tensor.from_numpy(name, np.asarray(values)))


def columns(**values: Any) -> InferRequest:
    """A request of one tensor for each column."""
    tensors = [Tensor.from_numpy(name, np.asarray(each)) for name, each in values.items()]
    return asked(*tensors, content_type="pd")


def test_a_matrix_is_asked_for_as_a_matrix_of_the_same_precision() -> None:
    for dtype, expected in [(np.float32, Datatype.FP32), (np.float64, Datatype.FP64), (np.int64, Datatype.FP64)]:
        found = rows(matrix(np.array([[30, 1]], dtype)))
        assert found.values.dtype == np.float64
        assert found.values.tolist() == [[30, 1]]
        (tensor,) = found.asking(np.array([[31.0, 0.0], [32.0, 1.0]])).inputs
        assert (tensor.name, tensor.datatype, tensor.data.tolist()) == ("x", expected, [[31, 0], [32, 1]])


def test_columns_come_in_any_order_and_text_is_a_category() -> None:
    found = rows(columns(sex=["male", "female"], age=[30, 41]))
    assert found.values.tolist() == [[30, 1], [41, 0]]
    request = found.asking(np.array([[31.0, 0.0], [32.0, 1.0]]))
    assert [(each.name, each.datatype) for each in request.inputs] == [("age", Datatype.INT64), ("sex", Datatype.BYTES)]
    assert request.inputs[0].data.tolist() == [31, 32]
    assert request.inputs[1].as_strings().tolist() == ["female", "male"]
    assert request.columns


@pytest.mark.parametrize("value", [31.5, -1.0, 256.0, np.nan, np.inf])
def test_a_column_of_integers_is_asked_for_as_such_where_the_numbers_fit(value: float) -> None:
    found = rows(columns(age=np.array([30], np.uint8), sex=[1]))
    age = found.asking(np.array([[31.0, 0.0]])).inputs[0]
    assert (age.datatype, age.data.tolist()) == (Datatype.UINT8, [31])
    age = found.asking(np.array([[value, 0.0]])).inputs[0]
    assert age.datatype is Datatype.FP64
    np.testing.assert_array_equal(age.data, [value])


def test_without_known_names_columns_are_taken_as_they_come() -> None:
    found = Rows.of(columns(b=[[1.0]], a=[2.0]))
    assert (found.names, found.values.tolist()) == (("b", "a"), [[1, 2]])
    assert [each.name for each in found.asking(found.values).inputs] == ["b", "a"]
    assert Rows.of(matrix([[1.0, 2.0, 3.0]])).names == ()


def test_parameters_are_those_of_the_client_and_others_on_top() -> None:
    request = asked(Tensor.from_numpy("x", np.zeros((1, 2))), method="predict", other=1)
    found = rows(request)
    assert found.asking(found.values).parameters == {"method": "predict", "other": 1}
    assert found.asking(found.values, {"method": "predict_proba"}).parameters == {"method": "predict_proba", "other": 1}


def test_what_the_client_said_of_the_explanation_is_not_said_to_the_model() -> None:
    given = asked(Tensor.from_numpy("x", np.zeros((1, 2))))
    found = rows(InferRequest(model_name="m", inputs=given.inputs, payload={"instances": [[0, 0]]}))
    request = found.asking(found.values)
    assert (request.payload, request.outputs) == (None, ())


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (InferRequest(model_name="m", payload={"instances": []}), "no rows"),
        (matrix(np.zeros((1, 3))), r"Expected rows of 2 features to explain \(age, sex\), got shape \[1, 3\]"),
        (matrix(np.zeros(2)), r"Expected rows of 2 features .* got shape \[2\]"),
        (matrix(np.zeros((0, 2))), "no rows"),
        (matrix([["a", "b"]]), "'x' holds text"),
        (columns(age=[1]), "has no column 'sex'"),
        (columns(age=[1], sex=["male"], pay=[1]), "has a column 'pay'"),
        (columns(age=[1], sex=["other"]), "'other', which is none of its categories: female, male"),
        (columns(age=["old"], sex=["male"]), "the feature is a number"),
        (columns(age=[1, 2], sex=["male"]), "differ in their lengths"),
        (columns(age=[[1, 2]], sex=["male"]), "more than one value"),
        (columns(age=1, sex=["male"]), "more than one value"),
        (asked(*2 * [Tensor.from_numpy("age", np.zeros(1))]), "have the same name"),
    ],
)
def test_other_requests_are_refused_with_what_was_expected(request_: InferRequest, reason: str) -> None:
    with pytest.raises(errors.InvalidInput, match=reason):
        rows(request_)


def test_a_number_of_features_is_checked_without_their_names() -> None:
    with pytest.raises(errors.InvalidInput, match=r"Expected rows of 3 features to explain, got shape \[1, 2\]"):
        Rows.of(matrix(np.zeros((1, 2))), width=3)
    with pytest.raises(errors.InvalidInput, match=r"Expected rows of several features to explain, got shape \[2\]"):
        Rows.of(matrix(np.zeros(2)))
