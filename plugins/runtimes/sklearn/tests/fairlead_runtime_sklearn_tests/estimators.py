"""Fitted estimators, and a short way to load and to ask them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from fairlead import Artifact, InferRequest, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_runtime_sklearn.runtime import SklearnRuntime

if TYPE_CHECKING:
    from fairlead_runtime_sklearn.model import SklearnModel

ARTIFACTS: Final = Path(__file__).parent / "artifacts"

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS_AND_SPECIES: Final = (IRIS, SPECIES)
IRIS_TABLE: Final = load_iris(as_frame=True).data

PEOPLE: Final = pd.DataFrame(
    {
        "city": ["Oslo", "Rome", "Oslo", "Paris"] * 5,
        "age": np.arange(20.0),
        "note": ["good day", "bad night", "good night", "bad day"] * 5,
        "children": [0, 1, 2, 3] * 5,
    }
)
INCOME: Final = np.arange(20.0) * 3


def classifier() -> Any:
    return SVC().fit(IRIS, SPECIES)


def pipeline_of_columns() -> Any:
    columns = ColumnTransformer(
        [
            ("city", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["city"]),
            ("note", TfidfVectorizer(), "note"),
            ("age", StandardScaler(), ["age"]),
        ],
        remainder="passthrough",
    )
    return make_pipeline(columns, Ridge()).fit(PEOPLE, INCOME)


def text_classifier() -> Any:
    labels = np.array(["pos", "neg", "pos", "neg"] * 5)
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(PEOPLE["note"], labels)


def people(count: int = 3, *without: str) -> list[Tensor]:
    """The first rows of PEOPLE, one tensor for each column."""
    return [Tensor.from_numpy(str(name), PEOPLE[name].to_numpy()[:count]) for name in PEOPLE if name not in without]


def saved(folder: Path, estimator: Any, name: str = "model.joblib") -> Path:
    path = folder / name
    joblib.dump(estimator, path)
    return path


def load(path: Path, policy: str = "allow", **options: str | int) -> SklearnModel:
    settings = LoadSettings(model_name="m", unpickling=UnpicklingPolicy.parse(policy), options=options)
    return SklearnRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def ask(model: SklearnModel, *inputs: Tensor, **parameters: Any) -> list[Tensor]:
    return list(model.predict(InferRequest(model_name="m", inputs=inputs, parameters=parameters)).outputs)


def predict(model: SklearnModel, values: Any, **parameters: Any) -> Any:
    """Ask with one tensor; the values of the one output as nested lists."""
    (output,) = ask(model, Tensor.from_numpy("input-0", np.asarray(values)), **parameters)
    return output.data.tolist()


def exposed(model: SklearnModel) -> list[Mapping[str, Any]]:
    return [sample.parameters for sample in model.samples()]
