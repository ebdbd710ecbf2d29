"""The memory that all models of a server may take together, and who leaves when another needs it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from fairlead import errors
from fairlead.settings import ByteSize

if TYPE_CHECKING:
    from prometheus_client import Gauge

    from fairlead.engine.memory import Files
    from fairlead.engine.registry import ModelEntry

__all__ = ["Budget", "Evict", "Hold", "Seen", "least_recently_used"]

Evict: TypeAlias = "Callable[[ModelEntry], Awaitable[None]]"
"""Unloads a model that nobody uses; it can be used again as soon as somebody asks."""

_log = logging.getLogger("fairlead.models")

_LOOK: Final = 0.02
"""Seconds between two looks whether a model has become idle, while a load waits for memory."""


@dataclasses.dataclass(slots=True, eq=False)
class Hold:
    """Memory that is counted for one load of a model: estimated at first, known when it is loaded.

    Attributes:
        size: bytes.
    """

    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the last load of a model took.

    Attributes:
        files: the files that it was.
        size: bytes of memory.
    """

    files: Files
    size: int


def least_recently_used(entries: Iterable[ModelEntry]) -> ModelEntry | None:
    """The model that should leave first, of those that may: loaded, not pinned, and not in use."""
    best: ModelEntry | None = None
    oldest = math.inf
    for entry in entries:
        if entry.serving is None or entry.pinned or entry.is_busy:
            continue
        if entry.serving.used < oldest:
            best, oldest = entry, entry.serving.used
    return best


class Budget:
    """Counts the memory of models, and holds it below a limit.

    Args:
        limit: bytes; 0 for any.
        patience: seconds that a load waits for memory that is in use; 0 for any.
        entries: all known models.
        evict: makes one of them leave; None when none may, because it would not come back by itself.
        gauge: where the bytes are shown.
    """

    def __init__(
        self, limit: int, patience: float, entries: Iterable[ModelEntry], evict: Evict | None, gauge: Gauge
    ) -> None:
        self.limit: Final = limit
        self._patience = patience or math.inf
        self._entries = entries
        self._evict = evict
        self._gauge = gauge
        self._holds: set[Hold] = set()
        self._turn = asyncio.Lock()

    @property
    def held(self) -> int:
        """Bytes that are counted now."""
        return sum(hold.size for hold in self._holds)

    async def take(self, entry: ModelEntry, size: int, *, evict: bool = True) -> Hold:
        """Count memory for a load that is about to begin; makes others leave first, the least recently used ones.

        Loads get their turn in the order in which they ask, so that a large one is not overtaken for ever. A model that
        is loaded anew does not wait for others: it answers as before.

        Args:
            entry: the model that loads.
            size: bytes that it will take, as far as is known.
            evict: whether others may have to leave for it.

        Raises:
            BudgetExceeded: it does not fit, and waiting would not help.
            Overloaded: it would fit if the others were not in use.
        """
        self._check_alone(entry, size)
        if entry.hold is not None:
            # Its own memory is in use meanwhile: two of this kind that waited would wait for each other.
            await self._wait_for(entry, size, evict, 0.0)
        else:
            async with self._turn:
                await self._wait_for(entry, size, evict, self._patience)
        hold = Hold(size)
        self._holds.add(hold)
        self._show()
        return hold

    async def settle(self, entry: ModelEntry, hold: Hold, size: int, *, evict: bool = True) -> None:
        """Correct what was counted for a load, now that it is known.

        A model that turned out larger than expected stays while others are in use: its memory is taken already, and
        the next load waits for it.

        Raises:
            BudgetExceeded: it does not fit after all.
        """
        hold.size = size
        self._show()
        self._check_alone(entry, size)
        while self._lacks(0) and await self._make_room(evict):
            pass
        if self._lacks(0):
            if not evict or self._evict is None:
                raise self._full(entry, size)
            _log.warning(
                "model %s took %s: models take %s now, and the budget is %s",
                entry.name,
                ByteSize(size),
                ByteSize(self.held),
                ByteSize(self.limit),
                extra={"model": entry.name},
            )

    def release(self, hold: Hold | None) -> None:
        """Count no longer what a load took."""
        if hold is not None:
            self._holds.discard(hold)
            self._show()

    async def _wait_for(self, entry: ModelEntry, size: int, evict: bool, patience: float) -> None:
        end = time.monotonic() + patience
        while self._lacks(size) and not await self._make_room(evict):
            if not evict or self._evict is None:
                raise self._full(entry, size)
            if time.monotonic() >= end:
                raise errors.Overloaded(
                    f"There is no memory to load model {entry.name}: it takes {ByteSize(size)}, and the models that "
                    f"are in use take {ByteSize(self.held)} of {ByteSize(self.limit)}. Try again later."
                )
            await asyncio.sleep(_LOOK)

    def _lacks(self, size: int) -> bool:
        return bool(self.limit) and self.held + size > self.limit

    async def _make_room(self, evict: bool) -> bool:
        victim = least_recently_used(self._entries) if evict and self._evict is not None else None
        if victim is None or self._evict is None:
            return False
        await self._evict(victim)
        return True

    def _check_alone(self, entry: ModelEntry, size: int) -> None:
        if not self.limit:
            return
        own = entry.hold.size if entry.hold is not None else 0
        pinned = sum(each.hold.size for each in self._entries if each.pinned and each.hold and each is not entry)
        if size + own + pinned <= self.limit:
            return
        beside = f" beside its {ByteSize(own)} that answer until then" if own else ""
        beside += f" beside {ByteSize(pinned)} of pinned models" if pinned else ""
        raise errors.BudgetExceeded(
            f"Model {entry.name} takes {ByteSize(size)} of memory{beside}, and the budget is {ByteSize(self.limit)}.",
            remedy="Raise --model-memory-budget" + (", or unload the model first." if own else "."),
        )

    def _full(self, entry: ModelEntry, size: int) -> errors.BudgetExceeded:
        others = sum(hold.size for hold in self._holds)
        return errors.BudgetExceeded(
            f"Model {entry.name} takes {ByteSize(size)} of memory; of {ByteSize(self.limit)} models take "
            f"{ByteSize(others)} already, and none of them may be evicted for it.",
            remedy="Unload one, raise --model-memory-budget, or set --load-on-demand true.",
        )

    def _show(self) -> None:
        self._gauge.set(self.held)
