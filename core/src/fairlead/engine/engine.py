"""The engine of a server: the models that it knows, their lifecycle, and the questions that a protocol shell asks."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.engine import modelconfig
from fairlead.engine.intake import Intake
from fairlead.engine.lifecycle import Lifecycle
from fairlead.engine.loads import Cause, Loads
from fairlead.engine.metrics import Metrics
from fairlead.engine.registry import ModelEntry, Registry

if TYPE_CHECKING:
    from fairlead.engine.lifecycle import Fetch
    from fairlead.engine.metrics import Share
    from fairlead.engine.registry import ModelSource
    from fairlead.engine.repository import Repository
    from fairlead.engine.serving import Serving
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings
    from fairlead.tracing.tracer import Tracing

__all__ = ["Engine", "Phase"]

_log = logging.getLogger("fairlead.models")

_ON_DEMAND = "It is loaded by the first request."


class Phase(enum.StrEnum):
    """What the server is doing as a whole."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Engine:
    """What every protocol shell talks to.

    Args:
        plugins: where runtimes come from.
        fetch: brings artefacts onto this machine.
        settings: the server's settings.
        repository: a folder whose models can be loaded by name; None for none.
        share: given when other processes answer the same requests beside this one.
        clock: the monotonic clock, by which a load that failed is tried again.
        tracing: traces of the requests; None for none.
    """

    def __init__(
        self,
        plugins: Plugins,
        fetch: Fetch,
        settings: ServerSettings,
        repository: Repository | None = None,
        share: Share | None = None,
        clock: Callable[[], float] = time.monotonic,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.tracing = tracing
        self.metrics = Metrics(share)
        if tracing is not None:
            tracing.report_drops(self.metrics.count_dropped_spans)
        self.registry = Registry()
        self.intake = Intake(settings.max_body_bytes_in_flight)
        self.phase = Phase.STARTING
        self._repository = repository
        self._on_demand = settings.load_on_demand and repository is not None
        self._lifecycle = Lifecycle(
            plugins, fetch, settings, self.registry, self.metrics, may_evict=self._on_demand, tracing=tracing
        )
        self._loads = Loads(self._lifecycle, self.metrics, settings, clock)
        self._alone = share is None

    # -- asked by protocol shells -----------------------------------------------------------------------

    def serving(self, name: str) -> Serving:
        """The model of that name, if it answers; cheap, and may be called in any thread.

        Raises:
            ModelNotFound: none is known.
            ModelNotReady: it is known, and does not answer now.
        """
        return self.registry.get(name).ready()

    async def acquire(self, name: str, patience: float | None = None) -> Serving:
        """The model of that name, loaded first where models are loaded on demand.

        What a protocol shell awaits when `serving` has raised, whichever of the two. Ask what it returns before
        anything else is awaited: a model that is not in use may have to leave for another.

        Args:
            name: the model's name.
            patience: seconds that the request can wait; by default the server's ``request_timeout``.

        Raises:
            ModelNotFound: it is neither known nor in the repository.
            ModelNotReady: it does not answer, and why.
            Overloaded: too many requests wait for it already, or there is no memory for it now.
            DeadlineExceeded: it was not loaded in time; the load goes on.
            ServerNotReady: the server stops.
        """
        if not self._on_demand:
            return self.serving(name)
        entry = await self._found(name)
        return entry.serving or await self._loads.on_demand(entry, patience)

    async def check(self, name: str) -> None:
        """Whether a request to a model would be answered: because it is loaded, or is loaded by the request.

        Loads nothing.

        Raises:
            ModelNotFound: it is neither known nor in the repository.
            ModelNotReady: it would not be answered now, and why.
            ServerNotReady: the server stops.
        """
        if not self._on_demand:
            self.serving(name)
            return
        entry = await self._found(name)
        if entry.serving is None and entry.loading is None:
            self._loads.check(entry)

    @property
    def ready(self) -> bool:
        """Whether the server as a whole should be sent requests: its first models are loaded, and it does not drain."""
        return self.phase is Phase.SERVING

    @property
    def draining(self) -> bool:
        """Whether the server has been told to stop."""
        return self.phase is Phase.DRAINING

    async def load(self, name: str) -> None:
        """Load a model of the repository, or load a known one anew.

        Raises:
            ModelNotFound: it is neither known nor in the repository.
            ModelNotReady: it does not load, and why.
            Overloaded: there is no memory for it now.
            NotSupported: other processes answer beside this one, and would not load it.
            ServerNotReady: the server stops.
        """
        self._must_be_alone("load")
        entry = await self._found(name)
        try:
            await self._loads.load(entry, Cause.REQUEST)
        except (errors.Overloaded, errors.ServerNotReady):
            raise
        except errors.FairleadError as error:
            raise errors.ModelNotReady(name, f"Error type: {type(error).__name__} error msg: {error}") from error

    async def unload(self, name: str) -> None:
        """Take a model out of service; only `load` brings it back.

        Raises:
            ModelNotFound: none of that name is known.
            NotSupported: other processes answer beside this one, and would not unload it.
        """
        self._must_be_alone("unload")
        await self._loads.unload(self.registry.get(name))

    def _must_be_alone(self, verb: str) -> None:
        if not self._alone:
            raise errors.NotSupported(
                f"This server has several workers, and only one of them would {verb} the model.",
                remedy="Start the server with --workers 1 to load and unload models over the network.",
            )

    async def _found(self, name: str) -> ModelEntry:
        """The model of that name, which becomes known when its folder is there."""
        if name not in self.registry and self._repository is not None:
            # In a thread: the folder may be on a network's file system.
            source = await asyncio.to_thread(self._repository.source, name)
            if name not in self.registry:
                self._add(source)
        return self.registry.get(name)

    # -- asked by whoever runs the server ---------------------------------------------------------------

    async def start(self, sources: Sequence[ModelSource]) -> None:
        """Make models known and load them, one after another; then the server is ready.

        Where models are loaded on demand, only those are loaded now whose ``fairlead.json`` says ``preload``. A model
        that does not load leaves the others alone.

        Raises:
            ModelLoadError: models were to be loaded, and none of them is ready.
        """
        # The server listens already: a request may have made one of them known.
        early = self._on_demand
        entries = [
            self.registry.get(source.name) if early and source.name in self.registry else self._add(source)
            for source in sources
        ]
        if self._on_demand:
            entries = await self._preloaded(entries)
        ready = 0
        for entry in entries:
            try:
                await self._loads.load(entry, Cause.START)
            except errors.FairleadError as error:
                if len(entries) == 1 and not self._on_demand:
                    raise
                _log.error("model %s does not load: %s", entry.name, str(error), extra={"model": entry.name})
            else:
                ready += 1
        if entries and not ready and not self._on_demand:
            names = ", ".join(entry.name for entry in entries)
            raise errors.ModelLoadError(f"None of the models is ready: {names}.", remedy="The log tells why.")
        if self.phase is Phase.STARTING:
            self.phase = Phase.SERVING

    async def _preloaded(self, entries: Sequence[ModelEntry]) -> list[ModelEntry]:
        """Those of the models that are loaded at start all the same; the others are told to wait for a request."""
        wanted = await asyncio.to_thread(lambda: [_preloads(entry.source) for entry in entries])
        found = []
        for entry, preload in zip(entries, wanted, strict=True):
            if isinstance(preload, errors.FairleadError):
                entry.reason = str(preload)
                _log.error("model %s will not load: %s", entry.name, str(preload), extra={"model": entry.name})
            elif preload:
                found.append(entry)
            else:
                entry.reason = _ON_DEMAND
        _log.info("%d models are known, and loaded when they are asked", len(entries) - len(found))
        return found

    def drain(self) -> None:
        """Fail readiness from now on; requests are answered as before."""
        self.phase = Phase.DRAINING

    async def stop(self, patience: float | None = None) -> None:
        """End the loads, and unload every model once its requests in flight are answered.

        Args:
            patience: seconds that they have; by default the server's ``drain_timeout``.
        """
        self.drain()
        await self._loads.stop()
        loaded = [entry for entry in self.registry if entry.serving is not None or entry.is_busy]
        await asyncio.gather(*(self._lifecycle.unload(entry, tidy=False, patience=patience) for entry in loaded))

    def _add(self, source: ModelSource) -> ModelEntry:
        entry = ModelEntry(source)
        self.registry.add(entry)
        return entry


def _preloads(source: ModelSource) -> bool | errors.FairleadError:
    try:
        return modelconfig.read(Path(source.uri)).preload
    except errors.FairleadError as error:
        return error
