"""The values are those of the library itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from fairlead import InferRequest, InferResponse, Tensor, errors
from fairlead.contracts import deadline
from fairlead_explainer_shap_tests.models import Framed, asked, by_sklearn, data, explainer, reference

X, Y = data()
ROWS = X[:3]
THREE = np.arange(len(X)) % 3


def silent(request: InferRequest) -> Any:
    raise AssertionError("the model was asked")


def boosters() -> dict[str, Any]:
    import catboost
    import lightgbm
    import xgboost

    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    xgb = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    lgb = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, THREE)
    return {
        "xgboost estimator": xgb,
        "xgboost booster": xgb.get_booster(),
        "xgboost of three classes": xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, THREE),
        "lightgbm estimator": lgb,
        "lightgbm booster": lgb.booster_,
        "catboost": catboost.CatBoostRegressor(iterations=3, **quiet).fit(X, Y),
    }


def trees() -> dict[str, Any]:
    return {
        "forest of three classes": RandomForestClassifier(3, random_state=0).fit(X, THREE),
        "gradient boosting": GradientBoostingRegressor(n_estimators=3).fit(X, Y),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=3).fit(X, Y),
    }


# -- trees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", trees())
def test_values_of_trees_of_scikit_learn_are_those_of_shap(shap: Any, name: str) -> None:
    _check_tree(shap, trees()[name])


def test_values_of_boosters_are_those_of_shap(shap: Any) -> None:
    for native in boosters().values():
        _check_tree(shap, native)


def _check_tree(shap: Any, native: Any) -> None:
    answer = explainer(Framed(native)).explain(asked(ROWS), silent)
    expected = shap.TreeExplainer(native)(ROWS)
    values, base = answer.output("shap_values").data, answer.output("base_values").data
    np.testing.assert_array_equal(values, expected.values.astype(np.float64))
    np.testing.assert_array_equal(base, np.broadcast_to(expected.base_values, base.shape))
    assert base.shape == (len(ROWS), *values.shape[2:])


def test_with_reference_data_trees_are_compared_with_it(shap: Any, tmp_path: Path) -> None:
    native = trees()["gradient boosting"]
    answer = explainer(Framed(native), reference(tmp_path, X[:20])).explain(asked(ROWS), silent)
    expected = shap.TreeExplainer(native, X[:20])(ROWS)
    np.testing.assert_allclose(answer.output("shap_values").data, expected.values)


def test_values_of_probabilities_add_up_to_them(tmp_path: Path) -> None:
    native = RandomForestClassifier(3, random_state=0).fit(X, THREE)
    made = explainer(Framed(native), reference(tmp_path, X[:20]), model_output="probability")
    answer = made.explain(asked(ROWS), silent)
    sums = answer.output("shap_values").data.sum(axis=1) + answer.output("base_values").data
    np.testing.assert_allclose(sums, native.predict_proba(ROWS), atol=1e-6)


def test_probabilities_need_reference_data() -> None:
    with pytest.raises(errors.ModelLoadError, match=r"Values of the probability need reference data\. .*explainer-dir"):
        explainer(Framed(trees()["gradient boosting"]), model_output="probability")


def test_many_rows_are_explained_as_few_are_and_end_with_the_deadline(shap: Any) -> None:
    native = trees()["gradient boosting"]
    made = explainer(Framed(native))
    rows = np.tile(X, (30, 1))  # more than are explained at a time
    answer = made.explain(asked(rows), silent)
    np.testing.assert_allclose(answer.output("shap_values").data, shap.TreeExplainer(native)(rows).values)
    seen = iter([False, True])
    with deadline.watched(60, lambda: next(seen)), pytest.raises(errors.DeadlineExceeded):
        made.explain(asked(rows), silent)


# -- linear models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "native", [LinearRegression().fit(X, Y), LogisticRegression().fit(X, Y), LogisticRegression().fit(X, THREE)]
)
def test_values_of_linear_models_are_those_of_shap(shap: Any, tmp_path: Path, native: Any) -> None:
    answer = explainer(Framed(native), reference(tmp_path, X)).explain(asked(ROWS), silent)
    expected = shap.LinearExplainer(native, shap.maskers.Independent(X, max_samples=len(X)))(ROWS)
    np.testing.assert_allclose(answer.output("shap_values").data, expected.values)
    np.testing.assert_allclose(answer.output("base_values").data, expected.base_values)


def test_a_linear_model_is_compared_with_reference_data(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"linear compares rows with reference data\. .*--explainer-dir"):
        explainer(Framed(LinearRegression().fit(X, Y)))


# -- any model ------------------------------------------------------------------------------------------


def test_values_of_any_model_are_those_of_shap(shap: Any, tmp_path: Path) -> None:
    native = SVC().fit(X, Y)
    model = Framed(native, "decision_function")
    answer = explainer(model, reference(tmp_path, X[:10])).explain(asked(ROWS), model.predict)
    kernel = shap.KernelExplainer(native.decision_function, X[:10])
    np.testing.assert_allclose(answer.output("shap_values").data, kernel.shap_values(ROWS, silent=True))
    np.testing.assert_allclose(answer.output("base_values").data, [kernel.expected_value] * 3)


def test_probabilities_are_asked_for_by_a_parameter_of_the_client_or_of_the_settings(shap: Any, tmp_path: Path) -> None:
    native = LogisticRegression().fit(X, THREE)
    model = by_sklearn(native, tmp_path / "model")
    data = reference(tmp_path, X[:10])
    kernel = shap.KernelExplainer(native.predict_proba, X[:10])
    expected = kernel.shap_values(ROWS, silent=True)
    by_client = explainer(model, data, method="kernel").explain(asked(ROWS, method="predict_proba"), model.predict)  # type: ignore[arg-type]  # the runtime's models are no coroutines
    by_setting = explainer(model, data, method="kernel", predict_parameters='{"method": "predict_proba"}')
    np.testing.assert_allclose(by_client.output("shap_values").data, expected)
    np.testing.assert_allclose(
        by_setting.explain(asked(ROWS), model.predict).output("shap_values").data,  # type: ignore[arg-type]  # as above
        expected,
    )


def test_the_same_row_gets_the_same_values_by_chance_of_its_own(shap: Any, tmp_path: Path) -> None:
    x, y = data(features=14)  # of so many, combinations are drawn
    model = Framed(SVC().fit(x, y), "decision_function")
    made = explainer(model, reference(tmp_path, x[:5]), nsamples=200, seed=7)

    def drawing(request: InferRequest) -> Any:
        np.random.random(3)
        return model.predict(request)

    np.random.seed(1)
    values = made.explain(asked(x[:2]), model.predict).output("shap_values").data
    state = np.random.get_state(legacy=False)
    np.random.seed(1)
    assert str(state) == str(np.random.get_state(legacy=False))  # nothing was drawn from what others use
    again = made.explain(asked(x[1::-1]), drawing).output("shap_values").data
    np.testing.assert_array_equal(values, again[::-1])

    np.random.seed(7)
    kernel = shap.KernelExplainer(model.native.decision_function, x[:5])
    np.testing.assert_array_equal(values[0], kernel.shap_values(x[:1], nsamples=200, silent=True)[0])
    other = explainer(model, reference(tmp_path, x[:5]), nsamples=200, seed=8).explain(asked(x[:2]), model.predict)
    assert not np.allclose(values, other.output("shap_values").data)


def test_the_seed_draws_the_rows_of_reference_data_too(tmp_path: Path) -> None:
    model = Framed(SVC().fit(X, Y), "decision_function")

    def base(seed: int) -> float:
        made = explainer(model, reference(tmp_path, X), background_rows=5, seed=seed)
        return float(made.explain(asked(ROWS), model.predict).output("base_values").data[0])

    assert base(0) == base(0) != base(1)


def test_a_model_is_asked_for_no_more_rows_at_a_time_than_are_allowed(tmp_path: Path) -> None:
    model = Framed(SVC().fit(X, Y), "decision_function")
    made = explainer(model, reference(tmp_path, X[:10]), batch_rows=7)
    sizes = []

    def predict(request: InferRequest) -> Any:
        sizes.append(len(request.inputs[0].data))
        return model.predict(request)

    answer = made.explain(asked(ROWS), predict)
    assert max(sizes) == 7
    whole = explainer(model, reference(tmp_path, X[:10])).explain(asked(ROWS), model.predict)
    np.testing.assert_allclose(answer.output("shap_values").data, whole.output("shap_values").data)


def test_a_model_without_trees_and_lines_needs_reference_data() -> None:
    with pytest.raises(errors.ModelLoadError, match=r"A SVC is no trees and no linear model.*--explainer-dir"):
        explainer(Framed(SVC().fit(X, Y)))


def test_a_model_that_answers_with_text_cannot_be_explained(tmp_path: Path) -> None:
    model = Framed(SVC().fit(X, np.where(Y == 1, "yes", "no")))
    made = explainer(model, reference(tmp_path, X[:10]))
    with pytest.raises(errors.InvalidInput, match=r"answers with text in 'output-0'.*predict_proba"):
        made.explain(asked(ROWS), model.predict)


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tree", "linear"])
def test_a_method_that_looks_inside_needs_the_model(tmp_path: Path, method: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"looks inside a model, and the model is elsewhere"):
        explainer(None, reference(tmp_path, X), method=method)


@pytest.mark.parametrize("method", ["tree", "linear"])
def test_a_method_refuses_a_model_of_another_kind(tmp_path: Path, method: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"it is a sklearn\.svm\._classes\.SVC"):
        explainer(Framed(SVC().fit(X, Y)), reference(tmp_path, X), method=method)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"nsamples": -1}, "nsamples: -1 is less than 0"),
        ({"batch_rows": 0}, "batch_rows: 0 is less than 1"),
        ({"seed": -1}, "seed: -1 is less than 0"),
        ({"seed": 2**32}, "seed: 4294967296 is more than 4294967295"),
        ({"predict_parameters": "{"}, "predict_parameters: '{' is not JSON"),
        ({"predict_parameters": "[1]"}, "is no object"),
        ({"method": "kernel", "model_output": "probability"}, "'probability' is for trees, and the method is kernel"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=problem):
        explainer(Framed(SVC().fit(X, Y)), reference(tmp_path, X), **options)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([Tensor.from_numpy("x", X[:2, :3])], r"rows of 4 features to explain, got shape \[2, 3\]"),
        ([Tensor.from_numpy("x", X[0])], r"got shape \[4\]"),
        ([Tensor.from_numpy("x", X[:0])], "no rows"),
        ([Tensor.from_numpy("x", np.array([["a", "b", "c", "d"]]))], "'x' holds text"),
        ([], "no rows of numbers"),
    ],
)
def test_rows_that_cannot_be_explained_are_the_clients_fault(
    tmp_path: Path, inputs: list[Tensor], problem: str
) -> None:
    made = explainer(Framed(trees()["gradient boosting"]), reference(tmp_path, X))
    with pytest.raises(errors.InvalidInput, match=problem):
        made.explain(InferRequest(model_name="model", inputs=inputs), silent)


# -- numbers without an explanation ---------------------------------------------------------------------


def test_rows_that_a_library_of_trees_refuses_are_the_clients_fault() -> None:
    made = explainer(Framed(boosters()["xgboost booster"]))
    with pytest.raises(errors.InvalidInput, match=r"do not take these rows: .*inf") as caught:
        made.explain(asked(np.full((1, X.shape[1]), 1e300)), silent)
    assert "Stack trace" not in str(caught.value)


def test_a_model_that_answers_nan_has_no_values_and_the_error_says_so(tmp_path: Path) -> None:
    def nan(request: InferRequest) -> InferResponse:
        answer = np.full(len(request.inputs[0].data), np.nan)
        return InferResponse(model_name="model", outputs=[Tensor.from_numpy("output-0", answer)])

    made = explainer(None, reference(tmp_path, X))
    with pytest.raises(errors.InferenceFailed, match="answers NaN or infinity"):
        made.explain(asked(ROWS), nan)
    with pytest.raises(errors.InvalidInput, match="answers NaN or infinity"):
        made.explain(asked(np.full_like(ROWS, np.nan)), nan)
