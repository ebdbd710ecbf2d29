"""V1 instances as tensors: rectangles of values as one, tables of records as one for each column."""

from __future__ import annotations

import base64
import binascii
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead import errors
from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import Datatype, Tensor
from fairlead.protocol import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fairlead.contracts.runtime import ModelMetadata

__all__ = ["DEFAULT_NAME", "binary", "columns", "is_binary", "is_records", "kinds_of", "refuse_ragged", "rows"]

DEFAULT_NAME: Final = "input-0"
"""The name of a tensor that neither the client nor the model has named."""

_ROWS_AND_COLUMNS: Final = 2

_SPARSE_CELLS: Final = 1_000_000
"""Cells that a table may have whatever was sent; past it, missing ones must be few (see `_refuse_sparse`)."""


def is_records(instances: list[Any]) -> bool:
    """Whether instances are records: all objects, or all lists of objects."""
    first = instances[0] if instances else None
    if type(first) is list:
        if not first or type(first[0]) is not dict or set(map(type, instances)) != {list}:
            return False
        instances = list(itertools.chain.from_iterable(instances))
    return type(first) in (list, dict) and set(map(type, instances)) == {dict}


def rows(instances: list[Any], metadata: ModelMetadata) -> list[Tensor]:
    """Instances that are values or nested lists of values.

    A rectangle of one kind of value is one tensor. A rectangle with text in it, for a model of a table with as many
    named columns, is one tensor for each column, in the order that the model declares.

    Returns:
        The tensors; none when the instances are no rectangle, or mix text with numbers.

    Raises:
        InvalidInput: a value is not one that a tensor can hold, or rows for a model of tensors differ in length.
    """
    found = elements.rectangle(instances)
    if found is None:
        if metadata.inputs:
            refuse_ragged(instances, "instances")
        return []
    flat, shape = found
    width = shape[-1]
    is_table = (
        len(shape) == _ROWS_AND_COLUMNS and metadata.supports(Capability.COLUMNS) and width == len(metadata.inputs)
    )
    if is_table and str in set(map(type, flat)):
        return [_column(spec.name, flat[place::width]) for place, spec in enumerate(metadata.inputs)]
    inferred = elements.infer(flat, "instances")
    if inferred is None:
        return []
    array, datatype = inferred
    return [Tensor(_only_name(metadata), array.reshape(shape), datatype)]


def columns(instances: list[Any], metadata: ModelMetadata) -> tuple[list[Tensor], bool]:
    """Instances that are records, in any of the forms that pandas reads a table from.

    A record is one row (``{"a": 1, "b": "x"}``), several (``{"a": [1, 2], "b": ["x", "y"]}``), or a frame's own JSON
    (``{"a": {"0": 1, "1": 2}}``); a missing value is null. ``{"b64": "..."}`` in place of a value is binary data, as
    TensorFlow Serving writes it.

    Returns:
        One tensor for each column, those that the model declares first and in its order, and whether they are the
        columns of one table; a list of nothing but binary data is one tensor, and no table.

    Raises:
        InvalidInput: the records do not make one table, or a column mixes text with other values.
    """
    if type(instances[0]) is list:
        instances = list(itertools.chain.from_iterable(instances))
    if all(map(is_binary, instances)):
        blobs = elements.objects([binary(instance) for instance in instances])
        return [Tensor(_only_name(metadata), blobs, Datatype.BYTES)], False
    rows, seen, column = _stacked(instances)
    if not rows or not seen:
        raise errors.InvalidInput("the instances are records without a single value")
    declared = [spec.name for spec in metadata.inputs if spec.name in seen]
    names = dict.fromkeys([*declared, *seen])
    return [_column(name, column(name)) for name in names], True


def refuse_ragged(instances: list[Any], where: str) -> None:
    """Name the first row that is longer or shorter than the first; what is no list of rows is left alone.

    Raises:
        InvalidInput: there is one.
    """
    if set(map(type, instances)) != {list}:
        return
    expected = len(instances[0])
    for place, row in enumerate(instances):
        if len(row) != expected:
            raise errors.InvalidInput(
                f"{where}: row {place} has {len(row)} values, row 0 has {expected}.",
                remedy="Send rows of one length.",
            )


def _only_name(metadata: ModelMetadata) -> str:
    return metadata.inputs[0].name if len(metadata.inputs) == 1 else DEFAULT_NAME


