"""Models of rows of features: what such a model takes, and reading a request as that.

The argument of the model is an array, a pandas DataFrame, or a list of strings.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

__all__ = ["Certainty", "Feature", "Kind", "Table", "TableReader"]

_MATRIX_RANK: Final = 2
_MATRIX_NAME: Final = "input-0"


class Kind(enum.StrEnum):
    """The forms of input."""

    TEXT = "text"
    """An iterable of strings."""
    MATRIX = "matrix"
    """Rows of features of one datatype."""
    TABLE = "table"
    """Columns of several datatypes."""


class Certainty(enum.Enum):
    """How much is known of a feature's datatype."""

    KNOWN = "the model takes nothing else"
    ASSUMED = "nothing looks at it, or what does takes numbers in all likelihood"
    UNKNOWN = "code of the user's own looks at it"


@dataclasses.dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        name: the name that the model was fitted with, or one that stands for its place: ``x0``, ``x1``, ...
        datatype: FP64 or FP32 for a number, BYTES for text.
        example: a value that the model can take.
        certainty: how much the datatype is worth.
    """

    name: str
    datatype: Datatype
    example: str | float
    certainty: Certainty


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """What a model of rows takes.

    Attributes:
        kind: the form of its input.
        features: its features, in order; empty when their number is not known, and for text.
        named: whether it was fitted with the names of the features.
        word: for text, a word that it knows.
    """

    kind: Kind
    features: tuple[Feature, ...] = ()
    named: bool = False
    word: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(feature.name for feature in self.features)

    def __str__(self) -> str:
        """What a client should send, as the end of "expected ..."."""
        if self.kind is Kind.TEXT:
            return "one BYTES tensor of shape [-1]"
        width = len(self.features) or -1
        matrix = f"one tensor of shape [-1, {width}]"
        columns = "the columns " + ", ".join(repr(name) for name in self.names)
        if self.kind is Kind.TABLE:
            return columns
        return f"{matrix}, or {columns}" if self.named else matrix

    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The inputs for `ModelMetadata`: one for each column of a table, ``input-0`` for a matrix and for text."""
        if self.kind is Kind.TEXT:
            return (TensorSpec(_MATRIX_NAME, Datatype.BYTES, (-1,)),)
        if self.kind is Kind.TABLE:
            return tuple(TensorSpec(feature.name, feature.datatype, (-1,)) for feature in self.features)
        datatype = self.features[0].datatype if self.features else Datatype.FP64
        return (TensorSpec(_MATRIX_NAME, datatype, (-1, len(self.features) or -1)),)

    def samples(self) -> list[InferRequest]:
        """One request of one row that the model can take; none where that is not known."""
        if self.kind is Kind.TEXT:
            return [_request([_example(_MATRIX_NAME, Datatype.BYTES, [self.word])])]
        if not self.features or any(feature.certainty is Certainty.UNKNOWN for feature in self.features):
            return []
        if self.kind is Kind.TABLE:
            columns = [_example(feature.name, feature.datatype, [feature.example]) for feature in self.features]
            return [_request(columns, content_type="pd")]
        values = [[feature.example for feature in self.features]]
        return [_request([_example(_MATRIX_NAME, self.features[0].datatype, values)])]


