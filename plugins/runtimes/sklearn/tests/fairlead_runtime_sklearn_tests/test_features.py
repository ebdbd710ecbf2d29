"""What the fitted parts tell of the inputs: metadata, and samples that the estimator can take."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from fairlead import Capability, Datatype
from fairlead_runtime_sklearn import anatomy
from fairlead_runtime_sklearn.model import SklearnModel
from fairlead_runtime_sklearn_tests.estimators import INCOME, IRIS, IRIS_TABLE, PEOPLE, SPECIES

LABELS = np.arange(20) % 2
NOTES = PEOPLE["note"]
TEXT = [("input-0", Datatype.BYTES, (-1,))]
MATRIX = [("input-0", Datatype.FP64, (-1, 4))]
TABLE = [
    ("city", Datatype.BYTES, (-1,)),
    ("age", Datatype.FP64, (-1,)),
    ("note", Datatype.BYTES, (-1,)),
    ("children", Datatype.FP64, (-1,)),
]


def columns() -> Any:
    return ColumnTransformer(
        [("city", OneHotEncoder(), ["city"]), ("note", TfidfVectorizer(), "note"), ("age", StandardScaler(), ["age"])],
        remainder="passthrough",
    )


def lowered(texts: Any) -> Any:
    return [text.lower() for text in texts]


def inputs_of(model: SklearnModel) -> list[tuple[str, Datatype, tuple[int, ...]]]:
    return [(spec.name, spec.datatype, spec.shape) for spec in model.metadata.inputs]


@pytest.mark.parametrize(
    ("estimator", "inputs"),
    [
        (SVC().fit(IRIS, SPECIES), MATRIX),
        (SVC().fit(IRIS_TABLE, SPECIES), MATRIX),
        (make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(IRIS, SPECIES), MATRIX),
        (make_pipeline(PowerTransformer("box-cox"), Ridge()).fit(IRIS, SPECIES), MATRIX),
        (make_pipeline(FunctionTransformer(np.log), Ridge()).fit(IRIS, SPECIES), MATRIX),
        (BernoulliNB().fit(IRIS, SPECIES), MATRIX),
        (make_pipeline(columns(), LogisticRegression()).fit(PEOPLE, LABELS), TABLE),
        (
            GridSearchCV(make_pipeline(columns(), Ridge()), {"ridge__alpha": [1, 2]}, cv=2).fit(PEOPLE, INCOME),
            TABLE,
        ),
        (CalibratedClassifierCV(make_pipeline(columns(), SVC()), cv=2).fit(PEOPLE, LABELS), TABLE),
        (
            CalibratedClassifierCV(FrozenEstimator(make_pipeline(columns(), SVC()).fit(PEOPLE, LABELS)), cv=2).fit(
                PEOPLE, LABELS
            ),
            TABLE,
        ),
        (VotingClassifier([("a", make_pipeline(columns(), SVC()))]).fit(PEOPLE, LABELS), TABLE),
        (StackingClassifier([("a", make_pipeline(columns(), SVC()))], cv=2).fit(PEOPLE, LABELS), TABLE),
        (
            TransformedTargetRegressor(
                make_pipeline(columns(), Ridge()), func=np.log1p, inverse_func=np.expm1, check_inverse=False
            ).fit(PEOPLE, INCOME),
            TABLE,
        ),
        (make_pipeline(OrdinalEncoder(), DecisionTreeClassifier()).fit(PEOPLE, LABELS), TABLE),
        (
            make_pipeline(
                make_column_transformer(
                    (make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()), ["city"]),
                    (TargetEncoder(cv=2), ["note"]),
                    remainder="passthrough",
                ),
                LogisticRegression(),
            ).fit(PEOPLE, LABELS),
            TABLE,
        ),
        (
            HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(
                PEOPLE.astype({"city": "category", "note": "category"}), LABELS
            ),
            TABLE,
        ),
        (make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(NOTES, LABELS), TEXT),
        (make_pipeline(HashingVectorizer(n_features=8), LogisticRegression()).fit(NOTES, LABELS), TEXT),
        (
            make_pipeline(FunctionTransformer(lowered), CountVectorizer(), LogisticRegression()).fit(NOTES, LABELS),
            TEXT,
        ),
        (
            make_pipeline(FeatureUnion([("a", TfidfVectorizer()), ("b", CountVectorizer())]), SVC()).fit(NOTES, LABELS),
            TEXT,
        ),
    ],
)
def test_metadata_tells_the_inputs_and_every_sample_is_answered(estimator: Any, inputs: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SklearnModel(estimator)
        assert inputs_of(model) == inputs
        samples = model.samples()
        assert samples
        for sample in samples:
            assert model.predict(sample).outputs[0].shape[0] == 1


def test_a_sample_of_text_has_a_word_that_the_model_knows() -> None:
    (sample, *_) = SklearnModel(make_pipeline(TfidfVectorizer(), Ridge()).fit(NOTES, INCOME)).samples()
    assert sample.inputs[0].data[0].decode() in {"good", "bad", "day", "night"}


def test_capabilities_say_whether_columns_are_taken_by_name() -> None:
    assert not SklearnModel(SVC().fit(IRIS, SPECIES)).metadata.supports(Capability.COLUMNS)
    assert SklearnModel(SVC().fit(IRIS_TABLE, SPECIES)).metadata.supports(Capability.COLUMNS)
    table = SklearnModel(make_pipeline(columns(), LogisticRegression()).fit(PEOPLE, LABELS)).metadata
    assert table.capabilities == {
        *(Capability.ANY_THREAD, Capability.BATCHING),
        *(Capability.COLUMNS, Capability.PREDICT_PROBA),
    }
    assert table.platform == "sklearn"


@pytest.mark.parametrize(
    ("chosen", "places"),
    [
        ("b", [1]),
        (2, [2]),
        (-1, [3]),
        (["d", "a"], [3, 0]),
        ([0, -2], [0, 2]),
        ([], []),
        (slice(1, 3), [1, 2]),
        (slice("b", "d"), [1, 2, 3]),
        (slice(None, "b"), [0, 1]),
        ([True, False, False, True], [0, 3]),
        (np.array([False, True, False, False]), [1]),
        (np.array(["c"]), [2]),
    ],
)
def test_every_way_to_choose_columns_is_understood(chosen: Any, places: list[int]) -> None:
    assert anatomy.positions(chosen, ["a", "b", "c", "d"]) == places


def test_explainers_find_the_estimator_itself_and_the_names_of_its_features() -> None:
    named = LogisticRegression(max_iter=500).fit(IRIS_TABLE, SPECIES)
    model = SklearnModel(named)
    assert model.native is named
    assert model.features == tuple(IRIS_TABLE)
    assert SklearnModel(SVC().fit(IRIS, SPECIES)).features == ()
