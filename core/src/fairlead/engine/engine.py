"""The engine of a server: the models that it knows, their lifecycle, and the questions that a protocol shell asks."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.engine.lifecycle import Lifecycle
from fairlead.engine.metrics import Metrics
from fairlead.engine.registry import ModelEntry, ModelState, Registry

if TYPE_CHECKING:
    from fairlead.engine.lifecycle import Fetch
    from fairlead.engine.metrics import Share
    from fairlead.engine.registry import ModelSource
    from fairlead.engine.repository import Repository
    from fairlead.engine.serving import Serving
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings

__all__ = ["Engine", "Phase"]

_log = logging.getLogger("fairlead.models")


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
    """

    def __init__(
        self,
        plugins: Plugins,
        fetch: Fetch,
        settings: ServerSettings,
        repository: Repository | None = None,
        share: Share | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics(share)
        self.registry = Registry()
        self.phase = Phase.STARTING
        self._lifecycle = Lifecycle(plugins, fetch, settings)
        self._repository = repository
        self._alone = share is None

    # -- asked by protocol shells -----------------------------------------------------------------------

    def serving(self, name: str) -> Serving:
        """The model of that name, if it answers.

        Raises:
            ModelNotFound: none is known.
            ModelNotReady: it is known, and does not answer now.
        """
        return self.registry.get(name).ready()

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
            NotSupported: other processes answer beside this one, and would not load it.
        """
        self._must_be_alone("load")
        entry = self._known(name)
        try:
            await self._lifecycle.load(entry)
        except errors.FairleadError as error:
            _log_failure(name, error)
            raise errors.ModelNotReady(name, f"Error type: {type(error).__name__} error msg: {error}") from error

    async def unload(self, name: str) -> None:
        """Take a model out of service.

        Raises:
            ModelNotFound: none of that name is known.
            NotSupported: other processes answer beside this one, and would not unload it.
        """
        self._must_be_alone("unload")
        await self._lifecycle.unload(self.registry.get(name))

    def _must_be_alone(self, verb: str) -> None:
        if not self._alone:
            raise errors.NotSupported(
                f"This server has several workers, and only one of them would {verb} the model.",
                remedy="Start the server with --workers 1 to load and unload models over the network.",
            )

    def _known(self, name: str) -> ModelEntry:
        if name in self.registry or self._repository is None:
            return self.registry.get(name)
        return self._add(self._repository.source(name))

    # -- asked by whoever runs the server ---------------------------------------------------------------

    async def start(self, sources: Sequence[ModelSource]) -> None:
        """Make models known and load them, one after another; then the server is ready.

        A model that does not load leaves the others alone.

        Raises:
            ModelLoadError: there are models, and none of them is ready.
        """
        entries = [self._add(source) for source in sources]
        ready = 0
        for entry in entries:
            try:
                await self._lifecycle.load(entry)
            except errors.FairleadError as error:
                if len(entries) == 1:
                    raise
                _log_failure(entry.name, error)
            else:
                ready += 1
        if entries and not ready:
            names = ", ".join(entry.name for entry in entries)
            raise errors.ModelLoadError(f"None of the models is ready: {names}.", remedy="The log tells why.")
        if self.phase is Phase.STARTING:
            self.phase = Phase.SERVING

    def drain(self) -> None:
        """Fail readiness from now on; requests are answered as before."""
        self.phase = Phase.DRAINING

    async def stop(self) -> None:
        """Unload every model, once its requests in flight are answered."""
        self.drain()
        loaded = [entry for entry in self.registry if entry.state is not ModelState.UNAVAILABLE]
        await asyncio.gather(*(self._lifecycle.unload(entry) for entry in loaded))

    def _add(self, source: ModelSource) -> ModelEntry:
        entry = ModelEntry(source, self.metrics.of(source.name))
        self.registry.add(entry)
        return entry


def _log_failure(name: str, error: errors.FairleadError) -> None:
    _log.error("model %s does not load: %s", name, error, extra={"model": name})
