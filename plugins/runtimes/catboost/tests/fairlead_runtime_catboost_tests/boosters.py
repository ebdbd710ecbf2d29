"""Models of CatBoost, as small as they can be, and loading them as the server does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import catboost
import numpy as np
import pandas as pd

from fairlead import Artifact, InferRequest, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_runtime_catboost.runtime import CatBoostRuntime

if TYPE_CHECKING:
    from fairlead.runtimes.estimators import EstimatorModel

ROWS: Final = np.random.default_rng(7).normal(size=(60, 4)).round(3).astype(np.float32)
CLASSES: Final = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
LABELS: Final = np.array(["low", "middle", "high"])[CLASSES]
NAMES: Final = ["length", "width", "petal length", "petal width"]
PETS: Final = pd.DataFrame(
    {
        "weight": [1.0, 2.0, 3.0, 4.0] * 10,
        "kind": ["cat", "dog", "bird", "cat"] * 10,
        "size": [7, 9, 7, 9] * 10,
        "note": ["purrs at night", "barks at night", "sings", "purrs"] * 10,
    }
)
TAME: Final = np.tile([1, 0, 1, 0], 10)
# Without writing_files=False every training leaves a folder catboost_info behind.
PARAMETERS: Final = {
    "iterations": 4,
    "depth": 2,
    "learning_rate": 0.5,
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}


@functools.cache
def classifier() -> Any:
    """Three classes that are text."""
    return catboost.CatBoostClassifier(**PARAMETERS).fit(pd.DataFrame(ROWS, columns=NAMES), LABELS)


@functools.cache
def regressor() -> Any:
    """A regressor without names."""
    return catboost.CatBoostRegressor(**PARAMETERS).fit(ROWS, ROWS[:, 0] + ROWS[:, 1])


@functools.cache
def of_categories() -> Any:
    """Two classes, from numbers, categories and text."""
    made = catboost.CatBoostClassifier(**PARAMETERS)
    return made.fit(PETS, TAME, cat_features=["kind", "size"], text_features=["note"])


def saved(folder: Path, model: Any, name: str = "model.cbm", **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_model(str(folder / name), format="json" if name.endswith(".json") else "cbm", **options)
    return folder / name


def opened(path: Path, made: Any) -> Any:
    """The library's own model of a file; CatBoost rounds the last digit of numbers that it writes as JSON."""
    return made.load_model(str(path), format=path.suffix[1:])


def load(path: Path, *, policy: UnpicklingPolicy | None = None, **options: Any) -> EstimatorModel:
    settings = LoadSettings(
        model_name="model",
        unpickling=policy or UnpicklingPolicy(),
        options={"method": "predict", "nthread": 1, **options},
    )
    return CatBoostRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def ask(model: EstimatorModel, *, parameters: Any = None, **columns: Any) -> Any:
    """What a model answers to a matrix named ``rows``, or to columns; text as ``str``."""
    inputs = [Tensor.from_numpy(name, np.asarray(values)) for name, values in columns.items()]
    given = {} if "rows" in columns else {"content_type": "pd"}
    request = InferRequest(model_name="model", inputs=inputs, parameters={**given, **(parameters or {})})
    (output,) = model.predict(request).outputs
    return output.as_strings() if output.data.dtype.kind == "O" else output.data
