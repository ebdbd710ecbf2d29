"""A file that arrives in pieces, can be read meanwhile, and knows after a kill what of it is there.

A small file, or one of unknown length, arrives from front to back: what is there is what the file holds. A larger one
arrives in blocks, several at once; a file beside it has a byte for each block, set once the block is written. Both are
written to the system's page cache and not to the disk: they outlive the process, and not the machine (see
`fairlead.storage.download`, which begins anew after a restart of the machine).
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["BLOCK", "Growing", "Reader"]

BLOCK: Final = 256 * 1024
"""Bytes of a block; of what a kill interrupts, each stream loses at most one."""

_SET: Final = b"\x01"


class Growing:
    """One file while it arrives; written and read by several threads.

    Args:
        path: the file; made if it is not there.
        size: its length in the end; None where nobody knows.
        marks: the file that tells which blocks are there; None for a file that arrives from front to back.
    """

    def __init__(self, path: Path, size: int | None, marks: Path | None = None) -> None:
        self.path = path
        self.size = size
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._complete = False
        self._files: tuple[int, int | None] | None = None  # opened for writing when the first piece comes
        self._marks_path = marks
        self._marks = bytearray()
        self._length = path.stat().st_size if path.is_file() else 0
        if marks is not None:
            assert size is not None
            count = -(-size // BLOCK)
            # Without the length that it has from its first moment on, the file is another one.
            known = marks.read_bytes()[:count] if self._length == size and marks.is_file() else b""
            self._marks = bytearray(known.ljust(count, b"\0"))

    def _opened(self) -> tuple[int, int | None]:
        if self._files is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file, marks = os.open(self.path, flags, 0o644), None
            if self._marks_path is not None:
                self._marks_path.parent.mkdir(parents=True, exist_ok=True)
                marks = os.open(self._marks_path, flags, 0o644)
                assert self.size is not None
                # Only where there is something: ext4 writes a file to the disk on close once it was cut to nothing.
                for descriptor in (marks, file):
                    if not any(self._marks) and os.fstat(descriptor).st_size:
                        os.ftruncate(descriptor, 0)
                os.ftruncate(file, self.size)
                self._length = self.size
            self._files = (file, marks)
        return self._files

    # -- what is there ----------------------------------------------------------------------------------

    @property
    def blocks(self) -> bool:
        """Whether it arrives in blocks."""
        return self._marks_path is not None

    @property
    def here(self) -> int:
        """How many of its bytes are there."""
        with self._changed:
            if not self.blocks:
                return self._length
            assert self.size is not None
            here = self._marks.count(1) * BLOCK
            return here - (len(self._marks) * BLOCK - self.size if self._marks and self._marks[-1] else 0)

    def missing(self, longest: int) -> list[tuple[int, int | None]]:
        """The ranges that are not there, first and end, each of at most so many bytes; None ends where nobody knows."""
        with self._changed:
            if not self.blocks:
                return [] if self._complete or self._length == self.size else [(self._length, self.size)]
            assert self.size is not None
            found: list[tuple[int, int | None]] = []
            start = self._marks.find(0)
            while start >= 0:
                end = self._marks.find(1, start)
                end = len(self._marks) if end < 0 else end
                for first in range(start, end, longest // BLOCK):
                    last = min(first + longest // BLOCK, end)
                    found.append((first * BLOCK, min(last * BLOCK, self.size)))
                start = self._marks.find(0, end)
            return found

    # -- writing ----------------------------------------------------------------------------------------

    def write(self, position: int, data: bytes, start: int) -> None:
        """Write a piece.

        Args:
            position: its place.
            data: its bytes.
            start: where the run of pieces began that this one continues; the start of a block.
        """
        with self._changed:
            file, marks = self._opened()
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, position)
            position, view = position + written, view[written:]
        with self._changed:
            if marks is not None:
                first = max(start, position - len(data)) // BLOCK
                last = len(self._marks) if position == self.size else position // BLOCK
                if last > first:
                    self._marks[first:last] = _SET * (last - first)
                    os.pwrite(marks, _SET * (last - first), first)
            else:
                self._length = position
            self._changed.notify_all()

    def restart(self) -> None:
        """Forget what is there; only for a file that arrives from front to back."""
        with self._changed:
            os.ftruncate(self._opened()[0], 0)
            self._length = 0

    def finish(self) -> None:
        """Tell readers that the file is whole and verified, and close it for writing."""
        with self._changed:
            if not self.path.is_file():
                self._opened()  # an empty file is a file
            self._complete = True
            self.size = self._length
            self._changed.notify_all()
        self.close()

    def fail(self, error: BaseException) -> None:
        """Tell readers that the rest will not come."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file for writing; what is there stays."""
        with self._changed:
            files, self._files = self._files, None
        for descriptor in files or ():
            if descriptor is not None:
                os.close(descriptor)

    # -- reading ----------------------------------------------------------------------------------------

    def wait_whole(self) -> int:
        """Wait until the file is whole and verified, and return its length.

        Raises:
            BaseException: what the transfer failed with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._complete or self._failure is not None)
            if not self._complete:
                raise self._failed()
            return self._length

    def wait(self, position: int) -> int:
        """Wait until the byte at a position is there, and return up to where the file is there from it on.

        At the end of the file that is the position itself.

        Raises:
            BaseException: what the transfer failed with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._complete or self._reaches(position) or self._failure is not None)
            if self._complete:
                return max(position, self._length)
            if end := self._reaches(position):
                return end
            raise self._failed()

    def _reaches(self, position: int) -> int:
        """Up to where the file is there from a position on; zero where nothing is, the position itself at the end."""
        if self.size is not None and position >= self.size:
            return position
        if not self.blocks:
            return self._length if self._length > position else 0
        block = position // BLOCK
        if not self._marks[block]:
            return 0
        assert self.size is not None
        end = self._marks.find(0, block)
        return self.size if end < 0 else end * BLOCK

    def _failed(self) -> BaseException:
        if isinstance(self._failure, errors.FairleadError):
            # Raised in several threads: each gets one of its own, or tracebacks of all would grow together.
            again = type(self._failure)(self._failure.reason, remedy=self._failure.remedy)
            again.__cause__ = self._failure
            return again
        return self._failure or AssertionError("waited for nothing")


