"""Finding what is in a pack that has just arrived.

A server that is not trusted wrote it, so nothing is inflated further than it says of itself, and what it says is
bounded.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from fairlead import errors
from fairlead_storage_git.packs import Corrupt, Source, applied, contents, entry_at, held, identity

__all__ = ["index", "too_large"]

_MAX_OBJECTS: Final = 2_000_000
_ID: Final = 20


class _Budget:
    """How many bytes may still be inflated."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise too_large(self._most)


def too_large(most: int) -> errors.StorageLimitExceeded:
    """The error of a repository that is larger than it may be."""
    return errors.StorageLimitExceeded(
        f"The repository holds more than {most} bytes at this commit.", remedy="GIT_MAX_BYTES sets the limit."
    )


def index(path: Path, *, most: int, going: Callable[[], None]) -> dict[bytes, int]:
    """Where each object of a pack is, by the 20 bytes of its id; every object is inflated and hashed for that.

    Args:
        path: the pack, which must hold the bases of all its deltas.
        most: the most bytes that its objects may inflate to.
        going: called now and then; raises when the fetch has ended.

    Raises:
        Corrupt: it is not a pack, is cut off, or damaged.
        StorageLimitExceeded: it holds too much.
    """
    budget = _Budget(most)
    found: dict[bytes, int] = {}
    deltas: dict[int | bytes, list[int]] = {}
    with path.open("rb") as file:
        source = Source(file, 0)
        magic, version, count = struct.unpack(">4sLL", source.take(12))
        if magic != b"PACK" or version not in (2, 3):
            raise Corrupt
        if count > _MAX_OBJECTS:
            raise errors.StorageLimitExceeded(f"The repository holds {count} objects; the limit is {_MAX_OBJECTS}.")
        for _ in range(count):
            going()
            start = source.offset
            entry = source.entry()
            budget.spend(entry.size)
            digest = None if entry.kind is None else identity(entry.kind, entry.size)
            for chunk in source.inflate(entry.size):
                going()
                if digest is not None:
                    digest.update(chunk)
            if digest is not None:
                found[digest.digest()] = start
            elif entry.base is not None:
                deltas.setdefault(entry.base, []).append(start)
        expected = source.hash.digest()
        if source.take(_ID) != expected or source.offset != os.fstat(file.fileno()).st_size:
            raise Corrupt
        for identifier, offset in list(found.items()):
            _resolve(file, identifier, offset, deltas, found, budget, going)
    if deltas:
        raise Corrupt  # their bases are not here
    return found


def _resolve(
    file: BinaryIO,
    identifier: bytes,
    offset: int,
    deltas: dict[int | bytes, list[int]],
    found: dict[bytes, int],
    budget: _Budget,
    going: Callable[[], None],
) -> None:
    """Find the ids of all that is stored as deltas to one object, and to these, and so on."""

    def waiting(offset: int, identifier: bytes) -> list[int]:
        return [*deltas.pop(offset, ()), *deltas.pop(identifier, ())]

    below = waiting(offset, identifier)
    if not below:
        return
    root = entry_at(file, offset)
    assert root.kind is not None
    held(root.size)
    stack = [(b"".join(contents(file, root)), below)]
    while stack:
        going()
        base, below = stack[-1]
        if not below:
            stack.pop()
            continue
        child = below.pop()
        entry = entry_at(file, child)
        held(entry.size)
        content = applied(base, b"".join(contents(file, entry)))
        budget.spend(len(content))
        digest = identity(root.kind, len(content))
        digest.update(content)
        found[digest.digest()] = child
        if further := waiting(child, digest.digest()):
            stack.append((content, further))
            held(sum(len(data) for data, _ in stack))
