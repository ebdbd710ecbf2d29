"""Answering with what an estimator returned, as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead import Tensor

__all__ = ["tensors"]


def tensors(result: Any) -> list[Tensor]:
    """Wrap an estimator's result: ``output-0``, or one tensor for each target where there is an array for each.

    Labels keep their datatype (text becomes BYTES), other numbers become FP64, and sparse matrices become dense.

    Args:
        result: an array, a sparse matrix, a DataFrame, or a list with one array for each target.
    """
    several = isinstance(result, list) and bool(result) and all(isinstance(each, np.ndarray) for each in result)
    return [_tensor(f"output-{place}", each) for place, each in enumerate(result if several else [result])]


def _tensor(name: str, result: Any) -> Tensor:
    if hasattr(result, "toarray"):
        result = result.toarray()
    elif hasattr(result, "to_numpy"):
        result = result.to_numpy()
    array = np.asarray(result)
    if array.dtype.kind == "f":
        array = array.astype(np.float64, copy=False)
    return Tensor.from_numpy(name, array)