class Reader(io.RawIOBase):
    """A growing file as a file: reading waits for what has not arrived yet."""

    def __init__(self, growing: Growing) -> None:
        self._growing = growing
        self._position = 0
        self._file: int | None = None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Any place can be read; one that comes late is waited for."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; the end is waited for where the length is unknown."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            size = self._growing.size
            offset += self._growing.wait_whole() if size is None else size
        if offset < 0:
            raise ValueError(f"{offset} is before the start of the file")
        self._position = offset
        return offset

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, fewer only at the end; all that is left for a negative number."""
        parts: list[bytes] = []
        left = float("inf") if size is None or size < 0 else size
        while left > 0 and (part := self._part(int(min(left, BLOCK)))):
            left -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def whole(self) -> int:
        """Wait until the file is whole and verified, and return its length.

        Raises:
            BaseException: what the transfer failed with.
        """
        return self._growing.wait_whole()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the stubs ask for collections.abc.Buffer, which 3.11 lacks
        """Read what is there into a buffer."""
        part = self._part(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def _part(self, most: int) -> bytes:
        end = self._growing.wait(self._position)
        if end <= self._position:
            return b""
        if self._file is None:
            try:
                self._file = self._opened()
            except FileNotFoundError:
                self._growing.wait_whole()  # it was removed, since it is wrong: that is told in this moment
                raise
        part = os.pread(self._file, min(most, end - self._position), self._position)
        self._position += len(part)
        return part

    def _opened(self) -> int:
        return os.open(self._growing.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file for this reader."""
        descriptor, self._file = self._file, None
        if descriptor is not None:
            os.close(descriptor)
        super().close()
