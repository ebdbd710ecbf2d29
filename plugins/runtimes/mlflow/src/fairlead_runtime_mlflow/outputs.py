"""Answering with what ``predict`` of MLflow returned: tables, arrays, or values of any kind."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fairlead import InferRequest, InferResponse, Tensor
from fairlead.runtimes import outputs

__all__ = ["respond"]


def respond(result: Any, request: InferRequest) -> InferResponse:
    """An answer: one tensor for each column of a table, ``output-0`` for an array or a list of plain values.

    Values that are no tensors (objects, lists of different lengths) are the predictions of V1 as they are, and JSON
    text in a BYTES tensor over V2.
    """
    tensors = _tensors(result)
    if tensors is None:
        values = _json(result if isinstance(result, (list, tuple)) else [result])
        if request.payload is not None:
            return InferResponse(model_name=request.model_name, id=request.id, payload=values)
        text = np.empty(len(values), dtype=object)
        text[:] = [json.dumps(each, ensure_ascii=False) for each in values]
        tensors = [Tensor.from_numpy("output-0", text)]
    return InferResponse(model_name=request.model_name, id=request.id, outputs=tensors)


def _tensors(result: Any) -> list[Tensor] | None:
    """The tensors of a result; None for one that is no tensors."""
    if type(result).__name__ == "DataFrame" and hasattr(result, "columns"):
        return [tensor for name in result.columns for tensor in outputs.tensors(_column(result[name]), [str(name)])]
    if isinstance(result, dict):
        if result and all(isinstance(each, np.ndarray) for each in result.values()):
            return outputs.tensors(result)
        return None
    if isinstance(result, (bool, int, float, str, bytes)):
        return outputs.tensors(np.array([result], dtype=object))
    if isinstance(result, (list, tuple)):
        if any(isinstance(each, np.ndarray) for each in result):
            return outputs.tensors(list(result))
        if not all(isinstance(each, (bool, int, float, str, bytes, np.generic)) for each in result):
            return None
        array = np.empty(len(result), dtype=object)
        array[:] = list(result)
        return outputs.tensors(array)
    return outputs.tensors(result)


def _column(series: Any) -> Any:
    """A column of a table; lists and objects in it become JSON text."""
    values = series.to_numpy()
    if values.dtype != object or not any(isinstance(each, (list, dict, np.ndarray)) for each in values):
        return values
    text = np.empty(len(values), dtype=object)
    text[:] = [json.dumps(_json(each), ensure_ascii=False) for each in values]
    return text


def _json(value: Any) -> Any:
    """A value as JSON has it; objects of pydantic as what they dump, and what JSON does not know as its text."""
    if hasattr(value, "model_dump"):
        return _json(value.model_dump())
    if isinstance(value, dict):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _json(value.tolist())
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
