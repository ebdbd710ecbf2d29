from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead_explainer_alibi.rows import Rows, Texts
from fairlead_explainer_alibi_tests.asking import columns, matrix, texts

NAMES = ("age", "sex")
CATEGORIES = {1: ("female", "male")}


def rows(request: InferRequest) -> Rows:
    return Rows.of(request, NAMES, CATEGORIES)


def test_a_matrix_is_asked_for_as_a_matrix_of_the_same_precision() -> None:
    request = matrix(np.array([[30, 1]], np.float32), "x")
    found = rows(request)
    assert found.values.tolist() == [[30, 1]]
    asked = found.asking(np.array([[31.0, 0.0], [32.0, 1.0]]))
    (tensor,) = asked.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", Datatype.FP32, (2, 2))


def test_columns_come_in_any_order_and_text_is_a_category() -> None:
    found = rows(columns(sex=["male", "female"], age=[30, 41]))
    assert found.values.tolist() == [[30, 1], [41, 0]]
    asked = found.asking(np.array([[31.0, 0.0], [32.0, 1.0]]))
    assert [(each.name, each.datatype) for each in asked.inputs] == [("age", Datatype.INT64), ("sex", Datatype.BYTES)]
    assert asked.inputs[0].data.tolist() == [31, 32]
    assert asked.inputs[1].as_strings().tolist() == ["female", "male"]
    assert asked.columns
    assert found.asking(np.array([[31.5, 0.0]])).inputs[0].datatype is Datatype.FP64


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (InferRequest(model_name="m", payload={"instances": []}), "no rows"),
        (matrix(np.zeros((1, 3))), "Expected rows of 2 features"),
        (matrix(np.zeros(2)), "Expected rows of 2 features"),
        (matrix(np.zeros((0, 2))), "no rows"),
        (matrix([[1.0, np.nan]]), "missing or infinite"),
        (texts("a"), "holds text"),
        (columns(age=[1]), "has no column 'sex'"),
        (columns(age=[1], sex=["male"], pay=[1]), "has a column 'pay'"),
        (columns(age=[1], sex=["other"]), "none of its categories"),
        (columns(age=["old"], sex=["male"]), "the feature is a number"),
        (columns(age=[1, 2], sex=["male"]), "differ in their lengths"),
        (columns(age=[[1, 2]], sex=["male"]), "more than one value"),
    ],
)
def test_other_requests_are_refused_with_what_was_expected(request_: InferRequest, reason: str) -> None:
    with pytest.raises(errors.InvalidInput, match=reason):
        rows(request_)


def test_texts_are_asked_for_in_the_shape_in_which_they_came() -> None:
    assert Texts.of(texts("good day", "bad day")).values == ("good day", "bad day")
    data = np.array([["good day"]], dtype=object)
    found = Texts.of(InferRequest(model_name="m", inputs=[Tensor.from_numpy("t", data, Datatype.BYTES)]))
    (tensor,) = found.asking(["good UNK", "UNK day"]).inputs
    assert (tensor.name, tensor.shape) == ("t", (2, 1))


@pytest.mark.parametrize("request_", [matrix([[1.0]]), texts(), texts("a", " "), columns(a=["x"], b=["y"])])
def test_what_is_no_text_is_refused(request_: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="text"):
        Texts.of(request_)
