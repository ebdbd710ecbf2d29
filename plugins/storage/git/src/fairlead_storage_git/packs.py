"""Reading the objects of pack files in bounded memory.

The format is that of git's ``gitformat-pack``. A server that is not trusted writes it, so nothing is inflated further
than it says of itself, and what it says is bounded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from fairlead import errors

__all__ = [
    "BLOB",
    "COMMIT",
    "HELD",
    "KINDS",
    "TAG",
    "TREE",
    "Corrupt",
    "Entry",
    "Source",
    "applied",
    "contents",
    "entry_at",
    "held",
    "identity",
    "inflated",
    "result_size",
]

COMMIT: Final = 1
TREE: Final = 2
BLOB: Final = 3
TAG: Final = 4
KINDS: Final = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}

HELD: Final = 1 << 30
"""The most bytes of objects that are held in memory, to apply deltas to them; git itself stores files over 512 MiB
without (``core.bigFileThreshold``)."""

_OFFSET_DELTA: Final = 6
_ID_DELTA: Final = 7
_CHUNK: Final = 256 * 1024
_ID: Final = 20


class Corrupt(Exception):  # named for what it says of a pack
    """A pack, or an object, is not what it should be: it is cut off, damaged, or made to harm."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One object in a pack.

    Attributes:
        kind: what it is; None for a delta.
        size: its length, or that of the delta, once inflated.
        data: where its compressed data starts.
        base: of a delta, where its base is in the same pack, or the base's id.
    """

    kind: int | None
    size: int
    data: int
    base: int | bytes | None


class Source:
    """A file that is read forward.

    Args:
        file: the file.
        offset: where to start.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        file.seek(offset)
        self._file = file
        self._rest = b""
        self.offset = offset
        self.hash = hashlib.sha1(usedforsecurity=False)

    def peek(self) -> bytes:
        """What comes next, at least one byte, without taking it.

        Raises:
            Corrupt: nothing does.
        """
        if not self._rest:
            self._rest = self._file.read(_CHUNK)
        if not self._rest:
            raise Corrupt
        return self._rest

    def skip(self, count: int) -> None:
        """Take bytes of those that were peeked at."""
        self.hash.update(memoryview(self._rest)[:count])
        self._rest = self._rest[count:]
        self.offset += count

    def take(self, count: int) -> bytes:
        """So many bytes."""
        taken = b""
        while len(taken) < count:
            part = self.peek()[: count - len(taken)]
            self.skip(len(part))
            taken += part
        return taken

    def inflate(self, size: int) -> Iterator[bytes]:
        """What is compressed here, in chunks; it must be exactly so long."""
        stream = zlib.decompressobj()
        left = size
        while not stream.eof:
            data = self.peek()
            try:
                # One byte more than there should be is enough to see that there is more.
                chunk = stream.decompress(data, min(_CHUNK, left + 1))
            except zlib.error as error:
                raise Corrupt from error
            self.skip(len(data) - len(stream.unused_data or stream.unconsumed_tail))
            left -= len(chunk)
            if left < 0:
                raise Corrupt
            if chunk:
                yield chunk
        if left:
            raise Corrupt

    def entry(self) -> Entry:
        """The head of the object that starts here."""
        start = self.offset
        (byte,) = self.take(1)
        kind, size, shift = (byte >> 4) & 7, byte & 15, 4
        while byte & 0x80:
            (byte,) = self.take(1)
            size |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:  # no file is longer
                raise Corrupt
        base: int | bytes | None = None
        if kind == _OFFSET_DELTA:
            base = start - self._distance()
            if base < 0:
                raise Corrupt
        elif kind == _ID_DELTA:
            base = self.take(_ID)
        elif kind not in KINDS:
            raise Corrupt
        return Entry(kind=None if base is not None else kind, size=size, data=self.offset, base=base)

    def _distance(self) -> int:
        (byte,) = self.take(1)
        distance = byte & 0x7F
        while byte & 0x80:
            (byte,) = self.take(1)
            distance = ((distance + 1) << 7) | (byte & 0x7F)
            if distance > 1 << 63:
                raise Corrupt
        return distance


def entry_at(file: BinaryIO, offset: int) -> Entry:
    """The head of the object at an offset of a pack.

    Raises:
        Corrupt: there is none.
    """
    return Source(file, offset).entry()


def inflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What a file holds that is compressed as a whole.

    Raises:
        Corrupt: it cannot be inflated, or not to this length.
    """
    return Source(file, 0).inflate(size)


def contents(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """What an object of a pack holds, or, of a delta, the delta.

    Raises:
        Corrupt: it cannot be inflated, or not to the length that it says.
    """
    return Source(file, entry.data).inflate(entry.size)


def result_size(file: BinaryIO, entry: Entry) -> int:
    """How long the object is that an entry stands for."""
    if entry.base is None:
        return entry.size
    return _sizes(next(contents(file, entry), b""))[1]


def _sizes(delta: bytes) -> tuple[int, int]:
    """The lengths of a delta's base and of its result, which stand before its instructions."""
    sizes: list[int] = []
    size = shift = 0
    for byte in delta[:20]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            sizes.append(size)
            if len(sizes) == 2:  # two sizes
                return sizes[0], sizes[1]
            size = shift = 0
    raise Corrupt


def applied(base: bytes, delta: bytes) -> bytes:
    """The object that a delta makes of its base.

    Raises:
        Corrupt: it was made for another base.
        StorageLimitExceeded: it is too long to be held in memory.
    """
    from dulwich.errors import ApplyDeltaError
    from dulwich.pack import apply_delta

    source, result = _sizes(delta)
    if source != len(base):
        raise Corrupt
    held(len(base) + len(delta) + result)
    try:
        return b"".join(apply_delta(base, delta))
    except (ApplyDeltaError, IndexError, AssertionError, ValueError) as error:
        raise Corrupt from error


def held(size: int) -> None:
    """Refuse to hold so many bytes in memory.

    Raises:
        StorageLimitExceeded: they are too many.
    """
    if size > HELD:
        raise errors.StorageLimitExceeded(
            f"The repository stores a file of {size} bytes as changes to another, which takes more than "
            f"{HELD >> 30} GiB of memory to put together.",
            remedy="Set `delta=false` for it in .gitattributes of the repository, and repack it.",
        )


def identity(kind: int, size: int) -> hashlib._Hash:
    """The hash of an object before its content: git's ids are of a head and the content."""
    return hashlib.sha1(b"%s %d\0" % (KINDS[kind], size), usedforsecurity=False)
