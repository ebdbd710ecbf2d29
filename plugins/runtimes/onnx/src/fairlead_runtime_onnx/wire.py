"""The fields of a protocol buffer's message, without its schema and without copies.

The encoding is protobuf's own (https://protobuf.dev/programming-guides/encoding/): a tag holds the number of a field
and its wire type, and what follows is as long as the type says. Groups, which ONNX does not use, are not read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import mmap

__all__ = ["BYTES", "VARINT", "Buffer", "Field", "fields", "runs_without", "varints"]

Buffer: TypeAlias = "bytes | mmap.mmap"

VARINT: Final = 0
_FIXED64: Final = 1
BYTES: Final = 2
_FIXED32: Final = 5
_LONGEST_VARINT: Final = 10
_LARGEST_NUMBER: Final = (1 << 29) - 1
_LONGEST_RUN: Final = 1 << 16
_SEVEN_BITS: Final = 0x7F


class Field(NamedTuple):
    """One field.

    Attributes:
        number: its number in the schema.
        wire: its wire type; 0 is a varint, 2 a run of bytes (text or a message).
        start: where its content begins.
        end: where its content ends.
        value: the value of a varint; 0 for any other wire type.
    """

    number: int
    wire: int
    start: int
    end: int
    value: int = 0


def fields(data: Buffer, start: int, end: int, skipped: re.Pattern[bytes] | None = None) -> Iterator[Field]:
    """The fields of the message that lies between two places.

    Args:
        data: what holds the message.
        start: where it begins.
        end: where it ends.
        skipped: runs of fields that are passed over, from `runs_without`.

    Raises:
        ValueError: there is no message there, or it goes on past its end.
    """
    place = start
    while place < end:
        if skipped is not None and (run := skipped.match(data, place, end)):
            place = run.end()
            continue
        tag, after = _varint(data, place, end)
        number, wire = tag >> 3, tag & 7
        value = 0
        if wire == BYTES:
            length, after = _varint(data, after, end)
            place = after + length
        elif wire == VARINT:
            value, place = _varint(data, after, end)
        elif wire == _FIXED32:
            place = after + 4
        elif wire == _FIXED64:
            place = after + 8
        else:
            raise ValueError(f"at byte {place} there is no field of a message")
        if not 0 < number <= _LARGEST_NUMBER:  # readers that keep 32 bits of a tag would take it for another
            raise ValueError(f"at byte {after} there is a field of no valid number")
        if place > end:
            raise ValueError(f"a field at byte {after} goes on past byte {end}")
        yield Field(number, wire, after, place, value)


def runs_without(wanted: Collection[int]) -> re.Pattern[bytes]:
    """Matches runs of fields that none of these numbers are among, as long as they are small and plainly encoded.

    Trees are stored as millions of fields with one number each, and a pattern passes over them in a fraction of the
    time. A run is not matched at once however long it is, so that other threads come to their turn.
    """

    def tags(wire: int, numbers: Iterable[int]) -> bytes:
        return b"[" + b"".join(re.escape(bytes([number << 3 | wire])) for number in numbers) + b"]"

    every = range(1, 16)  # a tag of one byte
    short = b"|".join(b"%b.{%d}" % (re.escape(bytes([length])), length) for length in range(128))
    pattern = b"|".join(
        (
            tags(_FIXED32, every) + b".{4}",
            tags(_FIXED64, every) + b".{8}",
            tags(VARINT, every) + rb"[\x80-\xff]{0,9}[\x00-\x7f]",
            tags(BYTES, [number for number in every if number not in wanted]) + b"(?:" + short + b")",
        )
    )
    return re.compile(b"(?:" + pattern + b"){1,%d}+" % _LONGEST_RUN, re.DOTALL)


def varints(data: Buffer, start: int, end: int) -> Iterator[int]:
    """The numbers of a packed field.

    Raises:
        ValueError: the last one does not end.
    """
    while start < end:
        value, start = _varint(data, start, end)
        yield value


def _varint(data: Buffer, place: int, end: int) -> tuple[int, int]:
    """The number that begins here, and where it ends."""
    result = 0
    for shift in range(_LONGEST_VARINT):
        if place >= end:
            break
        byte = data[place]
        place += 1
        result |= (byte & _SEVEN_BITS) << (7 * shift)
        if byte <= _SEVEN_BITS:
            return result, place
    raise ValueError(f"a number at byte {place} does not end")
