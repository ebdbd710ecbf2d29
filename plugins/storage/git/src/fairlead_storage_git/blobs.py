"""Reading ranges of files that are stored compressed: a large one is unpacked once, into a file of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead_storage_git.objects import Objects

__all__ = ["Blobs"]

_CHUNK: Final = 256 * 1024
_SMALL: Final = 1024 * 1024


class Blobs:
    """Reads ranges of blobs; safe from threads.

    Args:
        objects: reads the repository.
        folder: where large ones are unpacked to.
        going: raises when the fetch has ended.
    """

    def __init__(self, objects: Objects, folder: Path, going: Callable[[], None]) -> None:
        self._objects = objects
        self._folder = folder
        self._going = going
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def range(self, identifier: str, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes of a blob from ``start`` up to, and without, ``end``.

        Raises:
            IntegrityError: it is damaged.
            StorageUnavailable: the disk is full, or the fetch has ended.
        """
        if self._objects.size(identifier) <= _SMALL:
            content = b"".join(self._objects.stream(identifier))[start:end]
            yield from filter(None, (content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)))
            return
        try:
            with self._unpacked(identifier).open("rb") as file:
                file.seek(start)
                left = None if end is None else end - start
                while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
                    self._going()
                    yield chunk
                    left = None if left is None else left - len(chunk)
        except OSError as error:
            self._going()
            raise errors.StorageUnavailable(f"A temporary file cannot be used: {error.strerror}.") from error

    def _unpacked(self, identifier: str) -> Path:
        with self._lock:
            lock = self._locks.setdefault(identifier, threading.Lock())
        path = self._folder / identifier
        with lock:
            if not path.exists():
                half = path.with_suffix(".part")
                with contextlib.ExitStack() as stack:
                    stack.callback(half.unlink, missing_ok=True)
                    with half.open("wb") as file:
                        for chunk in self._objects.stream(identifier):
                            self._going()
                            file.write(chunk)
                    half.replace(path)
        return path
