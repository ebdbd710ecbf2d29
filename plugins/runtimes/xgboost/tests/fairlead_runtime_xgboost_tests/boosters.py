"""Models of XGBoost, as small as they can be, and loading them as the server does."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xgboost

from fairlead import Artifact, InferRequest, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_runtime_xgboost.runtime import XGBoostRuntime

if TYPE_CHECKING:
    from fairlead.runtimes.estimators import EstimatorModel

ROWS: Final = np.random.default_rng(7).normal(size=(60, 4)).round(3).astype(np.float32)
CLASSES: Final = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
NAMES: Final = ["length", "width", "petal length", "petal width"]
PETS: Final = pd.DataFrame(
    {
        "weight": [1.0, 2.0, 3.0, 4.0] * 20,
        "kind": pd.Categorical(["cat", "dog", "bird", "cat"] * 20),
        "size": pd.Categorical([7, 9, 7, 9] * 20),
    }
)
AGES: Final = np.tile([1.0, 0.0, 2.0, 1.0], 20)


def trained(parameters: dict[str, Any], names: list[str] | None = None, labels: Any = CLASSES) -> Any:
    data = xgboost.DMatrix(ROWS, labels, feature_names=names)
    depth = {} if parameters.get("booster") == "gblinear" else {"max_depth": 3}
    return xgboost.train({"nthread": 1, **depth, **parameters}, data, 4)


@functools.cache
def classifier() -> Any:
    """A booster of three classes, with the names of its features."""
    return trained({"objective": "multi:softprob", "num_class": 3}, NAMES)


@functools.cache
def regressor() -> Any:
    """A booster without names."""
    return trained({})


@functools.cache
def of_categories() -> Any:
    """A booster that was trained on columns of numbers, of text and of whole numbers that are categories."""
    data = xgboost.DMatrix(PETS, AGES, enable_categorical=True)
    return xgboost.train({"nthread": 1, "max_cat_to_onehot": 1}, data, 4)


def saved(folder: Path, booster: Any, name: str = "model.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # of an ending .bst it says which format it chooses
        warnings.simplefilter("ignore", UserWarning)
        booster.save_model(folder / name)
    return folder / name


def load(path: Path, *, policy: UnpicklingPolicy | None = None, **options: Any) -> EstimatorModel:
    settings = LoadSettings(
        model_name="model",
        unpickling=policy or UnpicklingPolicy(),
        options={"method": "predict", "nthread": 1, **options},
    )
    return XGBoostRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def ask(model: EstimatorModel, *, parameters: Any = None, **columns: Any) -> Any:
    """What a model answers to a matrix named ``rows``, or to columns."""
    inputs = [Tensor.from_numpy(name, np.asarray(values)) for name, values in columns.items()]
    given = {} if "rows" in columns else {"content_type": "pd"}
    request = InferRequest(model_name="model", inputs=inputs, parameters={**given, **(parameters or {})})
    (output,) = model.predict(request).outputs
    return output.data
