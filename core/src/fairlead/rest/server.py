"""Running the application on uvicorn: sockets, limits of connections, and the drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Final, Protocol

import uvicorn

from fairlead import errors
from fairlead.engine import garbage
from fairlead.rest.app import Application
from fairlead.rest.connection import Connection
from fairlead.rest.listener import listen, url_of
from fairlead.sockets import copy_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from fairlead.engine.engine import Engine
    from fairlead.engine.registry import ModelSource
    from fairlead.rest.inference import Inference
    from fairlead.settings import ServerSettings

__all__ = ["Companion", "Server", "listen"]

_log = logging.getLogger("fairlead.server")

_LOOK: Final = 0.1
_COPIES: Final = 15


class Companion(Protocol):
    """Another server of the same engine, which lives and ends with this one."""

    @property
    def address(self) -> str:
        """Where it listens, for the log."""

    def start(self) -> None:
        """Begin to answer; called on the running loop when this server begins to accept."""

    async def drain(self, patience: float) -> None:
        """Accept no more, and return when what is in flight has been answered, or was cancelled after so many seconds.

        A companion that was never started returns at once.
        """

    def end(self) -> None:
        """Cancel what is in flight, without waiting."""


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
        self._companions: list[Companion] = []

    def accompany(self, companion: Companion) -> None:
        """Let another server begin when this one does, and end with it; called before this one runs."""
        self._companions.append(companion)

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
        end = self._loop.time() + self._engine.settings.drain_timeout
        draining = [
            self._loop.create_task(companion.drain(self._engine.settings.drain_timeout))
            for companion in self._companions
        ]
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.end()
        await self._drained(draining)
        self._loading.cancel()
        if not self.force_exit:
            await self._engine.stop(max(0.0, end - self._loop.time()))

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
        await super().startup([each for sock in sockets or () for each in (sock, *self._copies(sock))])
        if sockets:
            for companion in self._companions:
                companion.start()

    def _copies(self, sock: socket.socket) -> Sequence[socket.socket]:
        """Copies of a listening socket, for an event loop that accepts one connection from each in a turn.

        A turn in which a batch is computed takes milliseconds, and connections that come together would wait for as
        many of them.
        """
        return [copy_of(sock) for _ in range(_COPIES)] if type(self._loop).__module__.startswith("uvloop") else []

    async def _drained(self, draining: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the companions, unless a second signal comes."""
        left: set[asyncio.Task[None]] = set(draining)
        while left:
            _, left = await asyncio.wait(left, timeout=_LOOK)
            if self.force_exit:
                for companion in self._companions:
                    companion.end()

    def _exit(self) -> None:
        self.should_exit = True

    async def _load(self) -> None:
        try:
            await self._engine.start(self._sources)
        except errors.FairleadError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001  # a server that loads for ever would tell nobody why
            _log.exception("the models cannot be loaded")
            self._failure = errors.ModelLoadError(f"The models cannot be loaded: {type(error).__name__}: {error}.")
        garbage.end_of_start()
        if self._failure is not None:
            self._exit()
            return
        if not self._engine.draining:
            await self._announce([entry.name for entry in self._engine.registry if entry.serving is not None])

    async def _announce(self, names: Sequence[str]) -> None:
        shown = ", ".join(names)
        if self._engine.settings.load_on_demand:
            known = len(self._engine.registry)
            shown = f"{len(names)} of {known} models, the others on demand"
        beside = "".join(f" (gRPC on {companion.address})" for companion in self._companions)
        for url in dict.fromkeys(url_of(sock) for server in self.servers for sock in server.sockets):
            _log.info("ready on %s: %s%s", url, shown or "no models", beside)


def _config(engine: Engine) -> uvicorn.Config:
    settings: ServerSettings = engine.settings
    application = Application(engine)
    return uvicorn.Config(
        application,
        loop=settings.event_loop,
        http=_connections_of(settings, application.inference),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        # A connection that is closed after its answer says so, or a client may ask once more just before it is.
        headers=[] if settings.timeout_keep_alive else [("connection", "close")],
        timeout_keep_alive=settings.timeout_keep_alive,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )


def _connections_of(settings: ServerSettings, answering: Inference) -> type[Connection]:
    class Limited(Connection):
        header_timeout = settings.header_timeout
        max_header_bytes = settings.max_header_bytes
        body_timeout = settings.body_timeout
        max_body_bytes = settings.max_body_bytes
        inference = answering

    return Limited