class TableReader:
    """Reads requests for one model.

    Args:
        table: what the model takes.
        framed: whether it takes a DataFrame; otherwise named columns become a matrix.
        fill_missing: whether a column that a request lacks is missing values (NaN), for libraries that take these. A
            column that the model does not know is an error all the same.

    Raises:
        ModelLoadError: the model takes a DataFrame, and pandas is not installed.
    """

    def __init__(self, table: Table, *, framed: bool, fill_missing: bool = False) -> None:
        self._table = table
        self._names = table.names
        self._known = frozenset(table.names)
        self._width = len(table.features) or None
        self._framed = framed
        self._fill_missing = fill_missing
        self._index = _pandas().Index(self._names) if framed else None

    def read(self, request: InferRequest) -> Any:
        """The model's argument, one row for each row of the request.

        Numbers are passed as they were sent and are not copied, except that FP16 is widened to FP32; BYTES become
        ``str``.

        Returns:
            An array of two dimensions or a DataFrame; a list of ``str`` for text.

        Raises:
            InvalidInput: the request has another form, other columns, or another number of features.
        """
        tensors = request.inputs
        if not tensors:
            # Of V1 only what is no rectangle of one kind of value comes without tensors.
            said = "The request holds no tensors" if request.payload is None else "The instances are no rows of numbers"
            raise errors.InvalidInput(f"{said} for this model; expected {self._table}.")
        if self._table.kind is Kind.TEXT:
            return self._text(tensors)
        if len(tensors) > 1 or request.columns or self._is_column(tensors[0]):
            return self._columns(tensors, request.columns)
        return self._matrix(tensors[0])

    # -- text -------------------------------------------------------------------------------------------

    def _text(self, tensors: Sequence[Tensor]) -> list[str]:
        tensor = tensors[0]
        if len(tensors) > 1 or tensor.datatype is not Datatype.BYTES or _length(tensor) is None:
            raise errors.InvalidInput(f"The model takes text: expected {self._table}, got {_described(tensors)}.")
        strings: list[str] = tensor.as_strings().ravel().tolist()
        return strings

    # -- matrices ---------------------------------------------------------------------------------------

    def _matrix(self, tensor: Tensor) -> Any:
        data = tensor.data
        if data.ndim != _MATRIX_RANK or (self._width is not None and data.shape[1] != self._width):
            raise errors.InvalidInput(
                f"The model takes rows of {self._width or 'several'} features: expected {self._table}, "
                f"got {_described([tensor])}."
            )
        values = _values(tensor)
        if self._table.kind is Kind.TABLE:
            for feature in self._table.features:
                _check(feature, tensor.datatype)
        if not self._framed:
            return values
        return _pandas().DataFrame(values, columns=self._index, copy=False)

    # -- columns ----------------------------------------------------------------------------------------

    def _is_column(self, tensor: Tensor) -> bool:
        is_alone = self._width == 1 or self._fill_missing
        return is_alone and tensor.name in self._known and _length(tensor) is not None

    def _columns(self, tensors: Sequence[Tensor], is_table: bool) -> Any:
        given = {tensor.name: tensor for tensor in tensors}
        if len(given) < len(tensors):
            raise errors.InvalidInput(f"Several inputs have the same name: {_described(tensors)}.")
        _check_lengths(tensors)
        if self._width is None:
            return self._unknown_columns(given, is_table)
        if is_table and not self._table.named and not self._has_names(given):
            return self._by_position(tensors)
        missing = [] if self._fill_missing else [name for name in self._names if name not in given]
        extra = [name for name in given if name not in self._known]
        if missing or extra:
            raise errors.InvalidInput(self._difference(missing, extra))
        for feature in self._table.features:
            if feature.name in given:
                _check(feature, given[feature.name].datatype)
        columns = {name: _values(tensor).reshape(-1) for name, tensor in given.items()}
        ordered = {
            feature.name: columns[feature.name] if feature.name in columns else _missing(feature, tensors[0])
            for feature in self._table.features
        }
        return _frame(ordered) if self._framed else _stacked([*ordered.values()])

    def _has_names(self, given: Mapping[str, Tensor]) -> bool:
        """Whether the columns have the names that stand for the places of features without names."""
        return given.keys() <= self._known if self._fill_missing else given.keys() == self._known

    def _difference(self, missing: Sequence[str], extra: Sequence[str]) -> str:
        parts = []
        if missing:
            parts.append(f"lacks the columns {', '.join(map(repr, missing))}")
        if extra:
            parts.append(f"has columns that the model does not know: {', '.join(map(repr, extra))}")
        return f"The request {' and '.join(parts)}; expected {self._table}."

    def _by_position(self, tensors: Sequence[Tensor]) -> Any:
        """The columns of a table for a model that was fitted without names: in the order in which they came."""
        if len(tensors) != self._width:
            raise errors.InvalidInput(
                f"The table has {len(tensors)} columns, and the model takes {self._width} features; "
                f"expected {self._table}."
            )
        for feature, tensor in zip(self._table.features, tensors, strict=True):
            _check(feature, tensor.datatype)
        columns = [_values(tensor).reshape(-1) for tensor in tensors]
        return _frame(dict(zip(self._names, columns, strict=True))) if self._framed else _stacked(columns)

    def _unknown_columns(self, given: Mapping[str, Tensor], is_table: bool) -> Any:
        """The columns of a table for a model that does not say what it was fitted with."""
        if not is_table or importlib.util.find_spec("pandas") is None:
            raise errors.InvalidInput(f"The model takes one matrix; got {_described(list(given.values()))}.")
        return _frame({name: _values(tensor).reshape(-1) for name, tensor in given.items()})


