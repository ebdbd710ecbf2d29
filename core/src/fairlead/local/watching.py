"""Files and folders that are watched: what changed, once whoever writes has finished.

They are looked at again and again, which works on every file system, also on those of containers and networks.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["SUFFIXES", "Watcher"]

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""Endings of the files of a folder that are looked at."""

_MOST_FILES: Final = 10_000
_REST: Final = 0.1
"""Seconds to the next look while something changes, at most: whoever writes is waited for, and nobody longer."""

_Look: TypeAlias = tuple[int, int, int, int]
_World: TypeAlias = dict[str, _Look]  # a Path for each file would take longer than to look at it


class Watcher:
    """Tells which files changed.

    A change counts once a file has been the same for two looks in a row, so that half of a file is seldom read. A file
    that is gone or empty has to be so for three, since editors take a file away or empty it for a moment.

    Args:
        paths: files, and folders whose files with one of `SUFFIXES` are looked at.
        interval: seconds between two looks while nothing changes.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        interval: float = 0.3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._paths = tuple(paths)
        self._interval = interval
        self._sleep = sleep
        self._told = self._before = self._look()
        self._missing: dict[str, int] = {}
        self._begun = self._done = 0

    @property
    def looks(self) -> tuple[int, int]:
        """How many looks `changes` has begun, and how many of them are over, what was told of them taken."""
        return self._begun, self._done

    @property
    def behind(self) -> bool:
        """Whether something was seen to change that is not told yet, or what `changes` sees now is not taken yet."""
        return self._begun != self._done or self._grows or bool(self._missing)

    def poll(self) -> frozenset[Path]:
        """Look once; the files that were added, changed or removed since they were last told, as far as they rest."""
        now = self._look()
        changed = {
            path for path, look in now.items() if look != self._told.get(path) and look == self._before.get(path)
        }
        self._missing = {path: self._missing.get(path, 0) + 1 for path in self._told if path not in now}
        gone = {path for path, looks in self._missing.items() if looks > 2}
        self._before = now
        for path in changed:
            self._told[path] = now[path]
        for path in gone:
            del self._told[path], self._missing[path]
        return frozenset(map(Path, changed | gone))

    async def changes(self) -> AsyncIterator[frozenset[Path]]:
        """Whatever changes, for as long as it is asked for."""
        while True:
            await self._sleep(min(self._interval, _REST) if self._grows else self._interval)
            self._begun += 1
            # The file system may be slow, or gone for a while.
            if found := await asyncio.to_thread(self.poll):
                yield found
            self._done = self._begun

    @property
    def _grows(self) -> bool:
        """Whether anything that was seen is not told yet; what is gone is given the time to come back."""
        return any(look != self._told.get(path) for path, look in self._before.items())

    def _look(self) -> _World:
        return dict(_looks(self._paths))


def _looks(paths: Sequence[Path]) -> Iterator[tuple[str, _Look]]:
    for path in paths:
        try:
            found = path.stat()
            if not stat.S_ISDIR(found.st_mode):
                if found.st_size:
                    yield str(path), _of(found)
                continue
            with os.scandir(path) as entries:
                inside = sorted((each.path, each) for each in entries if os.path.splitext(each.name)[1] in SUFFIXES)  # noqa: PTH122 -- as above
        except OSError:
            continue
        for name, each in inside[:_MOST_FILES]:
            try:
                found = each.stat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and found.st_size:
                yield name, _of(found)


def _of(found: os.stat_result) -> _Look:
    # The time of change is the file system's own, and tells of a file whose own time was set back.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
