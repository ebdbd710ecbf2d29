"""Tensors to the columns of a pandas DataFrame, and back; pandas is imported when a function here is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairlead.contracts.tensors import Datatype, Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_tensors", "is_frame", "is_series", "to_tensors"]


def is_frame(value: object) -> bool:
    """Whether this is a DataFrame; without pandas having been imported nothing is."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_series(value: object) -> bool:
    """Whether this is a Series; without pandas having been imported nothing is."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


def from_tensors(tensors: Sequence[Tensor]) -> pd.DataFrame:
    """One column for each tensor of shape [n] or [n, 1]; BYTES as text.

    Raises:
        ValueError: a tensor has another shape, or they differ in length.
        InvalidInput: an element of a BYTES tensor is not UTF-8.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for tensor in tensors:
        if tensor.data.ndim not in (1, 2) or tensor.data.shape[1:] not in ((), (1,)):
            raise ValueError(
                f"tensor {tensor.name!r} has the shape {list(tensor.shape)}; "
                "send one input of shape [n] for each column of the table"
            )
        data = tensor.as_strings() if tensor.datatype is Datatype.BYTES else tensor.data
        columns[tensor.name] = data.reshape(-1)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns differ in length: {lengths}")
    return pd.DataFrame(columns)


def to_tensors(frame: pd.DataFrame) -> list[Tensor]:
    """One tensor of shape [n] for each column; the index is left out.

    Raises:
        ValueError: two columns have one name, or text or a date is missing, which no datatype can say.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"the DataFrame names a column twice: {', '.join(names)}")
    return [to_tensor(name, frame.iloc[:, position]) for position, name in enumerate(names)]


def to_tensor(name: str, series: pd.Series[Any]) -> Tensor:
    """One column as a tensor of shape [n]; a missing number becomes NaN.

    Raises:
        ValueError: text or a date is missing.
    """
    import pandas as pd

    if not series.isna().any():
        return Tensor.from_numpy(name, series.to_numpy())
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise ValueError(f"column {name!r} lacks a value, and only numbers can be missing in a tensor")
    return Tensor.from_numpy(name, series.to_numpy(dtype="float64", na_value=float("nan")))