# -- requests -------------------------------------------------------------------------------------------


def _request(inputs: Sequence[Tensor], **parameters: str) -> InferRequest:
    return InferRequest(model_name="", inputs=inputs, parameters=dict(parameters))


def _example(name: str, datatype: Datatype, values: Sequence[Any]) -> Tensor:
    dtype = object if datatype is Datatype.BYTES else datatype.numpy
    return Tensor.from_numpy(name, np.array(values, dtype=dtype), datatype)


def _described(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.name!r} {tensor.datatype} {list(tensor.shape)}" for tensor in tensors)


def _length(tensor: Tensor) -> int | None:
    """The length of a column; None for a tensor that is none."""
    shape = tensor.data.shape
    return shape[0] if len(shape) == 1 or (len(shape) == _MATRIX_RANK and shape[1] == 1) else None


def _check_lengths(tensors: Sequence[Tensor]) -> None:
    lengths = {_length(tensor) for tensor in tensors}
    if None in lengths or len(lengths) > 1:
        raise errors.InvalidInput(
            f"The columns of a table have the shape [n] or [n, 1], of one n; got {_described(tensors)}."
        )


def _check(feature: Feature, datatype: Datatype) -> None:
    """Refuse text for a number, and a number for text, where the model is known to take nothing else."""
    if feature.certainty is Certainty.KNOWN and (datatype is Datatype.BYTES) != (feature.datatype is Datatype.BYTES):
        wanted = "text (BYTES)" if feature.datatype is Datatype.BYTES else "numbers"
        raise errors.InvalidInput(f"Column {feature.name!r} takes {wanted}, got {datatype}.")


# -- values ---------------------------------------------------------------------------------------------


def _values(tensor: Tensor) -> Array:
    if tensor.datatype is Datatype.BYTES:
        return tensor.as_strings()
    if tensor.datatype is Datatype.FP16:
        return tensor.data.astype(np.float32)
    return tensor.data


def _missing(feature: Feature, like: Tensor) -> Array:
    """A column of missing values, as long as another; among integers and truth values NaN would be another value."""
    dtype = feature.datatype.numpy if feature.datatype.numpy.kind == "f" else object
    return np.full(_length(like) or 0, np.nan, dtype=dtype)


def _stacked(columns: Sequence[Array]) -> Array:
    """Columns as one matrix; of objects when some are text and some are not."""
    if not any(column.dtype == object for column in columns):
        return np.column_stack(columns)
    matrix = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        matrix[:, place] = column
    return matrix


def _frame(columns: Mapping[str, Array]) -> Any:
    """Columns as a DataFrame; text as objects, in whatever way pandas would store it by default."""
    pd = _pandas()
    series = {
        name: pd.Series(column, dtype=object if column.dtype == object else None) for name, column in columns.items()
    }
    return pd.DataFrame(series, copy=False)


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise errors.ModelLoadError(
            "The model takes the columns of a table as a DataFrame, and pandas is not installed.",
            remedy="Try: pip install pandas (the extra 'pandas' of the runtime's wheel asks for it too).",
        ) from error
    return pd
