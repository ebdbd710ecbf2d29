"""Who asks for a load, and what becomes of it: loads that are joined, bounded in number, and not repeated at once."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.engine import memory
from fairlead.engine.registry import ModelState

if TYPE_CHECKING:
    from fairlead.engine.lifecycle import Lifecycle
    from fairlead.engine.memory import Files
    from fairlead.engine.metrics import Metrics
    from fairlead.engine.registry import ModelEntry
    from fairlead.engine.serving import Serving
    from fairlead.settings import ServerSettings

__all__ = ["Cause", "Failure", "Load", "Loads"]

_log = logging.getLogger("fairlead.models")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds in which a model whose load failed is not loaded on demand; doubled with each failure."""


class Cause(enum.StrEnum):
    """Who asked for a load."""

    START = "start"
    REQUEST = "request"
    DEMAND = "demand"


@dataclasses.dataclass(slots=True, eq=False)
class Load:
    """A load that is under way.

    Attributes:
        task: what loads.
        files: the files that are loaded; None before they were looked at.
    """

    task: asyncio.Task[None]
    files: Files | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """The last load of a model, when it failed.

    Attributes:
        reason: why.
        pause: seconds for which it was not to be tried again.
        until: when these end, by the monotonic clock.
    """

    reason: str
    pause: float
    until: float


class Loads:
    """The loads of all models, one at a time for each.

    Args:
        lifecycle: what loads.
        metrics: the server's metrics.
        settings: the server's settings.
        clock: the monotonic clock.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        metrics: Metrics,
        settings: ServerSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.max_loads)
        self._under_way: set[Load] = set()
        self._closing = False

    async def load(self, entry: ModelEntry, cause: Cause) -> None:
        """Load a model as its files are now; a load of the same files that is under way is joined.

        Raises:
            FairleadError: it does not load.
            ServerNotReady: the server stops.
        """
        while (under_way := entry.loading) is not None:
            # One that is to be unloaded when it has loaded is not what is asked for now.
            if not entry.withdrawn and under_way.files in (None, await _files_of(entry)):
                break
            await asyncio.wait({under_way.task})
        else:
            entry.failure = None
            entry.withdrawn = False
            under_way = self._begin(entry, cause)
        await asyncio.wait({under_way.task})
        _raise_for(under_way)

    async def on_demand(self, entry: ModelEntry, patience: float | None = None) -> Serving:
        """Load a model because a request asks it, and wait for it.

        Args:
            entry: the model.
            patience: seconds that the request can wait; by default the server's ``request_timeout``.

        Raises:
            ModelNotReady: it does not load, or was unloaded on request.
            Overloaded: too many requests wait for it already, or there is no memory for it now.
            DeadlineExceeded: it was not loaded in time; the load goes on.
            ServerNotReady: the server stops.
        """
        under_way = entry.loading
        if under_way is None:
            self.check(entry)
            under_way = self._begin(entry, Cause.DEMAND)
        if entry.waiting >= self._settings.max_queue_size:
            raise errors.Overloaded(
                f"Model with name {entry.name} is overloaded: {entry.waiting} requests wait already until it is "
                "loaded. Try again later."
            )
        if patience is None:
            patience = self._settings.request_timeout or math.inf
        entry.waiting += 1
        try:
            # Unlike awaiting the task, this leaves it alone when the client goes.
            done, _ = await asyncio.wait({under_way.task}, timeout=None if patience == math.inf else patience)
        finally:
            entry.waiting -= 1
        if not done:
            raise errors.DeadlineExceeded(f"Model with name {entry.name} was not loaded within {patience:g} seconds.")
        if entry.serving is None:
            _raise_for_client(entry, under_way)
            self.check(entry)
        return entry.ready()

    def check(self, entry: ModelEntry) -> None:
        """Whether a request may load a model now.

        Raises:
            ModelNotReady: it was unloaded on request, or its load has failed a short while ago.
            ServerNotReady: the server stops.
        """
        if self._closing:
            raise errors.ServerNotReady
        if entry.withdrawn:
            raise errors.ModelNotReady(entry.name, "It was unloaded.")
        if entry.failure is not None and (left := entry.failure.until - self._clock()) > 0:
            raise errors.ModelNotReady(entry.name, entry.failure.reason, retry_after=math.ceil(left))

    async def unload(self, entry: ModelEntry) -> None:
        """Take a model out of service, after a load that is under way; only a load on request brings it back."""
        entry.withdrawn = True
        if entry.loading is not None:
            await asyncio.wait({entry.loading.task})
        await self._lifecycle.unload(entry)

    async def stop(self) -> None:
        """End all loads, and begin no more."""
        self._closing = True
        tasks = [each.task for each in self._under_way]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, entry: ModelEntry, cause: Cause) -> Load:
        if self._closing:
            raise errors.ServerNotReady
        under_way = Load(asyncio.create_task(self._run(entry, cause), name=f"load-{entry.name}"))
        entry.loading = under_way
        self._under_way.add(under_way)
        if entry.serving is None and len(self._under_way) > self._settings.max_loads:
            entry.become(ModelState.LOADING, "Other models are loaded before it.")

        def ended(task: asyncio.Task[None]) -> None:
            # Here and not in the task: one that is cancelled before it begins does not run at all.
            self._under_way.discard(under_way)
            entry.loading = None
            if not task.cancelled():
                self._note(entry, cause, task.exception())

        under_way.task.add_done_callback(ended)
        return under_way

    async def _run(self, entry: ModelEntry, cause: Cause) -> None:
        async with self._slots:
            assert entry.loading is not None
            await self._lifecycle.load(entry, entry.loading, evict=cause is not Cause.START)

    def _note(self, entry: ModelEntry, cause: Cause, error: BaseException | None) -> None:
        self._metrics.loads.labels(cause, "ok" if error is None else "failed").inc()
        if error is None:
            entry.failure = None
            return
        if cause is not Cause.START:  # whoever starts the server tells it
            _log.error("model %s does not load: %s", entry.name, str(error), extra={"model": entry.name})
        if not isinstance(error, errors.Overloaded):  # there may be memory at any moment
            pause = min(entry.failure.pause * 2, _LONGEST_PAUSE) if entry.failure is not None else _FIRST_PAUSE
            entry.failure = Failure(str(error), pause, self._clock() + pause)


async def _files_of(entry: ModelEntry) -> Files | None:
    path = Path(entry.source.uri.removeprefix("file://"))
    return await asyncio.to_thread(lambda: memory.Files.of(path) if path.exists() else None)


def _raise_for(load: Load) -> None:
    """Raise what ended a load."""
    if load.task.cancelled():
        raise errors.ServerNotReady
    error = load.task.exception()
    if error is not None:
        raise error


def _raise_for_client(entry: ModelEntry, load: Load) -> None:
    """Raise what ended a load, as the answer to a request for the model."""
    try:
        _raise_for(load)
    except errors.Overloaded as error:
        raise errors.Overloaded(error.reason, retry_after=error.retry_after) from error
    except errors.ServerNotReady:
        raise
    except errors.FairleadError as error:
        pause = entry.failure.pause if entry.failure is not None else _FIRST_PAUSE
        raise errors.ModelNotReady(entry.name, str(error), retry_after=math.ceil(pause)) from error
