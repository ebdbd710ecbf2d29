"""Models of LightGBM, as small as they can be, and loading them as the server does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightgbm
import numpy as np
import pandas as pd

from fairlead import Artifact, InferRequest, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_runtime_lightgbm.runtime import LightGBMRuntime

if TYPE_CHECKING:
    from fairlead.runtimes.estimators import EstimatorModel

ROWS: Final = np.random.default_rng(7).normal(size=(60, 4)).round(3)
CLASSES: Final = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
NAMES: Final = ["length", "width", "petal_length", "petal_width"]
PARAMETERS: Final = {"num_threads": 1, "verbose": -1, "min_data_in_leaf": 3, "num_leaves": 5}
PETS: Final = pd.DataFrame(
    {
        "weight": [1.0, 2.0, 3.0, 4.0] * 20,
        "kind": pd.Categorical(["cat", "dog", "bird", "cat"] * 20),
        "size": pd.Categorical([7, 9, 7, 9] * 20),
        "tame": pd.Categorical([True, False, False, True] * 20),
        "place": pd.Categorical(["home"] * 80),
    }
)
AGES: Final = np.tile([1.0, 0.0, 2.0, 1.0], 20)


def trained(parameters: dict[str, Any], names: list[str] | None = None, labels: Any = CLASSES) -> Any:
    data = lightgbm.Dataset(ROWS, labels, feature_name=names or "auto")
    return lightgbm.train({**PARAMETERS, **parameters}, data, 4)


@functools.cache
def classifier() -> Any:
    """A booster of three classes, with the names of its features."""
    return trained({"objective": "multiclass", "num_class": 3}, NAMES)


@functools.cache
def regressor() -> Any:
    """A booster without names."""
    return trained({})


@functools.cache
def of_categories() -> Any:
    """A booster that was trained on columns of numbers, and on text, whole numbers and booleans that are categories."""
    tuned = {"min_data_per_group": 1, "cat_smooth": 0, "max_cat_to_onehot": 1}
    return lightgbm.train({**PARAMETERS, **tuned}, lightgbm.Dataset(PETS, AGES), 4)


def saved(folder: Path, booster: Any, name: str = "model.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / name)
    return folder / name


def load(path: Path, *, policy: UnpicklingPolicy | None = None, **options: Any) -> EstimatorModel:
    settings = LoadSettings(
        model_name="model",
        unpickling=policy or UnpicklingPolicy(),
        options={"method": "predict", "nthread": 1, **options},
    )
    return LightGBMRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def ask(model: EstimatorModel, *, parameters: Any = None, **columns: Any) -> Any:
    """What a model answers to a matrix named ``rows``, or to columns."""
    inputs = [Tensor.from_numpy(name, np.asarray(values)) for name, values in columns.items()]
    given = {} if "rows" in columns else {"content_type": "pd"}
    request = InferRequest(model_name="model", inputs=inputs, parameters={**given, **(parameters or {})})
    (output,) = model.predict(request).outputs
    return output.data
