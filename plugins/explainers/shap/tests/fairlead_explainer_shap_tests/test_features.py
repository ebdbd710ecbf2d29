"""Features by name: the values are in the model's order, whatever order the client and the reference data have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVR

from fairlead import Artifact, Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead_explainer_shap_tests.models import Framed, by_sklearn, data, explainer

X, Y = data()
NAMES = ["height", "width", "depth", "age"]
ORDER = [3, 1, 0, 2]


def columns(order: list[int], rows: int = 2) -> InferRequest:
    """A request of one tensor for each feature, in this order."""
    inputs = [Tensor.from_numpy(NAMES[place], X[:rows, place]) for place in order]
    return InferRequest(model_name="model", inputs=inputs, parameters={"content_type": "pd"})


def csv(folder: Path, order: list[int], *, header: bool = True) -> Artifact:
    frame = pd.DataFrame(X[:20][:, order], columns=[NAMES[place] for place in order])
    frame.to_csv(folder / "reference.csv", index=False, header=header)
    return Artifact(path=folder, uri=folder.as_uri())


def test_columns_in_another_order_than_the_models_are_explained_in_the_models(shap: Any, tmp_path: Path) -> None:
    native = RandomForestRegressor(3, random_state=0).fit(pd.DataFrame(X, columns=NAMES), Y)
    expected = shap.TreeExplainer(native)(X[:2]).values
    model = by_sklearn(native, tmp_path / "model")  # which forgets the names of the estimator itself
    answer = explainer(model).explain(columns(ORDER), lambda _: pytest.fail("the model was asked"))
    np.testing.assert_allclose(answer.output("shap_values").data, expected)
    assert answer.output("feature_names").as_strings().tolist() == [NAMES, NAMES]


def test_reference_data_in_another_order_is_put_into_the_models(shap: Any, tmp_path: Path) -> None:
    native = SVR().fit(pd.DataFrame(X, columns=NAMES), Y)
    model = by_sklearn(native, tmp_path / "model")
    answer = explainer(model, csv(tmp_path, ORDER)).explain(columns(ORDER), model.predict)  # type: ignore[arg-type]  # the runtime's models are no coroutines
    kernel = shap.KernelExplainer(SVR().fit(X, Y).predict, X[:20])
    np.testing.assert_allclose(answer.output("shap_values").data, kernel.shap_values(X[:2], silent=True))


def test_names_of_the_reference_data_name_the_features_of_a_model_that_is_elsewhere(tmp_path: Path) -> None:
    model = Framed(SVR().fit(X[:, ORDER], Y))
    answer = explainer(None, csv(tmp_path, ORDER)).explain(columns([0, 1, 2, 3]), model.predict)
    assert answer.output("feature_names").as_strings()[0].tolist() == [NAMES[place] for place in ORDER]


def test_without_names_columns_are_explained_as_they_come(tmp_path: Path) -> None:
    made = explainer(Framed(SVR().fit(X, Y)), csv(tmp_path, [0, 1, 2, 3], header=False))
    answer = made.explain(columns([0, 1, 2, 3]), Framed(SVR().fit(X, Y)).predict)
    assert answer.output("feature_names").as_strings()[0].tolist() == NAMES


def test_a_column_that_is_missing_is_the_clients_fault(tmp_path: Path) -> None:
    made = explainer(None, csv(tmp_path, [0, 1, 2, 3]))
    with pytest.raises(errors.InvalidInput, match="the request has no column 'age'"):
        made.explain(columns([0, 1, 2]), Framed(SVR().fit(X, Y)).predict)


def test_a_column_that_is_none_of_the_features_is_the_clients_fault(tmp_path: Path) -> None:
    made = explainer(None, csv(tmp_path, [0, 1, 2]))
    with pytest.raises(errors.InvalidInput, match="'age' that is none of them"):
        made.explain(columns([0, 1, 2, 3]), Framed(SVR().fit(X, Y)).predict)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "holds no rows"),
        ("a,b\n", "holds no rows"),
        ("a,b\n1,x\n", "could not convert string to float: 'x'"),
        ("1,2\n3\n", "line 2 has 1 values, and the first 2"),
        ("a,b\n1,2\n", "The reference data has 2 features, and the model 4"),
    ],
)
def test_a_file_that_is_no_reference_data_is_a_clear_error(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "reference.csv").write_text(content)
    native = RandomForestRegressor(3, random_state=0).fit(pd.DataFrame(X, columns=NAMES), Y)
    with pytest.raises(errors.ModelLoadError, match=problem):
        explainer(Framed(native, features=NAMES), Artifact(path=tmp_path, uri="file:///x"))


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "reference.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(errors.ModelLoadError, match="Object arrays cannot be loaded"):
        explainer(None, Artifact(path=tmp_path, uri="file:///x"))


def test_two_files_of_reference_data_are_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", X)
    with pytest.raises(errors.ArtifactAmbiguous):
        explainer(None, Artifact(path=tmp_path, uri="file:///x"))


def test_an_archive_of_one_array_is_reference_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", X[:20])
    model = Framed(SVR().fit(X, Y))
    answer = explainer(None, Artifact(path=tmp_path, uri="file:///x")).explain(
        InferRequest(model_name="model", inputs=[Tensor.from_numpy("x", X[:1])]), model.predict
    )
    assert answer.output("shap_values").shape == (1, 4)


# -- models of something else -----------------------------------------------------------------------------


def test_a_model_with_a_column_of_text_is_refused_while_it_loads(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": X[:, 0], "kind": ["old", "new"] * (len(X) // 2)})
    encoded = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    native = make_pipeline(encoded, RandomForestRegressor(3, random_state=0)).fit(frame, Y)
    model = by_sklearn(native, tmp_path / "model")
    np.save(tmp_path / "reference.npy", X[:10, :2])
    with pytest.raises(errors.ModelLoadError, match=r"explains rows of numbers, and the model takes text: kind\."):
        explainer(model, Artifact(path=tmp_path / "reference.npy", uri="file:///x"))


@pytest.mark.parametrize(
    ("shapes", "shown"),
    [
        ([(-1, 2), (-1, 3)], r"one table of rows of numbers, and the model takes a \[-1, 2\], b \[-1, 3\]"),
        ([(-1, 8, 8)], r"the model takes a \[-1, 8, 8\]"),
    ],
)
def test_a_model_of_several_tensors_or_of_images_is_refused_while_it_loads(
    tmp_path: Path, shapes: list[tuple[int, ...]], shown: str
) -> None:
    model = Framed(
        SVR().fit(X, Y),
        inputs=[TensorSpec(name, Datatype.FP32, shape) for name, shape in zip("ab", shapes, strict=False)],
    )
    with pytest.raises(errors.ModelLoadError, match=shown):
        explainer(model, csv(tmp_path, [0, 1]))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_an_input_for_each_column_is_a_table(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = Framed(SVR().fit(X, Y), inputs=[TensorSpec(name, Datatype.FP64, shape) for name in NAMES])
    answer = explainer(model, csv(tmp_path, ORDER)).explain(columns(ORDER), model.predict)
    assert answer.output("feature_names").as_strings()[0].tolist() == NAMES
