"""The only process of a server: it loads its models anew on SIGHUP, while those that are there go on answering."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.rest.parting import Parting

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from fairlead.engine.engine import Engine
    from fairlead.engine.registry import ModelSource

__all__ = ["Alone", "Tell"]

_log = logging.getLogger("fairlead.server")

Tell = Callable[[Callable[[], None], Callable[[], None]], None]
"""Calls the first when SIGHUP means that models are to be loaded anew, the second when it means the end."""


class Alone(Parting):
    """A server that is one process.

    Args:
        engine: what it serves.
        sources: the models to load first.
        tell: what SIGHUP means.
    """

    def __init__(self, engine: Engine, sources: Sequence[ModelSource], tell: Tell) -> None:
        super().__init__(engine, sources)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As `Server.startup`; from then on SIGHUP is handled."""
        self._wanted = asyncio.Event()
        self._reloading = self._loop.create_task(self._reload_when_wanted())
        self._loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As `Server.shutdown`; a load that is under way is given up."""
        self._loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._reloading.cancel()
        await super().shutdown(sockets)

    def _hung_up(self) -> None:
        self._tell(self._wanted.set, lambda: self.handle_exit(signal.SIGHUP, None))

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()  # and set again by a signal that comes while models are loaded
            await self._loading  # the first load
            await self._reload()

    async def _reload(self) -> None:
        """Load every model that answers anew, and once more those that failed to load."""
        entries = [each for each in self._engine.registry if each.serving is not None or each.failure is not None]
        _log.info("SIGHUP: %d %s loaded anew", len(entries), "model is" if len(entries) == 1 else "models are")
        failed = 0
        for entry in entries:
            try:
                await self._engine.load(entry.name)
            except errors.ServerNotReady:
                return
            except errors.FairleadError:  # the engine has told why
                failed += 1
                if entry.serving is not None:
                    _log.error("model %s goes on answering as it was loaded before", entry.name)
        done = len(entries) - failed
        _log.info("loaded anew: %d model%s, %d failed", done, "" if done == 1 else "s", failed)
