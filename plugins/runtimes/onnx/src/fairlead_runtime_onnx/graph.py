"""What stands in an ONNX file, as far as it has to be known before onnxruntime opens it.

The numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). The file is mapped and
walked, and nothing of it is copied but names: weights may be gigabytes.
"""

from __future__ import annotations

import contextlib
import enum
import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from fairlead_runtime_onnx import wire

if TYPE_CHECKING:
    from fairlead_runtime_onnx.wire import Buffer

__all__ = ["Header", "Kind", "class_labels", "external_locations", "header", "mapped", "unranked_inputs"]


class Kind(enum.Enum):
    """The messages of onnx.proto on the way to a tensor."""

    MODEL = enum.auto()
    TRAINING = enum.auto()
    FUNCTION = enum.auto()
    GRAPH = enum.auto()
    NODE = enum.auto()
    ATTRIBUTE = enum.auto()
    SPARSE = enum.auto()
    TENSOR = enum.auto()
    ENTRY = enum.auto()


CHILDREN: Final[Mapping[Kind, Mapping[int, Kind]]] = {
    Kind.MODEL: {7: Kind.GRAPH, 20: Kind.TRAINING, 25: Kind.FUNCTION},
    Kind.TRAINING: {1: Kind.GRAPH, 2: Kind.GRAPH},
    Kind.FUNCTION: {7: Kind.NODE, 11: Kind.ATTRIBUTE},
    Kind.GRAPH: {1: Kind.NODE, 5: Kind.TENSOR, 15: Kind.SPARSE},
    Kind.NODE: {5: Kind.ATTRIBUTE},
    Kind.ATTRIBUTE: {
        **dict.fromkeys((5, 10), Kind.TENSOR),
        **dict.fromkeys((6, 11), Kind.GRAPH),
        **dict.fromkeys((22, 23), Kind.SPARSE),
    },
    Kind.SPARSE: {1: Kind.TENSOR, 2: Kind.TENSOR},
    Kind.TENSOR: {13: Kind.ENTRY},
}
"""Where messages lie in others, by the number of the field."""

_SKIPPED: Final = {kind: wire.runs_without(children) for kind, children in CHILDREN.items()}

_LOCATION: Final = b"location"
_DEEPEST: Final = 100
"""Messages in messages; protobuf's own readers go no deeper."""

_MOST: Final = 10_000_000
"""Fields that are looked at one by one: they take some seconds, and no model has as many."""

_Span: TypeAlias = "tuple[int, int]"


class _Model:
    IR_VERSION, PRODUCER_NAME, PRODUCER_VERSION, GRAPH, OPSET_IMPORT = 1, 2, 3, 7, 8


class _Opset:
    DOMAIN, VERSION = 1, 2


class _Graph:
    NODE, INPUT = 1, 11


class _Node:
    OUTPUT, OP_TYPE, ATTRIBUTE = 2, 4, 5


class _Attribute:
    INTS, STRINGS = 8, 9


class _Value:
    NAME, TYPE = 1, 2


class _Type:
    TENSOR = 1


class _TensorType:
    SHAPE = 2


class _Entry:
    KEY, VALUE = 1, 2


class Header(NamedTuple):
    """What a model says of itself.

    Attributes:
        ir_version: the version of the file format; 0 where there is none.
        opsets: the version of each domain of operators.
        producer: the tool that wrote it, with its version where there is one; empty where it does not say.
    """

    ir_version: int
    opsets: Mapping[str, int]
    producer: str


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, without reading it."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def header(data: Buffer) -> Header:
    """What a model says of itself.

    Raises:
        ValueError: the bytes are no message, or end before it does.
    """
    if not data:
        raise ValueError("there are no bytes")
    ir_version = 0
    names = {_Model.PRODUCER_NAME: "", _Model.PRODUCER_VERSION: ""}
    opsets: dict[str, int] = {}
    for field in wire.fields(data, 0, len(data)):
        if field.number == _Model.IR_VERSION and field.wire == wire.VARINT:
            ir_version = field.value
        elif field.number in names and field.wire == wire.BYTES:
            names[field.number] = _text(data, field.start, field.end)
        elif field.number == _Model.OPSET_IMPORT and field.wire == wire.BYTES:
            domain, version = _opset(data, field.start, field.end)
            opsets[domain or "ai.onnx"] = version
    return Header(ir_version, opsets, " ".join(name for name in names.values() if name))


