"""What a loaded model answers, method by method, is what LightGBM answers."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from fairlead import Capability, Datatype, errors
from fairlead_runtime_lightgbm_tests import boosters
from fairlead_runtime_lightgbm_tests.boosters import CLASSES, NAMES, PETS, ROWS, ask, load, saved, trained


def pickled(folder: Path, model: Any) -> Path:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    return folder / "model.pkl"


# -- boosters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"boosting": "dart"},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"linear_tree": True},
        {"min_data_in_leaf": 100},
    ],
    ids=lambda parameters: next(iter(parameters)) + str(next(iter(parameters.values()))),
)
def test_every_kind_of_booster_predicts_as_it_does_in_the_library(tmp_path: Path, parameters: Any) -> None:
    booster = trained({"objective": "binary", **parameters}, labels=CLASSES > 0)
    model = load(saved(tmp_path, booster))
    np.testing.assert_array_equal(ask(model, rows=ROWS), booster.predict(ROWS))
    scores = ask(model, rows=ROWS, parameters={"method": "decision_function"})
    np.testing.assert_array_equal(scores, booster.predict(ROWS, raw_score=True))


def test_a_booster_of_two_classes_answers_probabilities_of_both(tmp_path: Path) -> None:
    booster = trained({"objective": "binary"}, labels=CLASSES > 0)
    model = load(saved(tmp_path, booster), method="predict_proba")
    answer = ask(model, rows=ROWS)
    np.testing.assert_array_equal(answer[:, 1], booster.predict(ROWS))
    np.testing.assert_allclose(answer.sum(axis=1), 1)
    several = load(saved(tmp_path, boosters.classifier()), method="predict_proba")
    np.testing.assert_array_equal(ask(several, rows=ROWS), boosters.classifier().predict(ROWS))


def test_a_booster_of_values_has_no_probabilities(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    assert not load(path).metadata.supports(Capability.PREDICT_PROBA)
    with pytest.raises(errors.InvalidInput, match="no method 'predict_proba'"):
        ask(load(path), rows=ROWS, parameters={"predict_proba": True})
    with pytest.raises(errors.ModelLoadError, match="Booster, which has no method predict_proba"):
        load(path, method="predict_proba")


def test_the_best_iteration_is_used_as_in_the_library(tmp_path: Path) -> None:
    noise = lightgbm.Dataset(ROWS, np.random.default_rng(1).normal(size=len(ROWS)))
    booster = lightgbm.train(
        {**boosters.PARAMETERS, "metric": "l2"},
        lightgbm.Dataset(ROWS, CLASSES),
        30,
        valid_sets=[noise],
        callbacks=[lightgbm.early_stopping(2, verbose=False)],
    )
    assert booster.best_iteration < 30
    for path in (saved(tmp_path, booster), pickled(tmp_path, booster)):
        np.testing.assert_array_equal(ask(load(path), rows=ROWS), booster.predict(ROWS))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "int64", "uint8", "bool"])
def test_numbers_of_any_datatype_are_taken(tmp_path: Path, dtype: str) -> None:
    booster = boosters.regressor()
    rows = (ROWS * 3).astype(dtype)
    answer = ask(load(saved(tmp_path, booster)), rows=rows)
    np.testing.assert_array_equal(answer, booster.predict(rows.astype(np.float64)))
    assert answer.dtype == np.float64


def test_columns_come_by_name_and_a_missing_one_is_missing_values(tmp_path: Path) -> None:
    booster = boosters.classifier()
    model = load(saved(tmp_path, booster))
    given = {name: ROWS[:, place] for place, name in enumerate(NAMES) if name != "width"}
    rows = ROWS.copy()
    rows[:, 1] = np.nan
    np.testing.assert_array_equal(ask(model, **dict(reversed(given.items()))), booster.predict(rows))
    with pytest.raises(errors.InvalidInput, match="does not know: 'height'"):
        ask(model, **given, height=ROWS[:, 1])


def test_a_request_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="no rows"):
        ask(load(saved(tmp_path, boosters.regressor())), rows=ROWS[:0])


COUNTED = """
import sys
from pathlib import Path
from fairlead_runtime_lightgbm_tests.boosters import ROWS, ask, load
counts = []
for nthread in (1, 1, 3):
    ask(load(Path(sys.argv[1]), nthread=nthread), rows=ROWS)
    counts.append(len(list(Path("/proc/self/task").iterdir())))
