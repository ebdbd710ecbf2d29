"""Running the application on uvicorn: sockets, limits of connections, and the drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import uvicorn

from fairlead import errors
from fairlead.rest.app import Application
from fairlead.rest.connection import Connection
from fairlead.rest.listener import listen, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from fairlead.engine.engine import Engine
    from fairlead.engine.registry import ModelSource
    from fairlead.settings import ServerSettings

__all__ = ["Server", "listen"]

_log = logging.getLogger("fairlead.server")


class Server(uvicorn.Server):
    """A uvicorn server that loads models beside listening, and drains before it stops.

    Args:
        engine: what it serves.
        sources: the models to load first.
    """

    def __init__(self, engine: Engine, sources: Sequence[ModelSource]) -> None:
        super().__init__(_config(engine))
        self._engine = engine
        self._sources = sources
        self._failure: errors.FairleadError | None = None

    def run_on(self, sock: socket.socket) -> None:
        """Serve until a signal ends it.

        Raises:
            FairleadError: none of the models is ready.
        """
        self.run(sockets=[sock])
        if self._failure is not None:
            raise self._failure

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it, on the running loop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and start to load: liveness answers at once, readiness when the models do."""
        await self._open(sockets)
        self._loading = self._loop.create_task(self._load())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what is in flight, and unload the models."""
        self._engine.drain()
        await super().shutdown(sockets)
        self._loading.cancel()
        if not self.force_exit:
            await self._engine.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Drain at the first signal, stop at once at the second; called by the signal module."""
        if self._engine.draining:
            self.should_exit = self.force_exit = True
            return
        _log.info("%s: draining", signal.Signals(sig).name)
        # A server that was not ready yet is sent no requests, and need not wait until that ends.
        delayed = sig == signal.SIGTERM and self._engine.ready
        self._drain(self._engine.settings.drain_delay if delayed else 0.0)

    def _drain(self, delay: float) -> None:
        self._engine.drain()
        # Readiness fails from here on, while the listener stays open: whoever routes requests needs time to see it.
        self._loop.call_soon_threadsafe(self._loop.call_later, delay, self._exit)

    async def _open(self, sockets: list[socket.socket] | None) -> None:
        await super().startup(sockets)

    def _exit(self) -> None:
        self.should_exit = True

    async def _load(self) -> None:
        try:
            await self._engine.start(self._sources)
        except errors.FairleadError as error:
            self._failure = error
            self._exit()
            return
        if not self._engine.draining:
            await self._announce([entry.name for entry in self._engine.registry if entry.serving is not None])

    async def _announce(self, names: Sequence[str]) -> None:
        for server in self.servers:
            for sock in server.sockets:
                _log.info("ready on %s: %s", url_of(sock), ", ".join(names) or "no models")


def _config(engine: Engine) -> uvicorn.Config:
    settings: ServerSettings = engine.settings
    return uvicorn.Config(
        Application(engine),
        loop=settings.event_loop,
        http=_connections_of(settings),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.timeout_keep_alive,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )


def _connections_of(settings: ServerSettings) -> type[Connection]:
    class Limited(Connection):
        header_timeout = settings.header_timeout
        max_header_bytes = settings.max_header_bytes

    return Limited
