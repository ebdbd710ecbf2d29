"""Typed contents of a tensor to and from arrays.

FP32, FP64 and BOOL are views of the bytes that were received: packed numbers on the wire are numbers in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from google.protobuf import unknown_fields

from fairlead import errors
from fairlead.contracts.tensors import Datatype
from fairlead.protocol import elements, v2_grpc_wire
from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fairlead.contracts.tensors import Tensor

__all__ = ["RAW_ONLY", "read", "written"]

_FIELDS: Final[Mapping[Datatype, str]] = {
    Datatype.BOOL: "bool_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
_WIDE: Final[Mapping[str, np.dtype[Any]]] = {
    "int_contents": np.dtype("<i4"),
    "int64_contents": np.dtype("<i8"),
    "uint_contents": np.dtype("<u4"),
    "uint64_contents": np.dtype("<u8"),
}
"""The dtype of a field of varints, which datatypes of fewer bits share."""
_NUMBERS: Final = {"bool_contents": 1, "fp32_contents": 6, "fp64_contents": 7}
"""The numbers of the fields whose packed form is that of memory."""

RAW_ONLY: Final = frozenset((Datatype.FP16, Datatype.BF16))
"""The datatypes for which there is no field."""


def read(
    contents: messages.PackedContents,
    datatype: Datatype,
    shape: tuple[int, ...],
    where: str,
    ordinary: Callable[[], messages.InferTensorContents],
) -> NDArray[Any]:
    """An array of typed contents.

    For BYTES the shape ``[]`` stands for as many elements as there are, as it does in JSON.

    Args:
        contents: the contents, with packed numbers as bytes.
        datatype: the datatype of the elements.
        shape: the shape that the client declares.
        where: the tensor, for messages.
        ordinary: the same contents with numbers as numbers; asked for when they were not sent packed.

    Raises:
        InvalidInput: another field than the datatype's is filled, the datatype has none, the number of elements is
            not that of the shape, or one is out of range.
    """
    field = _FIELDS.get(datatype)
    if field is None:
        raise errors.InvalidInput(f"{where}: {datatype} has no contents of its own.", remedy="Send it as raw contents.")
    for filled, _ in contents.ListFields():
        if filled.name != field:
            raise errors.InvalidInput(
                f"{where}: the elements of {datatype} belong in {field}, and {filled.name} has some"
            )
    array: NDArray[Any]
    if datatype is Datatype.BYTES:
        array = elements.objects(list(contents.bytes_contents))
        shape = shape or (array.size,)
    elif len(unknown_fields.UnknownFieldSet(contents)):
        array = _plain(ordinary(), field, datatype, where)
    else:
        chunks: list[bytes] = list(getattr(contents, field))
        packed = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        array = _unpacked(packed, field, datatype, where)
    count = 1
    for length in shape:
        count *= length
    if array.size != count:
        raise errors.InvalidInput(f"{where}: shape {list(shape)} needs {count} elements, and {field} has {array.size}")
    return array.reshape(shape)


def _unpacked(packed: bytes, field: str, datatype: Datatype, where: str) -> NDArray[Any]:
    if field in _WIDE:
        return _narrowed(_reduced(v2_grpc_wire.varints(packed, where), _WIDE[field]), datatype, where)
    if datatype is Datatype.BOOL:
        truths = v2_grpc_wire.varints(packed, where)
        zero_or_one = truths.dtype == np.uint8 and (not truths.size or truths.max() <= 1)
        return truths.view(np.bool_) if zero_or_one else truths != 0
    dtype = datatype.numpy
    if len(packed) % dtype.itemsize:
        raise errors.InvalidInput(f"{where}: the {len(packed)} bytes of {field} are not numbers of {datatype}")
    return np.frombuffer(packed, dtype)


def _reduced(numbers: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Varints as numbers of a field: of a number that has more bits, the lowest count (the format's rule)."""
    if numbers.dtype == np.uint8:
        return numbers.astype(dtype)
    return numbers.astype(f"<u{dtype.itemsize}").view(dtype)


def _plain(contents: messages.InferTensorContents, field: str, datatype: Datatype, where: str) -> NDArray[Any]:
    for filled, _ in contents.ListFields():
        if filled.name != field:
            raise errors.InvalidInput(
                f"{where}: the elements of {datatype} belong in {field}, and {filled.name} has some"
            )
    return _narrowed(np.array(getattr(contents, field), _WIDE.get(field, datatype.numpy)), datatype, where)


def _narrowed(numbers: NDArray[Any], datatype: Datatype, where: str) -> NDArray[Any]:
    """Numbers of a field that the datatype shares with wider ones."""
    if numbers.dtype == datatype.numpy:
        return numbers
    limits = np.iinfo(datatype.numpy)
    if numbers.size and (numbers.min() < limits.min or numbers.max() > limits.max):
        index = int(((numbers < limits.min) | (numbers > limits.max)).argmax())
        raise errors.InvalidInput(f"{where}: element {index}, {numbers[index]}, is not in the range of {datatype}")
    return numbers.astype(datatype.numpy)


def written(tensor: Tensor) -> tuple[bytes | memoryview, ...]:
    """The contents of a tensor whose datatype has a field, as they stand in a message, in pieces.

    Raises:
        TypeError: an element of a BYTES tensor is not ``bytes``.
    """
    field = _FIELDS[tensor.datatype]
    if field in _WIDE or tensor.datatype is Datatype.BYTES:
        return (messages.InferTensorContents(**{field: tensor.data.ravel().tolist()}).SerializeToString(),)
    packed = np.ascontiguousarray(tensor.data).reshape(-1).view(np.uint8).data
    return v2_grpc_wire.delimited(_NUMBERS[field], len(packed)), packed
