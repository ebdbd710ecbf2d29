"""Answering with what a library returned."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from fairlead import Datatype, errors
from fairlead.runtimes import outputs


def shown(result: Any, names: tuple[str, ...] = ()) -> list[tuple[str, Datatype, Any]]:
    return [(each.name, each.datatype, each.data.tolist()) for each in outputs.tensors(result, names)]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (np.array([1.5], dtype=np.float32), [("output-0", Datatype.FP32, [1.5])]),
        (np.float64(2), [("output-0", Datatype.FP64, 2.0)]),
        (np.array(["a"]), [("output-0", Datatype.BYTES, [b"a"])]),
        ([1, 2], [("output-0", Datatype.INT64, [1, 2])]),
        ([np.array([1]), np.array([0.5])], [("output-0", Datatype.INT64, [1]), ("output-1", Datatype.FP64, [0.5])]),
        ((np.array([True]),), [("output-0", Datatype.BOOL, [True])]),
        ({"label": np.array([3]), "p": np.array([0.5])}, [("label", Datatype.INT64, [3]), ("p", Datatype.FP64, [0.5])]),
        (scipy.sparse.csr_matrix([[0, 1]]), [("output-0", Datatype.INT64, [[0, 1]])]),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), [("output-0", Datatype.FP64, [[1.0, 2.0]])]),
        (pd.Series(["x", "y"]), [("output-0", Datatype.BYTES, [b"x", b"y"])]),
    ],
)
def test_a_result_becomes_tensors_of_its_own_datatypes(result: Any, expected: list[Any]) -> None:
    assert shown(result) == expected


def test_names_are_those_that_the_model_has() -> None:
    assert [name for name, *_ in shown([np.zeros(1), np.zeros(1)], ("a", "b"))] == ["a", "b"]


def test_another_number_of_results_than_names_is_the_models_failure() -> None:
    with pytest.raises(errors.InferenceFailed, match="answered with 1 outputs, and has 2: a, b"):
        outputs.tensors(np.zeros(1), ("a", "b"))


@pytest.mark.parametrize("result", [np.array([1j]), [[1], [1, 2]]])
def test_what_no_tensor_holds_is_the_models_failure(result: Any) -> None:
    with pytest.raises(errors.InferenceFailed, match="'output-0' cannot be a tensor"):
        outputs.tensors(result)


def test_other_objects_become_their_text() -> None:
    assert shown(np.array([decimal.Decimal("1.5")], dtype=object)) == [("output-0", Datatype.BYTES, [b"1.5"])]
