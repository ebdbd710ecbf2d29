"""What a request may hold: a matrix, named columns, or text; everything else is the client's fault, and says so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead_runtime_sklearn.model import SklearnModel
from fairlead_runtime_sklearn_tests import estimators
from fairlead_runtime_sklearn_tests.estimators import INCOME, IRIS, IRIS_TABLE, PEOPLE, SPECIES, ask, people, predict


def tensor(name: str, values: Any) -> Tensor:
    return Tensor.from_numpy(name, np.asarray(values))


def matrix_model() -> SklearnModel:
    return SklearnModel(estimators.classifier())


def table_model() -> SklearnModel:
    return SklearnModel(estimators.pipeline_of_columns())


def numeric_table_model() -> SklearnModel:
    return SklearnModel(RandomForestClassifier(5, random_state=0).fit(IRIS_TABLE, SPECIES))


def refused(model: SklearnModel, *inputs: Tensor, **parameters: Any) -> str:
    with pytest.raises(errors.InvalidInput) as caught:
        ask(model, *inputs, **parameters)
    return str(caught.value)


# -- matrices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i4", "i8", "?"])
def test_a_matrix_of_any_number_is_taken(dtype: str) -> None:
    values = IRIS[[0, 60, 120]].astype(dtype)
    expected = estimators.classifier().predict(values.astype("f8"))
    assert predict(matrix_model(), values) == expected.tolist()


def test_a_bf16_matrix_is_taken() -> None:
    values = Tensor("input-0", IRIS[[0, 60, 120]].astype("f4"), Datatype.BF16)
    assert ask(matrix_model(), values)[0].data.tolist() == [0, 1, 2]


def test_the_array_of_the_request_is_passed_on_without_a_copy() -> None:
    seen = []

    class Witness(StandardScaler):  # type: ignore[misc]  # scikit-learn ships no type information
        def predict(self, argument: Any) -> Any:
            seen.append(argument)
            return argument[:, 0]

    model = SklearnModel(Witness().fit(IRIS))
    request = tensor("input-0", IRIS[:2])
    ask(model, request)
    assert seen[-1] is request.data


def test_a_request_without_tensors_is_told_what_is_expected() -> None:
    assert "holds no tensors for this model; expected one tensor of shape [-1, 4]." in refused(matrix_model())
    assert "expected the columns 'city', 'age', 'note', 'children'." in refused(table_model())
    assert "expected one BYTES tensor of shape [-1]" in refused(SklearnModel(estimators.text_classifier()))
    assert "shape [-1, 4], or the columns 'sepal length (cm)'" in refused(numeric_table_model())


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 5), (1, 2, 2), (), (4, 1)])
def test_another_shape_names_the_one_that_is_expected(shape: tuple[int, ...]) -> None:
    message = refused(matrix_model(), tensor("x", np.ones(shape)))
    assert "rows of 4 features: expected one tensor of shape [-1, 4]" in message
    assert f"'x' FP64 {list(shape)}" in message


def test_a_matrix_without_rows_is_refused() -> None:
    assert "0 sample(s)" in refused(matrix_model(), tensor("x", np.empty((0, 4))))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_the_estimator_refuses_is_the_clients_fault(value: float) -> None:
    message = refused(matrix_model(), tensor("x", [[1.0, 2.0, 3.0, value]]))
    assert "NaN" in message or "infinity" in message


def test_an_estimator_that_takes_missing_values_gets_them() -> None:
    model = SklearnModel(HistGradientBoostingClassifier(max_iter=2).fit(IRIS, SPECIES))
    assert predict(model, [[np.nan, 3.5, 1.4, 0.2]]) == [0]


@pytest.mark.parametrize(
    ("estimator", "values"),
    [
        (CategoricalNB().fit([[0], [1], [2]], ["a", "b", "c"]), [[99]]),
        (make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit([[1.0], [2.0]], [1, 2]), [["text"]]),
    ],
    ids=["IndexError", "TypeError"],
)
def test_a_value_that_breaks_the_estimator_is_the_clients_fault(estimator: Any, values: Any) -> None:
    assert refused(SklearnModel(estimator), tensor("input-0", values))


def test_an_estimator_that_breaks_on_a_sample_too_is_at_fault_itself() -> None:
    estimator = LogisticRegression(max_iter=500).fit(IRIS, SPECIES)
    estimator.intercept_ = None
    model = SklearnModel(estimator)
    with pytest.raises(TypeError):
        ask(model, tensor("input-0", IRIS[:1]))


def test_text_for_numbers_is_refused() -> None:
    assert "could not convert string to float" in refused(matrix_model(), tensor("x", [["a", "b", "c", "d"]]))
    broken = Tensor("x", np.array([[b"\xff"] * 4], dtype=object), Datatype.BYTES)
    assert "not UTF-8" in refused(matrix_model(), broken)


def test_several_inputs_for_a_matrix_are_refused_and_the_first_is_not_taken_alone() -> None:
    rows = tensor("a", IRIS[:1])
    assert "have the shape [n] or [n, 1]" in refused(matrix_model(), rows, tensor("b", IRIS[:1]))
    four = [tensor(name, [1.0]) for name in "abcd"]
    assert "lacks the columns 'x0', 'x1', 'x2', 'x3'" in refused(matrix_model(), *four)


def test_a_table_for_a_model_without_names_is_taken_in_the_order_that_was_sent() -> None:
    columns = [tensor(name, IRIS[[0, 60, 120], place]) for place, name in enumerate("abcd")]
    assert ask(matrix_model(), *columns, content_type="pd")[0].data.tolist() == [0, 1, 2]
    message = refused(matrix_model(), *columns[:3], content_type="pd")
    assert "The table has 3 columns, and the model takes 4 features" in message


# -- tables ---------------------------------------------------------------------------------------------


def test_named_columns_are_taken_in_any_order() -> None:
    expected = estimators.pipeline_of_columns().predict(PEOPLE[:3])
    for columns in (people(3), people(3)[::-1]):
        assert ask(table_model(), *columns, content_type="pd")[0].data == pytest.approx(expected)
        assert ask(table_model(), *columns)[0].data == pytest.approx(expected)


def test_columns_may_have_a_second_axis_of_one() -> None:
    columns = [Tensor(each.name, each.data.reshape(-1, 1), each.datatype) for each in people(3)]
    assert ask(table_model(), *columns)[0].shape == (3,)


def test_missing_and_unknown_columns_are_named() -> None:
    message = refused(table_model(), *people(2, "city", "age"), tensor("ctiy", ["Oslo", "Rome"]))
    assert "lacks the columns 'city', 'age' and has columns that the model does not know: 'ctiy'" in message


def test_columns_of_different_lengths_are_refused() -> None:
    assert "of one n; got 'city' BYTES [2]" in refused(table_model(), *people(2, "age"), tensor("age", [1.0]))


def test_a_column_that_is_sent_twice_is_refused() -> None:
    assert "Several inputs have the same name" in refused(table_model(), *people(2), *people(2)[:1])


def test_a_column_of_the_wrong_kind_is_named() -> None:
    assert "Column 'age' takes numbers, got BYTES" in refused(
        table_model(), *people(1, "age"), tensor("age", ["twelve"])
    )
    assert "Column 'city' takes text (BYTES), got INT64" in refused(
        table_model(), *people(1, "city"), tensor("city", [1])
    )
    assert "Column 'city' takes text (BYTES), got FP64" in refused(table_model(), tensor("x", np.ones((1, 4))))


def test_a_category_that_the_encoder_does_not_know_is_the_clients_fault() -> None:
    assert "unknown categories ['Atlantis']" in refused(
        table_model(), *people(1, "city"), tensor("city", ["Atlantis"])
    ).replace("np.str_('Atlantis')", "'Atlantis'")


def test_a_mixed_table_is_served_for_an_estimator_without_names() -> None:
    values = PEOPLE[["city", "age"]].to_numpy(dtype=object)
    columns = ColumnTransformer([("city", OneHotEncoder(), [0]), ("age", StandardScaler(), [1])])
    model = SklearnModel(make_pipeline(columns, Ridge()).fit(values, INCOME))
    assert [spec.name for spec in model.metadata.inputs] == ["x0", "x1"]
    expected = ask(model, tensor("x0", ["Rome"]), tensor("x1", [1.0]))
    assert ask(model, tensor("b", ["Rome"]), tensor("a", [1.0]), content_type="pd") == expected


# -- matrices for models of named numbers ---------------------------------------------------------------


def test_a_model_that_was_fitted_on_a_table_of_numbers_takes_a_matrix_and_columns_alike() -> None:
    model = numeric_table_model()
    columns = [tensor(name, IRIS_TABLE[name].to_numpy()[[0, 60, 120]]) for name in IRIS_TABLE]
    assert predict(model, IRIS[[0, 60, 120]]) == [0, 1, 2]
    assert ask(model, *columns[::-1])[0].data.tolist() == [0, 1, 2]
    assert "lacks the columns 'sepal length (cm)'" in refused(model, *columns[1:])


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(2),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        make_pipeline(StandardScaler().set_output(transform="pandas"), LogisticRegression(max_iter=500)),
        make_pipeline(ColumnTransformer([("two", StandardScaler(), list(IRIS_TABLE)[:2])]), LogisticRegression()),
    ],
    ids=["one estimator", "a pipeline", "steps that answer tables", "columns by name"],
)
def test_no_warning_is_raised_for_a_matrix_in_place_of_a_table(estimator: Any) -> None:
    expected = estimator.fit(IRIS_TABLE, SPECIES).predict(IRIS_TABLE[:5]).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SklearnModel(estimator)
        assert predict(model, IRIS[:5]) == expected
        assert ask(model, *(tensor(name, IRIS_TABLE[name].to_numpy()[:5]) for name in IRIS_TABLE))[0].data.tolist() == (
            expected
        )


def test_a_table_of_one_column_is_taken_by_its_name_alone() -> None:
    model = SklearnModel(Ridge().fit(PEOPLE[["age"]], INCOME))
    assert ask(model, tensor("age", [1.0, 2.0]))[0].shape == (2,)
    assert "rows of 1 features" in refused(model, tensor("agee", [1.0, 2.0]))


# -- text -----------------------------------------------------------------------------------------------


def test_a_text_model_takes_a_list_of_strings() -> None:
    model = SklearnModel(estimators.text_classifier())
    assert predict(model, ["good day", "bad night"]) == [b"pos", b"neg"]
    assert predict(model, [["good day"], ["bad night"]]) == [b"pos", b"neg"]


def test_a_text_model_refuses_numbers_and_tables() -> None:
    model = SklearnModel(estimators.text_classifier())
    assert "takes text: expected one BYTES tensor of shape [-1], got 'x' FP64 [1]" in refused(model, tensor("x", [1.0]))
    assert "takes text" in refused(model, tensor("x", [["a", "b"]]))
    assert "takes text" in refused(model, tensor("x", ["a"]), tensor("y", ["b"]))


# -- without pandas -------------------------------------------------------------------------------------

WITHOUT_PANDAS = """
    import sys, warnings

    class NoPandas:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "pandas":
                raise ModuleNotFoundError(f"No module named {name!r}", name="pandas")

    sys.meta_path.insert(0, NoPandas())
    warnings.simplefilter("error")
    from pathlib import Path
    from fairlead import Artifact, InferRequest, LoadSettings, errors
    from fairlead_runtime_sklearn.runtime import SklearnRuntime
    path = Path(sys.argv[1])
    try:
        model = SklearnRuntime().load(Artifact(path=path, uri=str(path)), LoadSettings(model_name="m"))
    except errors.ModelLoadError as error:
        print(error)
    else:
        for sample in model.samples():
            print(model.predict(sample).outputs[0].shape)
"""


def without_pandas(path: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_PANDAS), str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_without_pandas_a_table_of_numbers_is_served_all_the_same(tmp_path: Path) -> None:
    path = estimators.saved(tmp_path, LogisticRegression(max_iter=500).fit(IRIS_TABLE, SPECIES))
    assert without_pandas(path).splitlines() == ["(1,)", "(1, 3)", "(1, 3)"]


def test_without_pandas_a_mixed_table_says_what_to_install(tmp_path: Path) -> None:
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    path = estimators.saved(tmp_path, make_pipeline(columns, Ridge()).fit(PEOPLE[["city", "age"]], INCOME))
    assert "pip install pandas" in without_pandas(path)


def test_the_request_itself_is_not_changed() -> None:
    request = InferRequest(model_name="m", inputs=people(2), parameters={"content_type": "pd", "method": "predict"})
    table_model().predict(request)
    assert request.parameters == {"content_type": "pd", "method": "predict"}
    assert list(request.inputs) == people(2)
