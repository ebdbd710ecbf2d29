"""MLflow models that the tests save, and how they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
import numpy as np
import pandas as pd
import tritonclient.grpc
import tritonclient.http
from mlflow.models import ModelSignature, infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from fairlead.testing.server import RunningServer

__all__ = ["COLUMNS", "PINS", "TABLE", "answers", "classifier", "code_model", "save_sklearn", "signature"]

TABLE: Final = pd.DataFrame({"age": [21.0, 35.0, 52.0, 64.0], "visits": [1, 3, 2, 8]})
COLUMNS: Final = [(str(name), column.to_numpy()) for name, column in TABLE.items()]
PINS: Final = ["numpy"]
"""Requirements of a model, so that MLflow does not go looking for them in a process of its own."""
_LABELS: Final = np.array([0, 0, 1, 1])


def classifier() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, _LABELS)


def regression() -> Any:
    return LinearRegression().fit(TABLE, _LABELS)


def signature(model: Any, **kwargs: Any) -> ModelSignature:
    return infer_signature(TABLE, model.predict(TABLE), **kwargs)


def save_sklearn(folder: Path, model: Any, **kwargs: Any) -> Path:
    given = {"signature": signature(model), "pip_requirements": PINS, **kwargs}
    mlflow.sklearn.save_model(model, folder, **given)
    return folder


def code_model(folder: Path, model: mlflow.pyfunc.PythonModel, **kwargs: Any) -> Path:
    mlflow.pyfunc.save_model(folder, python_model=model, **{"pip_requirements": PINS, **kwargs})
    return folder


def answers(server: RunningServer, name: str, inputs: Sequence[tuple[str, np.ndarray[Any, Any]]]) -> list[Any]:
    """What a model answers over V2 JSON, V2 binary and gRPC: a dictionary of arrays for each."""
    assert server.grpc_address is not None
    names = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64}
    found: list[Any] = []
    kinds = {np.dtype(dtype): name for name, dtype in names.items()}
    for binary in (False, True):
        asked = []
        for tensor, array in inputs:
            asked.append(tritonclient.http.InferInput(tensor, list(array.shape), kinds[array.dtype]))
            asked[-1].set_data_from_numpy(array, binary_data=binary)
        with tritonclient.http.InferenceServerClient(server.url.removeprefix("http://")) as client:
            result = client.infer(name, asked, request_compression_algorithm=None)
            found.append({each["name"]: result.as_numpy(each["name"]) for each in result.get_response()["outputs"]})
    asked = []
    for tensor, array in inputs:
        asked.append(tritonclient.grpc.InferInput(tensor, list(array.shape), kinds[array.dtype]))
        asked[-1].set_data_from_numpy(array)
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        result = client.infer(name, asked)
        found.append({each.name: result.as_numpy(each.name) for each in result.get_response().outputs})
    return found
