"""The memory of this process, and the sizes of files: what is known of a model's memory before and after its load."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Final

from fairlead.engine import garbage

__all__ = ["Files", "foreign_modules", "give_back", "private", "trim"]

_STATM: Final = Path("/proc/self/statm")


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """What an artefact's files are at one moment; equal when nothing was written in between.

    Attributes:
        size: their bytes.
        count: how many there are.
        newest: when the last one was written, in nanoseconds since the epoch.
    """

    size: int
    count: int
    newest: int

    @classmethod
    def of(cls, path: Path) -> Files:
        """Look at a file, or at everything below a folder; what cannot be read is left out."""
        below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        found = []
        for file in [path] if path.is_file() else below:
            with contextlib.suppress(OSError):
                found.append(file.stat())
        return cls(
            sum(each.st_size for each in found), len(found), max((each.st_mtime_ns for each in found), default=0)
        )

    @classmethod
    def announced(cls, sizes: Collection[int]) -> Files:
        """What a source says of files that are never written to again."""
        return cls(sum(sizes), len(sizes), 0)


def private() -> int | None:
    """Bytes of memory that this process has for itself, without what is mapped from files; None where nobody tells."""
    try:
        _, resident, shared, *_ = map(int, _STATM.read_text().split())
    except (OSError, ValueError):
        return None
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Give memory that the C library keeps for later back to the system; it may be much, and would be counted."""
    release = _malloc_trim()
    if release is not None:
        release(0)


def give_back() -> None:
    """Give back what an unloaded model has left: models are full of cycles, so that it takes a collection."""
    garbage.collect()
    trim()


def foreign_modules(before: set[str], folder: Path) -> bool:
    """Whether modules were imported that do not belong to a folder: a library stays when its first model goes.

    Args:
        before: the names in ``sys.modules`` at an earlier moment.
        folder: where a model's own modules are.
    """
    return any(not _is_below(module, folder) for name, module in tuple(sys.modules.items()) if name not in before)


def _is_below(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)  # a package that is made up for a model's folder has none
    return not isinstance(file, str) or Path(file).is_relative_to(folder)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """The GNU C library's; others have none."""
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    found.argtypes = (ctypes.c_size_t,)
    found.restype = ctypes.c_int
    return found
