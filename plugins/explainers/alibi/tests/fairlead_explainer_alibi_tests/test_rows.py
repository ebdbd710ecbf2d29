from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead_explainer_alibi.rows import Texts, rows_of
from fairlead_explainer_alibi_tests.asking import columns, matrix, texts

NAMES = ("age", "sex")
CATEGORIES = {1: ("female", "male")}


def test_a_category_comes_as_text_or_as_its_place_and_is_asked_for_as_it_came() -> None:
    for sent in ["male", "female"], [1, 0]:
        found = rows_of(columns(sex=sent, age=[30, 41]), NAMES, CATEGORIES)
        assert found.values.tolist() == [[30, 1], [41, 0]]
        sex = found.asking(np.array([[30.0, 1.0], [41.0, 0.0]])).inputs[1]
        assert (sex.as_strings() if sex.datatype is Datatype.BYTES else sex.data).tolist() == sent


@pytest.mark.parametrize("request_", [matrix([[1.0, np.nan]]), columns(age=[np.inf], sex=["male"])])
def test_a_row_with_a_gap_is_refused(request_: InferRequest) -> None:
    with pytest.raises(errors.InvalidInput, match="missing or infinite"):
        rows_of(request_, NAMES, CATEGORIES)


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
