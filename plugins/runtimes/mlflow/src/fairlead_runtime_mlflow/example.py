"""A sample from the input example that a model was saved with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Datatype, InferRequest, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fairlead import TensorSpec
    from fairlead_runtime_mlflow.mlmodel import MLModel

__all__ = ["first_row"]

_NAME: Final = "input_example.json"
_LARGEST: Final = 64 * 1024 * 1024


def first_row(model: MLModel, specs: tuple[TensorSpec, ...]) -> InferRequest | None:
    """The first row of the table that a model was saved with, as a request; None where there is none that fits.

    Args:
        model: the model.
        specs: the columns of its signature.
    """
    row = _row(model.folder / _NAME)
    if row is None or not any(spec.name in row for spec in specs):
        return None
    inputs = [tensor for spec in specs if (tensor := _tensor(spec, row.get(spec.name))) is not None]
    return InferRequest(model_name="", inputs=inputs, parameters={"content_type": "pd"})


def _row(path: Path) -> Mapping[str, Any] | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        example = json.loads(path.read_bytes())
        return dict(zip(map(str, example["columns"]), example["data"][0], strict=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None  # there is none, or it is no table


def _tensor(spec: TensorSpec, value: Any) -> Tensor | None:
    if value is None:
        return None
    if spec.datatype is not Datatype.BYTES:
        is_number = isinstance(value, (bool, int, float))
        return Tensor.from_numpy(spec.name, np.array([value])) if is_number else None
    cell = np.empty(1, dtype=object)
    cell[0] = value if isinstance(value, str) else json.dumps(value)
    return Tensor.from_numpy(spec.name, cell, Datatype.BYTES)
