"""A look at the files before PaddlePaddle reads them: of some that are damaged it makes a crash, and no error.

PaddlePaddle has to be imported before, because a program in the old form is read by its own classes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_parameters", "check_program"]

_ITEM_SIZES: Final[Mapping[int, int]] = (
    {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8}  # BOOL, INT16, INT32, INT64, FP16, FP32, FP64
    | {19: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16}  # SIZE_T, UINT8, INT8, BF16, COMPLEX64, COMPLEX128
    | {32: 1, 33: 1}  # FP8_E4M3FN, FP8_E5M2
)
"""Bytes of a value by its type, as ``VarType.Type`` of PaddlePaddle's ``framework.proto`` numbers it."""

_TENSOR_KINDS: Final = frozenset({7, 9, 10, 17})
"""Kinds of variables by the same enumeration: dense tensors (LOD_TENSOR before 3.0, DENSE_TENSOR since), and those that
are in no file: FEED_MINIBATCH, FETCH_LIST, RAW."""

_NO_VARIABLE: Final = "@EMPTY@"
"""The name that stands for an argument which is not given."""
_ENDS: Final = 2
"""Arguments of the operators that feed and fetch: one in, one out."""
_MAGIC: Final = "pir"
_IN_SHORT: Final = frozenset({"p", "c"})
"""Operators of a JSON program that stand for a parameter or a constant, and are written shorter than others."""
_MOST_LEVELS: Final = 64
"""Levels of nested sequences in a tensor; files have none, or a few."""
_LONGEST: Final = 4096
"""Bytes that say a tensor's type and shape, ten for each dimension at most."""


def check_program(path: Path) -> bool:
    """Read a program through.

    Returns:
        Whether all its parameters are tensors, so that `check_parameters` knows the form of their file.

    Raises:
        ValueError: it breaks off, is damaged, or is none.
    """
    content = path.read_bytes()
    if path.suffix != ".json":
        return _check_protobuf(content)
    try:
        _check_json(json.loads(content))
    except RecursionError as error:
        raise ValueError("it is nested too deeply for a program") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"it is no program of PaddlePaddle ({type(error).__name__}: {error})") from error
    return True


def check_parameters(path: Path) -> None:
    """Follow the headers of the tensors to the end of a file; their values are not read.

    Raises:
        ValueError: it breaks off, is damaged, or holds no tensors.
    """
    from paddle.base.proto import framework_pb2

    size = path.stat().st_size
    with path.open("rb") as file:
        while (place := file.tell()) < size:
            try:
                length = _values_after(file, framework_pb2.VarType.TensorDesc())
            except struct.error as error:
                raise ValueError("the file breaks off in the header of a tensor") from error
            if length is None:
                return  # a datatype of a later version, and no telling where the next tensor begins
            if length > size - file.tell():
                raise ValueError(f"the file breaks off in the tensor at byte {place}, or is damaged there")
            file.seek(length, 1)


def _check_protobuf(content: bytes) -> bool:
    from google.protobuf.message import DecodeError
    from paddle.base.proto import framework_pb2

    program: Any = framework_pb2.ProgramDesc()
    try:
        program.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if missing := program.FindInitializationErrors():
        raise ValueError(f"it lacks {missing[0]}")
    kinds = {operator.type for block in program.blocks for operator in block.ops}
    if not kinds >= {"fetch"}:
        raise ValueError("it has no operators, or none that fetches an answer")
    for place in range(len(program.blocks)):
        if program.blocks[place].parent_idx >= place:
            raise ValueError("a block lies around itself")
        _check_names(program.blocks, place)
    return all(each.type.type in _TENSOR_KINDS for each in program.blocks[0].vars if each.persistable)


def _check_names(blocks: Any, place: int) -> None:
    """Whether the operators of a block use variables that it, or one around it, declares; and all text is text.

    Raises:
        ValueError: they do not; a `UnicodeDecodeError` is one.
    """
    known, around = {_NO_VARIABLE}, place
    for _ in range(len(blocks)):
        known.update(_text(variable.name) for variable in blocks[around].vars)
        if not 0 <= (around := blocks[around].parent_idx) < len(blocks):
            break
    for operator in blocks[place].ops:
        ends = [[*each.arguments] for each in (*operator.inputs, *operator.outputs)]
        if operator.type in ("feed", "fetch") and (len(ends) != _ENDS or not all(ends)):
            raise ValueError(f"an operator {operator.type} does not say what it moves")
        for argument in (name for each in (*operator.inputs, *operator.outputs) for name in each.arguments):
            if _text(argument) not in known:
                raise ValueError(f"an operator {operator.type} uses {argument!r}, which is not declared")
        for attribute in operator.attrs:
            for text in (attribute.s, *attribute.strings):
                _text(text)


def _text(text: str | bytes) -> str:
    """A text, which protobuf may hand out as bytes where it is none."""
    return text.decode() if isinstance(text, bytes) else text.encode().decode()


def _check_json(document: Any) -> None:
    if document["base_code"]["magic"] != _MAGIC:
        raise ValueError(f"its magic is not {_MAGIC!r}")
    operators = [*_operators(document["program"]["regions"])]
    if not operators:
        raise ValueError("it has no operators")
    for operator in operators:
        _check_operator(operator)


def _operators(regions: Any) -> Iterator[Any]:
    for region in regions:
        for block in region["blocks"]:
            for operator in block["ops"]:
                yield operator
                yield from _operators(operator.get("regions", ()))


def _check_operator(operator: Any) -> None:
    kind, attributes, _ = operator["#"], operator["A"], operator["O"]
    if kind in _IN_SHORT:
        _ = operator["OA"]
        return
    names = {attribute["N"] for attribute in attributes if attribute["AT"]["#"]}
    if kind.partition(".")[2] in ("data", "fetch") and "name" not in names:
        raise ValueError(f"an operator {kind} has no name")


def _values_after(file: BinaryIO, description: Any) -> int | None:
    """The length in bytes of the values of the tensor whose header begins here; None for an unknown datatype."""
    from google.protobuf.message import DecodeError

    version, levels = struct.unpack("<IQ", file.read(12))
    if version or levels > _MOST_LEVELS:
        raise ValueError("no tensor begins where one should")
    for _ in range(levels):
        (length,) = struct.unpack("<Q", file.read(8))
        file.seek(min(length, 1 << 62), 1)
    version, length = struct.unpack("<Ii", file.read(8))
    if version or not 0 < length <= _LONGEST:
        raise ValueError("no tensor begins where one should")
    try:
        description.ParseFromString(file.read(length))
    except DecodeError as error:
        raise ValueError("a tensor does not say its type and shape") from error
    if any(each < 0 for each in description.dims):
        raise ValueError(f"a tensor has the shape {list(description.dims)}")
    size = _ITEM_SIZES.get(description.data_type) if description.HasField("data_type") else None
    return None if size is None else math.prod(description.dims) * size
