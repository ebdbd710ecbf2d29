"""The states of a model: loading it, and only then Ready; loading it anew; unloading and evicting it."""

from __future__ import annotations

import asyncio
import functools
import logging
import traceback
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.engine import failure, garbage, memory
from fairlead.engine.budget import Budget, Seen
from fairlead.engine.loading import Fetch, Loader, complete
from fairlead.engine.registry import ModelState
from fairlead.engine.serving import Serving
from fairlead.engine.serving import unload as unload_model
from fairlead.engine.thread import ModelThread

if TYPE_CHECKING:
    from fairlead.engine.budget import Hold
    from fairlead.engine.loading import Loaded, Prepared
    from fairlead.engine.loads import Load
    from fairlead.engine.metrics import Metrics
    from fairlead.engine.registry import ModelEntry, Registry
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings
    from fairlead.tracing.tracer import Tracing

__all__ = ["EVICTED", "Fetch", "Lifecycle", "complete"]

EVICTED: Final = "It was unloaded to make room for another; the next request loads it."

_TRIES: Final = 5
_MOMENT: Final = 0.005

_log = logging.getLogger("fairlead.models")


class Lifecycle:
    """Loads and unloads models.

    Args:
        plugins: where runtimes come from.
        fetch: brings artefacts onto this machine.
        settings: the server's settings.
        registry: all known models.
        metrics: the server's metrics.
        may_evict: whether a model may have to leave for another, because it comes back when it is asked.
        tracing: traces of the requests; None for none.
        environ: where runtimes' settings are looked for when they are not given; by default the process's own.
    """

    def __init__(
        self,
        plugins: Plugins,
        fetch: Fetch,
        settings: ServerSettings,
        registry: Registry,
        metrics: Metrics,
        *,
        may_evict: bool = False,
        tracing: Tracing | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._loader = Loader(plugins, fetch, settings, environ)
        evict = self._evict if may_evict else None
        limit, patience = settings.model_memory_budget, settings.request_timeout
        self.budget = Budget(limit, patience, registry, evict, metrics.memory)

    async def load(self, entry: ModelEntry, under_way: Load, *, evict: bool) -> None:
        """Load a model, or load it anew: the one that answers goes on until the new one is ready.

        Args:
            entry: the model.
            under_way: told which files are loaded, as soon as that is known.
            evict: whether others may have to leave for it.

        Raises:
            FairleadError: it does not load, or does not answer a sample; the entry's reason says so, and what
                answered before still does.
        """
        async with entry.lock:
            if entry.metrics is None:
                entry.metrics = self._metrics.of(entry.name)
            entry.become(ModelState.LOADING)
            thread = ModelThread(f"model-{entry.name}")
            try:
                prepared, loaded, hold = await self._load(entry, under_way, thread, evict)
            except BaseException as error:
                thread.close()
                raised = _as_load_error(entry.name, error)
                _clear(error)
                state = ModelState.READY if entry.serving else ModelState.UNAVAILABLE
                entry.become(state, str(raised))
                if not isinstance(error, Exception):  # the server stops
                    raise
                raise raised from error
            before, held = entry.serving, entry.hold
            self._serve(entry, prepared, loaded, thread)
            entry.hold = hold
            del loaded
            garbage.set_aside()
            if before is not None:
                model = weakref.ref(before.model)
                try:
                    await before.finish(self._settings.drain_timeout)
                    del before
                    await _tidy(entry.name, model)
                finally:
                    self.budget.release(held)

    async def unload(
        self,
        entry: ModelEntry,
        reason: str = "It was unloaded.",
        *,
        tidy: bool = True,
        patience: float | None = None,
    ) -> None:
        """Take a model out of service; requests in flight are answered first.

        Args:
            entry: the model.
            reason: why, for its entry in the index.
            tidy: whether to give its memory back to the system; a process that ends need not.
            patience: seconds that requests in flight have; by default the server's ``drain_timeout``.
        """
        async with entry.lock:
            serving, entry.serving = entry.serving, None
            if serving is not None:
                entry.become(ModelState.UNLOADING)
                self._metrics.loaded.dec()
                await serving.finish(self._settings.drain_timeout if patience is None else patience)
                model = weakref.ref(serving.model)
                del serving  # or its memory would be held for as long as it takes to give it back
                if tidy:
                    await _tidy(entry.name, model)
                self.budget.release(entry.hold)
                entry.hold = None
            entry.become(ModelState.UNAVAILABLE, reason)
            why = " to make room for another" if reason == EVICTED else ""
            _log.info("model %s is unloaded%s", entry.name, why, extra={"model": entry.name})

    async def _load(
        self, entry: ModelEntry, under_way: Load, thread: ModelThread, evict: bool
    ) -> tuple[Prepared, Loaded, Hold]:
        prepared = await self._loader.prepare(entry.source, thread)
        try:
            return await self._load_prepared(entry, under_way, thread, evict, prepared)
        except errors.IntegrityError as error:
            if prepared.choice is None:
                raise
            # The files changed, or were damaged, while they were read: only the whole can be fetched anew.
            _log.warning("model %s: %s; it is begun again", entry.name, error.reason.rstrip("."))
        prepared = await self._loader.prepare(entry.source, thread, early=False)
        return await self._load_prepared(entry, under_way, thread, evict, prepared)

    async def _load_prepared(
        self, entry: ModelEntry, under_way: Load, thread: ModelThread, evict: bool, prepared: Prepared
    ) -> tuple[Prepared, Loaded, Hold]:
        under_way.files = prepared.files
        hold = await self.budget.take(entry, _estimate(entry, prepared), evict=evict)
        try:
            loaded = await self._loader.load(prepared, thread)
            entry.seen = Seen(prepared.files, loaded.size)
            try:
                await self.budget.settle(entry, hold, loaded.size, evict=evict)
            except BaseException:
                thread.submit(functools.partial(unload_model, entry.name, loaded.model))
                raise
        except BaseException:
            self.budget.release(hold)
            raise
        return prepared, loaded, hold

    def _serve(self, entry: ModelEntry, prepared: Prepared, loaded: Loaded, thread: ModelThread) -> None:
        assert entry.metrics is not None
        if entry.serving is None:
            self._metrics.loaded.inc()
        limits = prepared.config.over(self._settings)
        entry.serving = Serving(entry.name, loaded.model, thread, entry.metrics, limits, self._tracing)
        entry.pinned = prepared.config.pinned
        entry.become(ModelState.READY, " ".join((*loaded.notes, *loaded.asides)))
        for level, notes in ((logging.WARNING, loaded.notes), (logging.INFO, loaded.asides)):
            for note in notes:
                _log.log(level, "model %s: %s", entry.name, note, extra={"model": entry.name})
        _log.info("model %s is ready", entry.name, extra={"model": entry.name})

    async def _evict(self, entry: ModelEntry) -> None:
        # Nobody holds its lock: it was chosen in this turn of the event loop, and taking a free lock does not wait.
        self._metrics.evictions.inc()
        await self.unload(entry, EVICTED)


async def _tidy(name: str, model: Callable[[], object]) -> None:
    """Give back the memory of a model that is unloaded.

    Its thread may hold it for a moment longer, and a collection before that would find nothing.
    """
    for _ in range(_TRIES):
        await asyncio.sleep(_MOMENT)
        has_gone = model() is None
        await asyncio.to_thread(memory.give_back)
        if has_gone:
            return
    if model() is not None:
        _log.debug("model %s is unloaded, and something still refers to it", name, extra={"model": name})


def _estimate(entry: ModelEntry, prepared: Prepared) -> int:
    """Bytes that a model will take: what is set for it, what its last load took, or the size of its files."""
    if prepared.config.memory is not None:
        return prepared.config.memory
    if entry.seen is not None and entry.seen.files == prepared.files:
        return entry.seen.size
    return prepared.files.size


def _clear(error: BaseException | None) -> None:
    """Let an exception that is kept for those who wait hold nothing of the model that raised it."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _as_load_error(name: str, error: BaseException) -> errors.FairleadError:
    if isinstance(error, errors.FairleadError):
        return error
    what = f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}"
    return errors.ModelLoadError(f"Model {name} does not load: {what}.")
