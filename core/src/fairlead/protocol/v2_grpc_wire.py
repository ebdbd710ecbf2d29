"""The part of protobuf's wire format that is read and written here without looking at each element.

The format is that of https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from fairlead import errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["delimited", "split", "varints"]

_LENGTH_DELIMITED: Final = 2
_MOST_FIELDS: Final = 1024
"""More fields than a large message has: one that has more is large in their number, and is left to the library."""
_LONGEST: Final = 10
"""Bytes of a varint of 64 bits."""


def split(body: bytes, number: int) -> tuple[bytes, list[memoryview]] | None:
    """A message without one of its bytes fields, and the values of that field as views.

    Args:
        body: the message.
        number: the field's number.

    Returns:
        None for a message that is better read as a whole: it has fields that are not bytes, texts or messages, very
        many fields, or is no message.
    """
    view = memoryview(body)
    kept: list[memoryview] = []
    values: list[memoryview] = []
    at = since = 0
    for _ in range(_MOST_FIELDS):
        if at == len(body):
            kept.append(view[since:])
            return b"".join(kept), values
        begin = at
        try:
            tag, at = _varint(body, at)
            length, at = _varint(body, at)
        except IndexError:
            return None
        end = at + length
        if tag & 7 != _LENGTH_DELIMITED or end > len(body):
            return None
        if tag >> 3 == number:
            kept.append(view[since:begin])
            values.append(view[at:end])
            since = end
        at = end
    return None


def delimited(number: int, length: int) -> bytes:
    """What stands before a value of so many bytes of a bytes field."""
    return _encoded(number << 3 | _LENGTH_DELIMITED) + _encoded(length)


def varints(packed: bytes, where: str) -> NDArray[np.uint64] | NDArray[np.uint8]:
    """The numbers of a packed field of varints, each reduced to 64 bits.

    Args:
        packed: the field's bytes.
        where: the tensor, for messages.

    Raises:
        InvalidInput: the last one has no end, or one is longer than 64 bits can be.
    """
    octets = np.frombuffer(packed, np.uint8)
    ends = octets < 0x80  # the highest bit says that another byte follows
    if ends.all():
        return octets
    last = np.flatnonzero(ends)
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if not ends[-1] or lengths.max() > _LONGEST:
        raise errors.InvalidInput(f"{where}: its contents are not varints of at most 64 bits")
    low = (octets & 0x7F).astype(np.uint64)
    numbers = low[first]
    for place in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        numbers[longer] |= low[first[longer] + place] << np.uint64(7 * place)
    return numbers


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The varint at a place, and the place behind it; no longer than a length can be.

    Raises:
        IndexError: the body ends before it does, or it is too long.
    """
    number = shift = 0
    while True:
        octet = body[at]
        at += 1
        number |= (octet & 0x7F) << shift
        if octet < 0x80:  # as above
            return number, at
        shift += 7
        if shift >= 7 * _LONGEST:
            raise IndexError(at)


def _encoded(number: int) -> bytes:
    octets = bytearray()
    while number >= 0x80:  # as above
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)