def external_locations(data: Buffer) -> set[bytes]:
    """The places outside of the file that any of its tensors names for its data.

    Looked at are initializers, sparse ones too, and the tensors of attributes, in the graph, in graphs within it, in
    functions, and in what is left of training; whether or not the tensor says that its data is there.

    Raises:
        ValueError: the bytes are no model, or are nested deeper, or in more parts, than any model is.
    """
    if data.find(_LOCATION) < 0:  # the key stands in the file as it is, so that most files need no walk
        return set()
    found: set[bytes] = set()
    seen = 0
    waiting: list[tuple[Kind, int, int, int]] = [(Kind.MODEL, 0, len(data), 0)]
    while waiting:
        kind, start, end, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"graphs are nested deeper than {_DEEPEST} messages")
        if kind is Kind.ENTRY:
            found.update(_location(data, start, end))
            continue
        children = CHILDREN[kind]
        for field in wire.fields(data, start, end, _SKIPPED[kind]):
            child = children.get(field.number)
            seen += 1
            if seen > _MOST:
                raise ValueError(f"there are more than {_MOST} nodes and tensors in it")
            if child is not None and field.wire == wire.BYTES:
                waiting.append((child, field.start, field.end, depth + 1))
    return found


def class_labels(data: Buffer) -> dict[str, list[str] | list[int]]:
    """The labels of every ZipMap in the main graph, in the order of onnxruntime's maps, by the name of its output.

    Raises:
        ValueError: the bytes are no model.
    """
    found: dict[str, list[str] | list[int]] = {}
    for node in _main(data, _Graph.NODE):
        operators = _spans(data, [node], _Node.OP_TYPE)
        outputs = _spans(data, [node], _Node.OUTPUT)
        if operators and outputs and _text(data, *operators[-1]) == "ZipMap":
            found[_text(data, *outputs[0])] = _labels(data, _spans(data, [node], _Node.ATTRIBUTE))
    return found


def unranked_inputs(data: Buffer) -> frozenset[str]:
    """The inputs of the main graph whose number of dimensions is not declared.

    Raises:
        ValueError: the bytes are no model.
    """
    found: set[str] = set()
    for value in _main(data, _Graph.INPUT):
        tensors = _spans(data, _spans(data, [value], _Value.TYPE), _Type.TENSOR)
        if tensors and not _spans(data, tensors, _TensorType.SHAPE):
            found.update(_text(data, *name) for name in _spans(data, [value], _Value.NAME)[-1:])
    return frozenset(found)


def _main(data: Buffer, number: int) -> list[_Span]:
    """The messages of one field of the main graph."""
    return _spans(data, _spans(data, [(0, len(data))], _Model.GRAPH), number)


def _spans(data: Buffer, within: Sequence[_Span], number: int) -> list[_Span]:
    return [
        (field.start, field.end)
        for start, end in within
        for field in wire.fields(data, start, end)
        if field.number == number and field.wire == wire.BYTES
    ]


def _labels(data: Buffer, attributes: Sequence[_Span]) -> list[str] | list[int]:
    texts: set[bytes] = set()
    numbers: set[int] = set()
    for start, end in attributes:
        for field in wire.fields(data, start, end):
            if field.number == _Attribute.STRINGS:
                texts.add(data[field.start : field.end])
            elif field.number == _Attribute.INTS:
                numbers.update(_integers(data, field))
    return [text.decode("utf-8", "replace") for text in sorted(texts)] or sorted(numbers)


def _integers(data: Buffer, field: wire.Field) -> Iterator[int]:
    """The integers of a repeated field, one to a field or packed."""
    packed = field.wire == wire.BYTES
    for value in wire.varints(data, field.start, field.end) if packed else (field.value,):
        yield value - (1 << 64) if value >= 1 << 63 else value


def _opset(data: Buffer, start: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for field in wire.fields(data, start, end):
        if field.number == _Opset.DOMAIN and field.wire == wire.BYTES:
            domain = _text(data, field.start, field.end)
        elif field.number == _Opset.VERSION:
            version = field.value
    return domain, version


def _location(data: Buffer, start: int, end: int) -> Iterator[bytes]:
    """Every value of an entry that has a key ``location``, also where a key or a value is written twice."""
    keys, values = set(), []
    for field in wire.fields(data, start, end):
        if field.number == _Entry.KEY:
            keys.add(data[field.start : field.end])
        elif field.number == _Entry.VALUE:
            values.append(data[field.start : field.end])
    return iter(values if _LOCATION in keys else ())


def _text(data: Buffer, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")
