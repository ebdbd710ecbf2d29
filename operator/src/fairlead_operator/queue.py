"""Which services are to be looked at: each at most once at a time, and those that failed later and later."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

__all__ = ["Key", "Queue"]

Key: TypeAlias = tuple[str, str]
"""The namespace and the name of an InferenceService."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 60.0


class Queue:
    """Keys that wait for a worker.

    A key that is added while it waits is there once, and one that is added while a worker has it is there again when
    the worker is done: no change is missed, and no two workers have the same key.

    Args:
        clock: seconds of a clock that does not go back.
        spread: a factor for each pause after a failure, so that many that failed together do not come back together.
    """

    def __init__(self, clock: Callable[[], float], spread: Callable[[], float] = lambda: 1.0) -> None:
        self._clock = clock
        self._spread = spread
        self._ready: OrderedDict[Key, None] = OrderedDict()  # a dict is slow to find its first key once many are gone
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._worked_on: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready) + len(self._due)

    @property
    def idle(self) -> bool:
        """Whether nothing is due, and no worker has a key."""
        return not self._ready and not self._worked_on

    def add(self, key: Key, *, after: float = 0.0) -> None:
        """Ask for a key to be looked at.

        Args:
            key: the key.
            after: seconds to wait; the earliest of several counts.
        """
        if after > 0:
            due = self._clock() + after
            if key in self._ready or self._due.get(key, due + 1) <= due:
                return
            self._due[key] = due
            heapq.heappush(self._later, (due, next(self._numbers), key))
        elif key in self._worked_on:
            self._again.add(key)
        else:
            self._due.pop(key, None)
            self._ready[key] = None
        self._changed.set()

    async def take(self) -> Key:
        """The next key; it is the caller's until `done`."""
        while True:
            self._wake()
            if self._ready:
                key, _ = self._ready.popitem(last=False)
                self._worked_on.add(key)
                return key
            self._changed.clear()
            pause = max(0.0, self._later[0][0] - self._clock()) if self._later else None
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """Give a key back that was looked at, and forget that it failed."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key, *, after: float | None = None) -> float:
        """Give a key back that has to be looked at again.

        Args:
            key: the key.
            after: seconds after which, where somebody says so.

        Returns:
            Seconds after which it comes again.
        """
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = max(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count, 16)) * self._spread(), after or 0.0)
        self._release(key)
        self.add(key, after=pause)
        return pause

    def forget(self, key: Key) -> None:
        """Drop all that is known of a key that is gone."""
        self._ready.pop(key, None)
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._again.discard(key)

    def _release(self, key: Key) -> None:
        self._worked_on.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _wake(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) != due:
                continue  # it was added without a pause since, or with a shorter one
            del self._due[key]
            if key in self._worked_on:
                self._again.add(key)
            else:
                self._ready[key] = None
