"""Models of Python code. MLflow advises type hints as each class is made, which is a warning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    import mlflow.pyfunc

    class Scaling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Multiplies by a parameter of the request."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input[["age"]] * params["factor"]

    class Counting(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Answers nested values with nested values."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [{"turns": len(messages)} for messages in model_input["messages"]]

    class Shouting(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Says by its type hints what it takes."""

        def predict(self, model_input: list[str]) -> list[str]:
            return [each.upper() for each in model_input]

    class Ages(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Takes dates, and a column that may be left out."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            assert str(model_input["born"].dtype).startswith("datetime64")
            note = model_input["note"] if "note" in model_input else ["none"] * len(model_input)
            return pd.DataFrame({"year": model_input["born"].dt.year, "note": note})

    class Touching(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Leaves a trace when it is unpickled."""

        def __init__(self, path: Path) -> None:
            self.path = path

        def __reduce__(self) -> Any:
            return (Path.touch, (self.path,))

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Answers a table with a table."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input * 2

    class Sums(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types
        """Answers tensors with tensors."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return {"sum": model_input["x"] + model_input["y"]}
