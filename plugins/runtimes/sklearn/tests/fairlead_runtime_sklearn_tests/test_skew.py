"""Artefacts of scikit-learn 1.5.2, as `make_skewed.py` wrote them, in the installed version."""

from __future__ import annotations

import warnings
from pathlib import Path

import joblib
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from fairlead import Artifact, errors
from fairlead_runtime_sklearn import versions
from fairlead_runtime_sklearn_tests import estimators
from fairlead_runtime_sklearn_tests.estimators import ARTIFACTS, load

skewed = pytest.mark.skipif(sklearn.__version__.startswith("1.5."), reason="needs another version than the artefacts'")

FAILING = sorted(
    path.name
    for path in ARTIFACTS.iterdir()
    if path.name.startswith(("gradient_boosting", "hist_gradient_boosting", "columns"))
)


@skewed
@pytest.mark.parametrize("name", FAILING)
def test_an_artefact_that_does_not_load_names_the_version_to_install(name: str) -> None:
    with pytest.raises(errors.ModelLoadError) as caught:
        load(ARTIFACTS / name)
    assert f"saved with scikit-learn 1.5.2 and does not load with {sklearn.__version__}" in caught.value.reason
    assert caught.value.remedy is not None
    assert "pip install scikit-learn==1.5.2" in caught.value.remedy


@skewed
def test_an_artefact_that_loads_and_does_not_answer_is_found_by_its_samples() -> None:
    model = load(ARTIFACTS / "imputer.joblib")
    assert model.saved_with == {"scikit-learn": "1.5.2"}
    samples = model.samples()
    assert [sample.parameters["method"] for sample in samples] == ["predict", "predict_proba", "decision_function"]
    for sample in samples:
        with pytest.raises(AttributeError, match="_fill_dtype"):
            model.predict(sample)


@pytest.mark.parametrize("name", ["logistic_regression.joblib", "svc.joblib", "svc.skops"])
def test_an_artefact_that_answers_says_that_its_version_differs(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(ARTIFACTS / name)
    assert model.saved_with == {"scikit-learn": "1.5.2"}
    assert model.notes == ()
    assert estimators.predict(model, estimators.IRIS[[0, 60, 120]]) == [0, 1, 2]


def test_an_artefact_of_the_installed_version_says_so(tmp_path: Path) -> None:
    model = load(estimators.saved(tmp_path, estimators.classifier()))
    assert model.saved_with == {"scikit-learn": sklearn.__version__}


@pytest.mark.parametrize("path", sorted(ARTIFACTS.iterdir()), ids=lambda path: str(path.name))
def test_the_recorded_version_is_found_in_every_encoding(path: Path) -> None:
    assert versions.recorded(path) == "1.5.2"


@pytest.mark.parametrize("compression", [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3), None])
def test_a_damaged_file_records_nothing_and_does_not_raise(tmp_path: Path, compression: tuple[str, int] | None) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(list(range(10_000)), path, compress=compression or 0)
    path.write_bytes(path.read_bytes()[:200])
    assert versions.recorded(path) is None
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        load(path)


def test_an_estimator_that_was_never_fitted_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match="The SVC in the file is not fitted"):
        load(estimators.saved(tmp_path, SVC()))


def test_a_part_that_was_never_fitted_is_no_fault_of_the_client(tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), SVC())
    pipeline.fit(estimators.IRIS, estimators.SPECIES)
    pipeline.steps[0] = ("standardscaler", OneHotEncoder())
    model = load(estimators.saved(tmp_path, pipeline))
    with pytest.raises(NotFittedError):
        estimators.predict(model, estimators.IRIS[:1])


def test_the_version_of_an_artefact_is_told_without_loading_it(tmp_path: Path) -> None:
    def told(path: Path) -> dict[str, str]:
        return dict(versions.saved_with(Artifact(path=path, uri="x")))

    path = ARTIFACTS / FAILING[0]
    assert told(path) == {"scikit-learn": "1.5.2"}
    assert told(tmp_path) == {}
    (tmp_path / "a.joblib").write_bytes(path.read_bytes())
    assert told(tmp_path) == {"scikit-learn": "1.5.2"}
    (tmp_path / "b.joblib").write_bytes(path.read_bytes())
    assert told(tmp_path) == {}
