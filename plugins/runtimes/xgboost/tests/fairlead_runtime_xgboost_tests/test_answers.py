"""What a loaded model answers, method by method, is what XGBoost answers."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from fairlead import Capability, Datatype, errors
from fairlead_runtime_xgboost_tests import boosters
from fairlead_runtime_xgboost_tests.boosters import CLASSES, NAMES, ROWS, ask, load, saved, trained


def matrix(rows: Any = ROWS, names: list[str] | None = None) -> Any:
    return xgboost.DMatrix(rows, feature_names=names)


def pickled(folder: Path, model: Any) -> Path:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    return folder / "model.pkl"


# -- boosters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gbtree", "dart", "gblinear"])
def test_every_kind_of_booster_predicts_as_it_does_in_the_library(tmp_path: Path, kind: str) -> None:
    booster = trained({"booster": kind, "objective": "reg:logistic"}, labels=CLASSES > 0)
    model = load(saved(tmp_path, booster))
    np.testing.assert_array_equal(ask(model, rows=ROWS), booster.predict(matrix()))
    scores = ask(model, rows=ROWS, parameters={"method": "decision_function"})
    np.testing.assert_array_equal(scores, booster.predict(matrix(), output_margin=True))


def test_a_booster_of_two_classes_answers_probabilities_of_both(tmp_path: Path) -> None:
    booster = trained({"objective": "binary:logistic"}, labels=CLASSES > 0)
    model = load(saved(tmp_path, booster), method="predict_proba")
    answer = ask(model, rows=ROWS)
    np.testing.assert_array_equal(answer[:, 1], booster.predict(matrix()))
    np.testing.assert_allclose(answer.sum(axis=1), 1)
    assert model.metadata.outputs[0].shape == (-1, 2)
    assert ask(model, rows=ROWS, parameters={"method": "predict"}).shape == (len(ROWS),)


def test_a_booster_of_labels_has_no_probabilities(tmp_path: Path) -> None:
    path = saved(tmp_path, trained({"objective": "multi:softmax", "num_class": 3}))
    model = load(path)
    assert not model.metadata.supports(Capability.PREDICT_PROBA)
    with pytest.raises(errors.InvalidInput, match="no method 'predict_proba'"):
        ask(model, rows=ROWS, parameters={"predict_proba": True})
    with pytest.raises(errors.ModelLoadError, match="Booster, which has no method predict_proba"):
        load(path, method="predict_proba")


def test_a_booster_uses_all_rounds_and_an_estimator_its_best_as_in_the_library(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 3, len(CLASSES))
    model = xgboost.XGBClassifier(n_estimators=20, early_stopping_rounds=2, n_jobs=1)
    model.fit(ROWS, CLASSES, eval_set=[(ROWS, noise)], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    path = saved(tmp_path, model)
    np.testing.assert_array_equal(ask(load(path), rows=ROWS), xgboost.Booster(model_file=path).predict(matrix()))
    answer = ask(load(pickled(tmp_path, model), method="predict_proba"), rows=ROWS)
    np.testing.assert_array_equal(answer, model.predict_proba(ROWS))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int64", "uint8", "bool"])
def test_numbers_of_any_datatype_are_taken(tmp_path: Path, dtype: str) -> None:
    booster = boosters.regressor()
    rows = (ROWS * 3).astype(dtype)
    answer = ask(load(saved(tmp_path, booster)), rows=rows)
    np.testing.assert_array_equal(answer, booster.predict(matrix(rows.astype(np.float32))))
    assert answer.dtype == np.float32


def test_columns_come_by_name_and_a_missing_one_is_missing_values(tmp_path: Path) -> None:
    booster = boosters.classifier()
    model = load(saved(tmp_path, booster))
    given = {name: ROWS[:, place] for place, name in enumerate(NAMES) if name != "width"}
    rows = ROWS.copy()
    rows[:, 1] = np.nan
    wanted = booster.predict(matrix(rows, NAMES))
    np.testing.assert_array_equal(ask(model, **dict(reversed(given.items()))), wanted)
    np.testing.assert_array_equal(ask(model, rows=rows), wanted)
    with pytest.raises(errors.InvalidInput, match="does not know: 'height'"):
        ask(model, **given, height=ROWS[:, 1])


def test_a_request_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="no rows"):
        ask(load(saved(tmp_path, boosters.regressor())), rows=ROWS[:0])


def test_threads_are_set_on_the_booster(tmp_path: Path) -> None:
    for path in (saved(tmp_path, boosters.regressor()), pickled(tmp_path, boosters.regressor())):
        config = json.loads(load(path, nthread=2).native.save_config())
        assert config["learner"]["generic_param"]["nthread"] == "2"
    fitted = xgboost.XGBRegressor(n_estimators=2).fit(ROWS, CLASSES)
    model = load(pickled(tmp_path, fitted), nthread=2).native
    assert model.n_jobs == 2
    assert json.loads(model.get_booster().save_config())["learner"]["generic_param"]["nthread"] == "2"


# -- categories -----------------------------------------------------------------------------------------


def test_categories_are_encoded_as_the_library_does_it(tmp_path: Path) -> None:
    booster = boosters.of_categories()
    model = load(saved(tmp_path, booster))
    assert [spec.datatype for spec in model.metadata.inputs] == [Datatype.FP32, Datatype.BYTES, Datatype.FP32]
    columns: dict[str, list[Any]] = {"weight": [1.0, 2.0, 3.0], "kind": ["bird", "cat", "dog"], "size": [9, 7, 9]}
    frame = pd.DataFrame({**columns, "kind": pd.Categorical(columns["kind"]), "size": pd.Categorical(columns["size"])})
    wanted = booster.predict(xgboost.DMatrix(frame, enable_categorical=True))
    np.testing.assert_array_equal(ask(model, **columns), wanted)
    np.testing.assert_array_equal(ask(load(pickled(tmp_path, booster)), **columns), wanted)


def test_an_estimator_of_categories_answers_as_it_does_for_a_table(tmp_path: Path) -> None:
    fitted = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, enable_categorical=True)
    fitted.fit(boosters.PETS, boosters.AGES.astype(int))
    model = load(pickled(tmp_path, fitted))
    answer = ask(model, **{str(name): boosters.PETS[name].to_numpy() for name in boosters.PETS})
    np.testing.assert_array_equal(answer, fitted.predict(boosters.PETS))


def test_a_missing_category_is_a_missing_value(tmp_path: Path) -> None:
    booster = boosters.of_categories()
    model = load(saved(tmp_path, booster))
    frame = boosters.PETS[:2].copy()
    frame["kind"] = pd.Categorical([None, None], categories=frame["kind"].cat.categories)
    wanted = booster.predict(xgboost.DMatrix(frame, enable_categorical=True))
    np.testing.assert_array_equal(ask(model, weight=[1.0, 2.0], kind=[np.nan, np.nan], size=[7, 9]), wanted)
    np.testing.assert_array_equal(ask(model, weight=[1.0, 2.0], size=[7, 9]), wanted)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("kind", ["cow"], "'kind' has no category 'cow'; the model knows 'bird', 'cat', 'dog'"),
        ("kind", [1], "'kind' has no category 1"),
        ("size", [8], "'size' has no category 8; the model knows 7, 9"),
        ("size", ["7"], "'size' takes numbers, got BYTES"),
        ("weight", ["1.5"], "'weight' takes numbers, got BYTES"),
    ],
)
def test_what_is_no_category_is_refused(tmp_path: Path, column: str, value: list[Any], said: str) -> None:
    model = load(saved(tmp_path, boosters.of_categories()))
    with pytest.raises(errors.InvalidInput) as caught:
        ask(model, **{column: value})
    assert said in str(caught.value)


def test_categories_without_values_in_the_file_are_codes(tmp_path: Path) -> None:
    rows = np.column_stack((ROWS[:, 0], np.arange(len(ROWS)) % 5))
    data = xgboost.DMatrix(rows, CLASSES, feature_types=["float", "c"], enable_categorical=True)
    booster = xgboost.train({"nthread": 1, "max_cat_to_onehot": 1}, data, 3)
    np.testing.assert_array_equal(ask(load(saved(tmp_path, booster)), rows=rows), booster.predict(data))


def test_categories_that_the_file_holds_wrong_are_codes_and_the_notes_say_so(tmp_path: Path) -> None:
    words = ["Köln", "Ulm", "Bonn", "Köln"] * 20
    frame = boosters.PETS.assign(kind=pd.Categorical(words))
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(frame, boosters.AGES, enable_categorical=True), 3)
    model = load(saved(tmp_path, booster))
    assert "The categories of column 'kind' are not ASCII text" in model.notes[0]
    codes = frame["kind"].cat.codes.to_numpy()
    answer = ask(model, weight=frame["weight"], kind=codes, size=frame["size"].to_numpy())
    np.testing.assert_array_equal(answer, booster.predict(xgboost.DMatrix(frame, enable_categorical=True)))


# -- estimators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_an_estimator_answers_by_its_own_methods(tmp_path: Path, named: bool) -> None:
    table = pd.DataFrame(ROWS, columns=NAMES) if named else ROWS
    fitted = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(table, CLASSES)
    model = load(pickled(tmp_path, fitted))
    assert [sample.parameters["method"] for sample in model.samples()] == [
        "predict",
        "predict_proba",
        "decision_function",
    ]
    np.testing.assert_array_equal(ask(model, rows=ROWS), fitted.predict(table))
    answer = ask(model, rows=ROWS, parameters={"predict_proba": True})
    np.testing.assert_array_equal(answer, fitted.predict_proba(table))
    scores = ask(model, rows=ROWS, parameters={"method": "decision_function"})
    np.testing.assert_array_equal(scores, fitted.predict(table, output_margin=True))
    assert model.native.get_params()["n_estimators"] == 3


def test_regressors_and_rankers_have_no_probabilities(tmp_path: Path) -> None:
    ranker = xgboost.XGBRanker(n_estimators=2, n_jobs=1).fit(ROWS, CLASSES, group=[30, 30])
    for fitted in (xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(ROWS, CLASSES), ranker):
        model = load(pickled(tmp_path, fitted))
        np.testing.assert_array_equal(ask(model, rows=ROWS), fitted.predict(ROWS))
        assert not model.metadata.supports(Capability.PREDICT_PROBA)
