"""Binary tensor buffers to and from arrays.

The layout is that of the Open Inference Protocol's binary data extension and of gRPC's raw contents: little-endian,
row-major, no padding, and before each BYTES element its length as an unsigned 32-bit integer.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype
from fairlead.protocol import elements

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead.contracts.tensors import Tensor

__all__ = ["from_buffer", "to_buffer"]

_LENGTH: Final = struct.Struct("<I")


def from_buffer(buffer: memoryview, datatype: Datatype, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """An array of a tensor's buffer.

    The array is a view of the buffer, which may begin at any address: a library that needs aligned memory makes its
    own copy (`numpy.require`). Only BF16, which numpy does not have, is widened to new float32 memory, and BYTES
    elements become ``bytes`` objects.

    Args:
        buffer: exactly the tensor's bytes, as a flat view.
        datatype: the datatype of its elements.
        shape: its shape, none of its dimensions negative.
        where: the tensor, for messages.

    Raises:
        InvalidInput: the buffer holds fewer or more elements than the shape says, or a length prefix lies.
    """
    count = math.prod(shape)
    if datatype is Datatype.BYTES:
        return _split(buffer, count, where).reshape(shape)
    needed = count * (datatype.itemsize or 0)
    if len(buffer) != needed:
        raise errors.InvalidInput(
            f"{where}: shape {list(shape)} of {datatype} needs {needed} bytes, and the buffer has {len(buffer)}"
        )
    if datatype is Datatype.BF16:
        return _widened(np.frombuffer(buffer, dtype="<u2")).reshape(shape)
    if datatype is Datatype.BOOL:
        return _truths(np.frombuffer(buffer, dtype=np.uint8), where).reshape(shape)
    return np.frombuffer(buffer, dtype=datatype.numpy).reshape(shape)


def to_buffer(tensor: Tensor) -> bytes | memoryview:
    """The bytes of a tensor: a view of its own memory where that has the layout already.

    Raises:
        InferenceFailed: an element of a BYTES tensor is not ``bytes``, or is of 4 GiB and more.
    """
    if tensor.datatype is Datatype.BYTES:
        return _joined(tensor)
    flat = np.ascontiguousarray(tensor.data).reshape(-1)
    if tensor.datatype is Datatype.BF16:
        flat = _rounded(flat)
    return flat.view(np.uint8).data


def _truths(numbers: NDArray[np.uint8], where: str) -> NDArray[np.bool_]:
    """Bytes as booleans; anything but 0 and 1 would be a boolean that is neither true nor false."""
    if numbers.size and numbers.max() > 1:
        raise errors.InvalidInput(f"{where}: a BOOL buffer has a byte {numbers.max()}, which is neither 0 nor 1")
    return numbers.view(np.bool_)


def _split(buffer: memoryview, count: int, where: str) -> NDArray[Any]:
    if count * _LENGTH.size > len(buffer):
        raise errors.InvalidInput(
            f"{where}: {count} BYTES elements need {count * _LENGTH.size} bytes for their lengths alone, "
            f"and the buffer has {len(buffer)}"
        )
    found: list[bytes] = []
    end = 0
    for index in range(count):
        start = end + _LENGTH.size
        if start > len(buffer):
            raise errors.InvalidInput(f"{where}: the buffer ends before the length of element {index}")
        end = start + _LENGTH.unpack_from(buffer, end)[0]
        if end > len(buffer):
            raise errors.InvalidInput(
                f"{where}: element {index} says that it has {end - start} bytes, and {len(buffer) - start} are left"
            )
        found.append(bytes(buffer[start:end]))
    if end != len(buffer):
        raise errors.InvalidInput(f"{where}: {len(buffer) - end} bytes are left after its {count} elements")
    return elements.objects(found)


def _joined(tensor: Tensor) -> bytes:
    parts: list[bytes] = []
    try:
        for element in tensor.data.ravel().tolist():
            parts += (_LENGTH.pack(len(element)), element)
        return b"".join(parts)
    except (TypeError, struct.error) as error:
        raise errors.InferenceFailed(
            f"tensor {tensor.name!r} is BYTES and has an element that is not bytes of less than 4 GiB"
        ) from error


def _widened(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """BF16 bit patterns as float32: the same sign, exponent and upper fraction, so every value is exact."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _rounded(numbers: NDArray[Any]) -> NDArray[np.uint16]:
    """Float32 as BF16 bit patterns, rounded to the nearest and half-way to the even one.

    Adding 0x7FFF, and one more where the lowest kept bit is set, carries into the kept half exactly when the value is
    to be rounded up (IEEE 754 round-half-even). A NaN keeps its sign and is made quiet, so that it cannot round to
    infinity.
    """
    bits = numbers.view(np.uint32)
    kept = bits >> 16
    rounded = (bits + (0x7FFF + (kept & 1))) >> 16
    return np.where(np.isnan(numbers), kept | 0x40, rounded).astype("<u2")
