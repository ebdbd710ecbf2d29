"""Reading a request as what an estimator takes: an array, a pandas DataFrame, or a list of strings."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead_runtime_sklearn.features import Certainty, Feature, Kind, Signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

__all__ = ["InputReader"]

_MATRIX_RANK = 2


class InputReader:
    """Reads requests for one estimator.

    Args:
        signature: what the estimator takes.
        framed: whether it takes a DataFrame; otherwise named columns become a matrix.

    Raises:
        ModelLoadError: it takes a DataFrame, and pandas is not installed.
    """

    def __init__(self, signature: Signature, *, framed: bool) -> None:
        self._signature = signature
        self._names = signature.names
        self._width = len(signature.features) or None
        self._framed = framed
        self._index = _pandas().Index(self._names) if framed else None

    def read(self, request: InferRequest) -> Any:
        """The estimator's argument, one row for each row of the request.

        Numbers are passed as they were sent and are not copied, except that FP16 is widened to FP32; BYTES become
        ``str``.

        Raises:
            InvalidInput: the request has another form, other columns, or another number of features.
        """
        tensors = request.inputs
        if not tensors:
            raise errors.InvalidInput(f"The request holds no tensors for this model; expected {self._signature}.")
        if self._signature.kind is Kind.TEXT:
            return self._text(tensors)
        if len(tensors) > 1 or request.columns or self._is_column(tensors[0]):
            return self._columns(tensors, request.columns)
        return self._matrix(tensors[0])

    # -- text -------------------------------------------------------------------------------------------

    def _text(self, tensors: Sequence[Tensor]) -> list[str]:
        tensor = tensors[0]
        if len(tensors) > 1 or tensor.datatype is not Datatype.BYTES or _length(tensor) is None:
            raise errors.InvalidInput(f"The model takes text: expected {self._signature}, got {_described(tensors)}.")
        strings: list[str] = tensor.as_strings().ravel().tolist()
        return strings

    # -- matrices ---------------------------------------------------------------------------------------

    def _matrix(self, tensor: Tensor) -> Any:
        data = tensor.data
        if data.ndim != _MATRIX_RANK or (self._width is not None and data.shape[1] != self._width):
            raise errors.InvalidInput(
                f"The model takes rows of {self._width or 'several'} features: expected {self._signature}, "
                f"got {_described([tensor])}."
            )
        values = _values(tensor)
        if self._signature.kind is Kind.TABLE:
            for feature in self._signature.features:
                _check(feature, tensor.datatype)
        if not self._framed:
            return values
        return _pandas().DataFrame(values, columns=self._index, copy=False)

    # -- columns ----------------------------------------------------------------------------------------

    def _is_column(self, tensor: Tensor) -> bool:
        return tensor.name in self._names and _length(tensor) is not None and self._width == 1

    def _columns(self, tensors: Sequence[Tensor], is_table: bool) -> Any:
        given = {tensor.name: tensor for tensor in tensors}
        if len(given) < len(tensors):
            raise errors.InvalidInput(f"Several inputs have the same name: {_described(tensors)}.")
        _check_lengths(tensors)
        if self._width is None:
            return self._unknown_columns(given, is_table)
        if is_table and not self._signature.named and given.keys() != set(self._names):
            return self._by_position(tensors)
        missing = [name for name in self._names if name not in given]
        extra = [name for name in given if name not in self._names]
        if missing or extra:
            raise errors.InvalidInput(self._difference(missing, extra))
        ordered = [given[name] for name in self._names]
        for feature, tensor in zip(self._signature.features, ordered, strict=True):
            _check(feature, tensor.datatype)
        return _frame(self._names, ordered) if self._framed else _stacked(ordered)

    def _difference(self, missing: Sequence[str], extra: Sequence[str]) -> str:
        parts = []
        if missing:
            parts.append(f"lacks the columns {', '.join(map(repr, missing))}")
        if extra:
            parts.append(f"has columns that the model does not know: {', '.join(map(repr, extra))}")
        return f"The request {' and '.join(parts)}; expected {self._signature}."

    def _by_position(self, tensors: Sequence[Tensor]) -> Any:
        """The columns of a table for a model that was fitted without names: in the order in which they came."""
        if len(tensors) != self._width:
            raise errors.InvalidInput(
                f"The table has {len(tensors)} columns, and the model takes {self._width} features; "
                f"expected {self._signature}."
            )
        for feature, tensor in zip(self._signature.features, tensors, strict=True):
            _check(feature, tensor.datatype)
        return _stacked(tensors)

    def _unknown_columns(self, given: dict[str, Tensor], is_table: bool) -> Any:
        """The columns of a table for a model that does not say what it was fitted with."""
        if not is_table or importlib.util.find_spec("pandas") is None:
            raise errors.InvalidInput(f"The model takes one matrix; got {_described(list(given.values()))}.")
        return _frame(list(given), list(given.values()))


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise errors.ModelLoadError(
            "The model was fitted on the columns of a table, and pandas is not installed.",
            remedy="Try: pip install 'fairlead-runtime-sklearn[pandas]'",
        ) from error
    return pd


def _frame(names: Sequence[str], tensors: Sequence[Tensor]) -> Any:
    pd = _pandas()
    columns = {
        name: pd.Series(_values(tensor).reshape(-1), dtype=object if tensor.datatype is Datatype.BYTES else None)
        for name, tensor in zip(names, tensors, strict=True)
    }
    return pd.DataFrame(columns, copy=False)


def _stacked(tensors: Sequence[Tensor]) -> Array:
    """Columns as one matrix; of objects when some are text and some are not."""
    columns = [_values(tensor).reshape(-1) for tensor in tensors]
    if not any(column.dtype == object for column in columns):
        return np.column_stack(columns)
    matrix = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        matrix[:, place] = column
    return matrix


def _values(tensor: Tensor) -> Array:
    if tensor.datatype is Datatype.BYTES:
        return tensor.as_strings()
    if tensor.datatype is Datatype.FP16:
        return tensor.data.astype(np.float32)
    return tensor.data


def _length(tensor: Tensor) -> int | None:
    """The length of a column; None for a tensor that is none."""
    shape = tensor.data.shape
    return shape[0] if len(shape) == 1 or (len(shape) == _MATRIX_RANK and shape[1] == 1) else None


def _check(feature: Feature, datatype: Datatype) -> None:
    """Refuse text for a number, and a number for text, where the model is known to take nothing else."""
    if feature.certainty is Certainty.KNOWN and (datatype is Datatype.BYTES) != (feature.datatype is Datatype.BYTES):
        wanted = "text (BYTES)" if feature.datatype is Datatype.BYTES else "numbers"
        raise errors.InvalidInput(f"Column {feature.name!r} takes {wanted}, got {datatype}.")


def _check_lengths(tensors: Sequence[Tensor]) -> None:
    lengths = {_length(tensor) for tensor in tensors}
    if None in lengths or len(lengths) > 1:
        raise errors.InvalidInput(
            f"The columns of a table have the shape [n] or [n, 1], of one n; got {_described(tensors)}."
        )


def _described(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.name!r} {tensor.datatype} {list(tensor.shape)}" for tensor in tensors)
