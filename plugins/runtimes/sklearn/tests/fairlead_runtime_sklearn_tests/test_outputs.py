"""What is answered: names, datatypes and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairlead import Datatype, Tensor
from fairlead_runtime_sklearn.model import SklearnModel
from fairlead_runtime_sklearn_tests.estimators import IRIS, IRIS_TABLE, SPECIES, ask

ROWS = Tensor.from_numpy("input-0", IRIS[[0, 60, 120]])
NAMES = np.array(["setosa", "versicolor", "virginica"])


def answer(estimator: Any, **parameters: Any) -> list[tuple[str, Datatype, tuple[int, ...]]]:
    tensors = ask(SklearnModel(estimator), ROWS, **parameters)
    return [(tensor.name, tensor.datatype, tensor.shape) for tensor in tensors]


@pytest.mark.parametrize(
    ("estimator", "datatype", "shape"),
    [
        (DecisionTreeClassifier().fit(IRIS, SPECIES), Datatype.INT64, (3,)),
        (DecisionTreeClassifier().fit(IRIS, SPECIES > 0), Datatype.BOOL, (3,)),
        (DecisionTreeClassifier().fit(IRIS, NAMES[SPECIES]), Datatype.BYTES, (3,)),
        (DecisionTreeClassifier().fit(IRIS, NAMES.astype(object)[SPECIES]), Datatype.BYTES, (3,)),
        (DecisionTreeClassifier().fit(IRIS, np.stack([SPECIES, SPECIES], axis=1)), Datatype.INT64, (3, 2)),
        (KMeans(2, random_state=0).fit(IRIS), Datatype.INT32, (3,)),
        (LinearRegression().fit(IRIS, SPECIES), Datatype.FP64, (3,)),
        (MultiOutputRegressor(LinearRegression()).fit(IRIS, IRIS[:, :2]), Datatype.FP64, (3, 2)),
    ],
)
def test_labels_keep_their_datatype_and_numbers_are_fp64(
    estimator: Any, datatype: Datatype, shape: tuple[int, ...]
) -> None:
    assert answer(estimator) == [("output-0", datatype, shape)]
    (declared,) = SklearnModel(estimator).metadata.outputs
    assert (declared.name, declared.datatype, declared.shape) == ("output-0", datatype, (-1, *shape[1:]))


def test_text_labels_are_answered_as_their_utf_8_bytes() -> None:
    estimator = DecisionTreeClassifier().fit(IRIS, np.array(["rød", "grøn", "blå"])[SPECIES])
    (output,) = ask(SklearnModel(estimator), ROWS)
    assert [label.decode() for label in output.data] == ["rød", "grøn", "blå"]


def test_numbers_are_fp64_whatever_the_precision_of_the_input() -> None:
    estimator = LogisticRegression(max_iter=500).fit(IRIS.astype("f4"), SPECIES)
    model = SklearnModel(estimator)
    (output,) = ask(model, Tensor.from_numpy("x", IRIS[:2].astype("f4")), method="predict_proba")
    assert (output.datatype, output.data.dtype) == (Datatype.FP64, np.dtype(np.float64))


def test_probabilities_of_several_targets_are_one_output_each() -> None:
    estimator = RandomForestClassifier(2).fit(IRIS, np.stack([SPECIES, SPECIES % 2], axis=1))
    assert answer(estimator, method="predict_proba") == [
        ("output-0", Datatype.FP64, (3, 3)),
        ("output-1", Datatype.FP64, (3, 2)),
    ]


def test_a_sparse_result_becomes_dense() -> None:
    model = SklearnModel(OneHotEncoder().fit([["a"], ["b"]]), method="transform")
    (output,) = ask(model, Tensor.from_numpy("x", np.array([["b"]])))
    assert output.data.tolist() == [[0.0, 1.0]]


def test_a_table_is_one_output() -> None:
    scaler = StandardScaler().set_output(transform="pandas").fit(IRIS_TABLE)
    (output,) = ask(SklearnModel(scaler, method="transform"), Tensor.from_numpy("x", IRIS[:2]))
    assert output.data == pytest.approx(scaler.transform(IRIS_TABLE[:2]).to_numpy())