print(counts[1] - counts[0], counts[2] - counts[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
@pytest.mark.parametrize("is_estimator", [False, True])
def test_threads_are_those_that_were_asked_for(tmp_path: Path, is_estimator: bool) -> None:
    fitted = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(ROWS, CLASSES)
    path = pickled(tmp_path, fitted) if is_estimator else saved(tmp_path, boosters.regressor())
    tests = Path(boosters.__file__).parents[1]
    command = [sys.executable, "-c", COUNTED, str(path)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}  # while it loads
    done = subprocess.run(command, cwd=tests, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2"]  # a pool of one and of three, of which one is the thread that asks


def test_the_log_of_the_library_is_pythons_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lightgbm")
    model = load(pickled(tmp_path, boosters.regressor()))
    lightgbm.train({"verbose": 1, "num_threads": 1}, lightgbm.Dataset(ROWS, CLASSES), 1)
    ask(model, rows=ROWS)
    assert capfd.readouterr() == ("", "")
    assert "Total Bins" in caplog.text


# -- categories -----------------------------------------------------------------------------------------


def columns_of(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): frame[name].to_numpy() for name in frame}


def test_categories_are_encoded_as_the_library_does_it(tmp_path: Path) -> None:
    booster = boosters.of_categories()
    wanted = booster.predict(PETS[:5])
    assert len(np.unique(wanted)) > 2
    for path in (saved(tmp_path, booster), pickled(tmp_path, booster)):
        model = load(path)
        assert [spec.datatype for spec in model.metadata.inputs] == [
            Datatype.FP64,
            Datatype.BYTES,
            Datatype.FP64,
            Datatype.FP64,
            Datatype.BYTES,
        ]
        columns = columns_of(PETS[:5])
        np.testing.assert_array_equal(ask(model, **columns), wanted)
        numbers = {**columns, "tame": columns["tame"].astype(float), "size": columns["size"].astype(float)}
        np.testing.assert_array_equal(ask(model, **numbers), wanted)


def test_a_category_that_is_missing_or_was_never_seen_is_a_missing_value(tmp_path: Path) -> None:
    booster = boosters.of_categories()
    model = load(saved(tmp_path, booster))
    frame = PETS[:2].copy()
    frame["kind"] = pd.Categorical([None, None], categories=["cat"])
    wanted = booster.predict(frame)
    rest = columns_of(frame.drop(columns="kind"))
    np.testing.assert_array_equal(ask(model, **rest), wanted)
    np.testing.assert_array_equal(ask(model, kind=[np.nan, np.nan], **rest), wanted)
    np.testing.assert_array_equal(ask(model, kind=["cow", "emu"], **rest), wanted)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("kind", [1], "'kind' takes text (BYTES), got numbers"),
        ("size", ["7"], "'size' takes numbers, got BYTES"),
        ("weight", ["1.5"], "'weight' takes numbers, got BYTES"),
    ],
)
def test_text_and_numbers_are_not_mistaken_for_each_other(
    tmp_path: Path, column: str, value: list[Any], said: str
) -> None:
    model = load(saved(tmp_path, boosters.of_categories()))
    with pytest.raises(errors.InvalidInput) as caught:
        ask(model, **{column: value})
    assert said in str(caught.value)


def test_a_matrix_of_text_for_categories_of_numbers_is_refused(tmp_path: Path) -> None:
    table = PETS[["weight", "size"]]
    booster = lightgbm.train(boosters.PARAMETERS, lightgbm.Dataset(table, boosters.AGES), 2)
    model = load(saved(tmp_path, booster))
    np.testing.assert_array_equal(
        ask(model, rows=[[1.0, 9], [2.0, 7]]), booster.predict(table.iloc[[1, 2]].assign(weight=[1.0, 2.0]))
    )
    with pytest.raises(errors.InvalidInput, match="takes numbers"):
        ask(model, rows=[["heavy", "large"]])


def test_categories_of_columns_that_cannot_be_told_are_a_load_error(tmp_path: Path) -> None:
    ordered = PETS.assign(size=pd.Categorical(PETS["size"], ordered=True))
    booster = lightgbm.train(boosters.PARAMETERS, lightgbm.Dataset(ordered, boosters.AGES), 2)
    with pytest.raises(errors.ModelLoadError, match="categories for 4 columns, and its parameters name 3"):
        load(saved(tmp_path, booster))


# -- estimators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_an_estimator_answers_by_its_own_methods(tmp_path: Path, named: bool) -> None:
    table = pd.DataFrame(ROWS, columns=NAMES) if named else ROWS
    labels = np.array(["low", "middle", "high"])[CLASSES]
    fitted = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(table, labels)
    model = load(pickled(tmp_path, fitted))
    methods = [sample.parameters["method"] for sample in model.samples()]
    assert methods == ["predict", "predict_proba", "decision_function"]
    assert [each.decode() for each in ask(model, rows=ROWS)] == fitted.predict(table).tolist()
    answer = ask(model, rows=ROWS, parameters={"predict_proba": True})
    np.testing.assert_array_equal(answer, fitted.predict_proba(table))
    scores = ask(model, rows=ROWS, parameters={"method": "decision_function"})
    np.testing.assert_array_equal(scores, fitted.predict(table, raw_score=True))


def test_an_estimator_of_categories_answers_as_it_does_for_a_table(tmp_path: Path) -> None:
    fitted = lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=3)
    fitted.fit(PETS, boosters.AGES)
    answer = ask(load(pickled(tmp_path, fitted)), **columns_of(PETS[:5]))
    np.testing.assert_array_equal(answer, fitted.predict(PETS[:5]))