def _column(name: str, values: Sequence[Any]) -> Tensor:
    inferred = elements.infer(values, f"column {name!r}")
    if inferred is None:
        raise errors.InvalidInput(
            f"column {name!r} mixes {kinds_of(values)}.",
            remedy="Send numbers alone, where null is a missing one, or text alone.",
        )
    return Tensor(name, *inferred)


def kinds_of(values: Sequence[Any]) -> str:
    """What these values are, in words, for messages."""
    return " and ".join(sorted({_KINDS.get(type(value), "a nested value") for value in values}))


_KINDS: Final = {
    bool: "booleans",
    int: "numbers",
    float: "numbers",
    str: "text",
    bytes: "binary data",
    type(None): "missing values",
    list: "lists",
}


class _Block(NamedTuple):
    """The rows of one record, column by column: a dict for each row would be many times what was sent."""

    rows: int
    columns: Mapping[str, Sequence[Any]]


def _stacked(records: list[dict[str, Any]]) -> tuple[int, Mapping[str, None], Callable[[str], list[Any]]]:
    """How many rows these records have, the names of their columns, and each column by its name."""
    kinds = set(map(type, itertools.chain.from_iterable(map(dict.values, records))))
    if dict not in kinds and list not in kinds:  # each is a row already, as nearly always
        seen = dict.fromkeys(itertools.chain.from_iterable(records))
        _refuse_sparse(len(records) * len(seen), sum(map(len, records)))
        return len(records), seen, lambda name: [record.get(name) for record in records]
    blocks = [block for index, record in enumerate(records) if (block := _block(record, index)).rows]
    rows = sum(block.rows for block in blocks)
    seen = dict.fromkeys(itertools.chain.from_iterable(block.columns for block in blocks))
    _refuse_sparse(rows * len(seen), sum(block.rows * len(block.columns) for block in blocks))

    def column(name: str) -> list[Any]:
        parts = (block.columns.get(name) or itertools.repeat(None, block.rows) for block in blocks)
        return list(itertools.chain.from_iterable(parts))

    return rows, seen, column


def _block(record: dict[str, Any], index: int) -> _Block:
    kinds = set(map(type, record.values()))
    if dict not in kinds and list not in kinds:
        return _Block(1, {name: (value,) for name, value in record.items()})
    if kinds == {list}:
        lengths = set(map(len, record.values()))
        if len(lengths) > 1:
            raise errors.InvalidInput(f"instance {index}: its columns have {sorted(lengths)[:5]} values")
        return _Block(lengths.pop(), record)
    if dict in kinds and list not in kinds:
        plain = {name: binary(value) if is_binary(value) else value for name, value in record.items()}
        kinds = set(map(type, plain.values()))
        if dict not in kinds:
            return _Block(1, {name: (value,) for name, value in plain.items()})
        if kinds == {dict}:
            return _of_frame(plain)
    raise errors.InvalidInput(
        f"instance {index}: some of its columns are one value and others are several.",
        remedy="Send one value for each column, or a list of the same length for each.",
    )


def _of_frame(frame: Mapping[str, Any]) -> _Block:
    """The rows of a frame's own JSON, ``{column: {row: value}}``, in the order in which the rows are first named."""
    labels = dict.fromkeys(itertools.chain.from_iterable(frame.values()))
    _refuse_sparse(len(labels) * len(frame), sum(map(len, frame.values())))
    columns = {name: [column.get(label) for label in labels] for name, column in frame.items()}
    return _Block(len(labels), columns)


def _refuse_sparse(cells: int, values: int) -> None:
    """Refuse a table of mostly missing cells, which a small body could make as large as the square of its length."""
    if cells > _SPARSE_CELLS and cells > 8 * values:
        raise errors.InvalidInput(
            f"a table of {cells} cells of which only {values} have a value is not accepted.",
            remedy="Send records that have the same keys.",
        )


def is_binary(value: object) -> bool:
    """Whether a JSON value is ``{"b64": "..."}``, which stands for binary data."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def binary(value: dict[str, str]) -> bytes:
    """The binary data that ``{"b64": "..."}`` stands for.

    Raises:
        InvalidInput: it is no base64.
    """
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InvalidInput(f"a b64 value is not base64: {error}") from error
