"""Answering with what a library returned, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Tensor

__all__ = ["tensors"]


def tensors(result: Any, names: Sequence[str] = ()) -> list[Tensor]:
    """Wrap a library's result: one tensor for an array, several for a list of arrays or a dictionary of them.

    Arrays keep their datatype; text becomes BYTES. Sparse matrices become dense, and the values of a table one array.

    Args:
        result: an array, a scalar, a sparse matrix, a DataFrame or Series, a list or tuple of arrays, or a dictionary
            of them by name.
        names: the names of the tensors, in order; by default those of the dictionary, else ``output-0``,
            ``output-1``, ...

    Raises:
        InferenceFailed: there are more or fewer results than names, or one that no tensor can hold.
    """
    if isinstance(result, Mapping):
        found = list(result.values())
        names = names or [str(name) for name in result]
    elif isinstance(result, (list, tuple)) and any(_is_array(each) for each in result):
        found = list(result)
    else:
        found = [result]
    names = names or [f"output-{place}" for place in range(len(found))]
    if len(names) != len(found):
        raise errors.InferenceFailed(
            f"The model answered with {len(found)} outputs, and has {len(names)}: {', '.join(names)}."
        )
    return [_tensor(name, each) for name, each in zip(names, found, strict=True)]


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "toarray") or hasattr(value, "to_numpy")


def _tensor(name: str, result: Any) -> Tensor:
    if hasattr(result, "toarray"):
        result = result.toarray()
    elif hasattr(result, "to_numpy"):
        result = result.to_numpy()
    try:
        return Tensor.from_numpy(name, np.asarray(result))
    except (errors.InvalidInput, ValueError) as error:
        raise errors.InferenceFailed(f"Output {name!r} cannot be a tensor: {error}.") from error
