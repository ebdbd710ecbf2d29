"""The rows that are explained: a request as a matrix, and a matrix as a request of the same form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows"]

_ROWS_AND_COLUMNS: Final = 2
_NARROW: Final = (Datatype.FP16, Datatype.BF16, Datatype.FP32)


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a request.

    Attributes:
        values: FP64 of shape [rows, features].
        names: the names of the features; empty where neither the model nor the client names them.
        request: the request.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    request: InferRequest

    @classmethod
    def of(cls, request: InferRequest, features: Sequence[str], width: int | None) -> Rows:
        """Read the rows of a request: one tensor of rows, or one for each feature.

        Args:
            request: the request.
            features: the names of the model's features, in its order; empty where they are not known.
            width: how many features there are; None where that is not known.

        Raises:
            InvalidInput: it holds something else, or other features.
        """
        tensors = request.inputs
        if not tensors:
            raise errors.InvalidInput("The request holds no rows of numbers to explain.")
        for tensor in tensors:
            if tensor.datatype is Datatype.BYTES:
                raise errors.InvalidInput(f"SHAP values are made of numbers, and the input {tensor.name!r} holds text.")
        if len(tensors) > 1 or request.columns:
            values, names = _columns(tensors, features)
        else:
            values, names = np.asarray(tensors[0].data, dtype=np.float64), tuple(features)
        if values.ndim != _ROWS_AND_COLUMNS or (width is not None and values.shape[1] != width):
            raise errors.InvalidInput(
                f"Expected rows of {width or 'several'} features to explain, got shape {list(values.shape)}."
            )
        if not values.size:
            raise errors.InvalidInput("There are no rows to explain.")
        return cls(values, names, request)

    def asking(self, values: NDArray[Any], parameters: dict[str, Any]) -> InferRequest:
        """A request for the predictions of other rows, in the form of the one that is explained.

        Args:
            values: the rows.
            parameters: parameters on top of the client's own.
        """
        given = self.request.inputs
        if len(given) > 1 or self.request.columns:
            kinds = {tensor.name: tensor.datatype for tensor in given}
            inputs = [_tensor(name, values[:, place], kinds[name]) for place, name in enumerate(self.names)]
        else:
            inputs = [_tensor(given[0].name, values, given[0].datatype)]
        return dataclasses.replace(self.request, inputs=inputs, parameters={**self.request.parameters, **parameters})


def _columns(tensors: Sequence[Tensor], features: Sequence[str]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    columns = {tensor.name: np.asarray(tensor.data, dtype=np.float64) for tensor in tensors}
    names = tuple(features) or tuple(columns)
    missing = [name for name in names if name not in columns]
    unknown = [name for name in columns if name not in names]
    if missing or unknown:
        wrong = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r} that is none of them"
        raise errors.InvalidInput(f"The features are {', '.join(map(repr, names))}, and the request {wrong}.")
    lengths = {column.shape if column.ndim == 1 else (len(column), *column.shape[1:]) for column in columns.values()}
    if len(lengths) > 1 or any(column.ndim > _ROWS_AND_COLUMNS for column in columns.values()):
        raise errors.InvalidInput("The columns of the request differ in their shapes.")
    matrix = [columns[name].reshape(len(columns[name]), -1) for name in names]
    if any(column.shape[1] != 1 for column in matrix):
        raise errors.InvalidInput("A column of the request has more than one value for each row.")
    return np.hstack(matrix), names


def _tensor(name: str, values: NDArray[Any], sent: Datatype) -> Tensor:
    """Numbers with a fraction, in the precision in which the client sent its own."""
    return Tensor.from_numpy(name, values.astype(np.float32 if sent in _NARROW else np.float64))
