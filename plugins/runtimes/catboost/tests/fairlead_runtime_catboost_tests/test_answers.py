"""What a loaded model answers, method by method, is what CatBoost answers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest

from fairlead import Capability, Datatype, errors
from fairlead_runtime_catboost_tests import boosters
from fairlead_runtime_catboost_tests.boosters import CLASSES, NAMES, PARAMETERS, PETS, ROWS, TAME, ask, load, saved

METHODS = ["predict", "predict_proba", "decision_function"]


def pickled(folder: Path, model: Any) -> Path:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    return folder / "model.pkl"


@pytest.mark.parametrize("name", ["model.cbm", "model.json"])
def test_a_classifier_answers_by_its_methods(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, boosters.classifier(), name)
    own = boosters.opened(path, catboost.CatBoostClassifier())
    model = load(path)
    assert [sample.parameters["method"] for sample in model.samples()] == METHODS
    assert ask(model, rows=ROWS).tolist() == own.predict(ROWS).tolist()
    np.testing.assert_array_equal(ask(model, rows=ROWS, parameters={"predict_proba": True}), own.predict_proba(ROWS))
    scores = ask(model, rows=ROWS, parameters={"method": "decision_function"})
    np.testing.assert_array_equal(scores, own.predict(ROWS, prediction_type="RawFormulaVal"))


@pytest.mark.parametrize(
    ("labels", "datatype"),
    [
        ((CLASSES > 0).tolist(), Datatype.BOOL),
        ((CLASSES > 0) * 5, Datatype.INT64),
        (np.where(CLASSES > 0, "yes", "no"), Datatype.BYTES),
    ],
)
def test_labels_have_the_datatype_that_the_model_was_fitted_with(
    tmp_path: Path, labels: Any, datatype: Datatype
) -> None:
    own = catboost.CatBoostClassifier(**PARAMETERS).fit(ROWS, labels)
    model = load(saved(tmp_path, own))
    assert model.metadata.outputs[0].datatype is datatype
    assert [str(each) for each in ask(model, rows=ROWS)] == [str(each) for each in own.predict(ROWS)]


def test_a_regressor_has_no_probabilities(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    model = load(path)
    np.testing.assert_array_equal(ask(model, rows=ROWS), boosters.regressor().predict(ROWS))
    assert not model.metadata.supports(Capability.PREDICT_PROBA)
    with pytest.raises(errors.InvalidInput, match="no method 'predict_proba'"):
        ask(model, rows=ROWS, parameters={"predict_proba": True})
    with pytest.raises(errors.ModelLoadError, match="CatBoostRegressor, which has no method predict_proba"):
        load(path, method="predict_proba")


def test_a_regressor_of_counts_answers_counts(tmp_path: Path) -> None:
    own = catboost.CatBoostRegressor(**PARAMETERS, loss_function="Poisson").fit(ROWS, CLASSES)
    np.testing.assert_array_equal(ask(load(saved(tmp_path, own)), rows=ROWS), own.predict(ROWS))


def test_a_ranker_answers_scores(tmp_path: Path) -> None:
    own = catboost.CatBoostRanker(**PARAMETERS, loss_function="YetiRank")
    own.fit(ROWS, CLASSES, group_id=np.repeat([1, 2], 30))
    for path in (saved(tmp_path, own), pickled(tmp_path, own)):
        np.testing.assert_array_equal(ask(load(path), rows=ROWS), own.predict(ROWS))


def test_a_pickled_model_answers_as_its_class_does(tmp_path: Path) -> None:
    own = catboost.CatBoost({**PARAMETERS, "loss_function": "Logloss"}).fit(ROWS, CLASSES > 0)
    np.testing.assert_array_equal(ask(load(pickled(tmp_path, own)), rows=ROWS), own.predict(ROWS))
    assert ask(load(saved(tmp_path, own)), rows=ROWS).dtype == bool  # a file has classes, and no class of Python


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int64", "uint8", "bool"])
def test_numbers_of_any_datatype_are_taken(tmp_path: Path, dtype: str) -> None:
    own = boosters.regressor()
    rows = (ROWS * 3).astype(dtype)
    np.testing.assert_array_equal(ask(load(saved(tmp_path, own)), rows=rows), own.predict(rows.astype(np.float32)))


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[::7, 1] = np.nan
    own = catboost.CatBoostRegressor(**PARAMETERS).fit(rows, CLASSES)
    np.testing.assert_array_equal(ask(load(saved(tmp_path, own)), rows=rows), own.predict(rows))


def test_columns_come_by_name_in_any_order(tmp_path: Path) -> None:
    model = load(saved(tmp_path, boosters.classifier()))
    given = {name: ROWS[:, place] for place, name in enumerate(NAMES)}
    assert ask(model, **dict(reversed(given.items()))).tolist() == boosters.classifier().predict(ROWS).tolist()
    del given["width"]
    with pytest.raises(errors.InvalidInput, match="lacks the columns 'width'"):
        ask(model, **given)


def test_a_request_without_rows_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.InvalidInput, match="no rows"):
        ask(load(saved(tmp_path, boosters.regressor())), rows=ROWS[:0])
    assert capfd.readouterr() == ("", "")


def test_categories_are_text_or_whole_numbers(tmp_path: Path) -> None:
    own = boosters.of_categories()
    columns = {str(name): PETS[name].to_numpy() for name in PETS}
    for path in (saved(tmp_path, own), pickled(tmp_path, own)):
        model = load(path)
        assert ask(model, **columns).tolist() == own.predict(PETS).tolist()
        as_text = {**columns, "size": columns["size"].astype(str)}
        assert ask(model, **as_text).tolist() == own.predict(PETS).tolist()


def test_a_json_holds_categories_too(tmp_path: Path) -> None:
    table = PETS.drop(columns="note")
    own = catboost.CatBoostClassifier(**PARAMETERS).fit(table, TAME, cat_features=["kind", "size"])
    pool = catboost.Pool(table, TAME, cat_features=["kind", "size"])
    path = saved(tmp_path, own, "model.json", pool=pool)
    model, own = load(path), boosters.opened(path, catboost.CatBoostClassifier())
    columns = {str(name): table[name].to_numpy() for name in table}
    np.testing.assert_array_equal(
        ask(model, **columns, parameters={"method": "predict_proba"}), own.predict_proba(table)
    )


def test_a_model_of_categories_without_names_takes_columns_by_position(tmp_path: Path) -> None:
    table = PETS[["weight", "kind"]]
    own = catboost.CatBoostClassifier(**PARAMETERS).fit(table.to_numpy(), TAME, cat_features=[1])
    model = load(saved(tmp_path, own))
    answer = ask(model, a=table["weight"].to_numpy(), b=table["kind"].to_numpy())
    assert answer.tolist() == own.predict(table.to_numpy()).tolist()


def test_embeddings_are_a_load_error(tmp_path: Path) -> None:
    vectors = pd.Series([[float(place % 2), 1.0] for place in range(len(PETS))])
    table = pd.DataFrame({"weight": PETS["weight"], "vector": vectors})
    own = catboost.CatBoostClassifier(**PARAMETERS).fit(table, TAME, embedding_features=["vector"])
    with pytest.raises(errors.ModelLoadError, match="takes embeddings"):
        load(saved(tmp_path, own))
