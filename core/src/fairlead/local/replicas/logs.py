"""The log of a replica: a file of bounded size, and its last lines in memory."""

from __future__ import annotations

import collections
import contextlib
import os
from pathlib import Path
from typing import Final

__all__ = ["Lines", "RotatedLog"]

_MIB: Final = 1024 * 1024
_LINES: Final = 50
_LONGEST: Final = 4096
"""Bytes of one line that are kept in memory; files hold all of it."""


class Lines:
    """The last lines of output that comes in pieces.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = _LINES) -> None:
        self._lines: collections.deque[bytes] = collections.deque(maxlen=most)
        self._partial = b""

    def add(self, data: bytes) -> list[bytes]:
        """Add a piece; the lines that it completes."""
        *lines, rest = (self._partial + data).split(b"\n")
        full = [line[:_LONGEST] for line in lines if line.strip()]
        self._lines.extend(full)
        self._partial = rest[:_LONGEST]
        return full

    def last(self, count: int | None = None) -> tuple[str, ...]:
        """The last lines; one that is not finished counts."""
        lines = [*self._lines, self._partial] if self._partial.strip() else list(self._lines)
        return tuple(line.decode("utf-8", "replace") for line in lines[-count if count else None :])

    def clear(self) -> None:
        """Forget them."""
        self._lines.clear()
        self._partial = b""


class RotatedLog:
    """A file that is written to and renamed once it is full: ``x.log``, ``x.log.1``, ``x.log.2``.

    A write never raises and never waits for more than the file system. What cannot be written, because the disk is full
    or the folder is gone, is dropped and counted; the next line that can be written is preceded by one that says so.

    Args:
        path: the file; its folder is made.
        max_bytes: how large a file becomes.
        files: how many there are, the current one included.

    Attributes:
        dropped: bytes that could not be written.
        trouble: why not; empty while writing works.
    """

    def __init__(self, path: Path, *, max_bytes: int = 10 * _MIB, files: int = 3) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._descriptor: int | None = None
        self._size = 0
        self._lines = Lines()
        self._untold = 0
        self.dropped = 0
        self.trouble = ""

    def write(self, data: bytes) -> None:
        """Add what a process has written."""
        self._lines.add(data)
        with contextlib.suppress(OSError):  # the write meets it again
            self._open()
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        if self._untold and self._put(f"[{self._untold} bytes of output are lost: {self.trouble}]\n".encode()) == 0:
            self._untold, self.trouble = 0, ""
        lost = self._put(data)
        self.dropped += lost
        self._untold += lost

    def say(self, line: str) -> None:
        """Add a line of the platform's own."""
        self.write(f"{line}\n".encode())

    def tail(self, count: int = _LINES) -> tuple[str, ...]:
        """The last lines; a last one that is not finished counts."""
        return self._lines.last(count)

    def forget(self) -> None:
        """Forget the last lines, for another process whose own are wanted; files keep them."""
        self._lines.clear()

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _put(self, data: bytes) -> int:
        """Write; how many bytes could not be."""
        view = memoryview(data)
        try:
            descriptor = self._open()
            while view:
                written = os.write(descriptor, view)
                self._size += written
                view = view[written:]
        except OSError as error:
            self.trouble = f"{self._path}: {error.strerror}"
            self.close()
        return len(view)

    def _open(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _rotate(self) -> None:
        self.close()
        self._size = 0
        with contextlib.suppress(OSError):  # a file that cannot be renamed is written to as before
            for number in range(self._files - 1, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
                if newer.exists():
                    newer.replace(older)
