"""One of several server processes that share a listening socket, as its supervisor sees it."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

from fairlead.rest.server import Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from fairlead.engine.engine import Engine
    from fairlead.engine.registry import ModelSource

__all__ = ["Worker"]

_log = logging.getLogger("fairlead.server")


class Worker(Server):
    """A server that accepts connections once its models are ready, so that no request meets a worker that is not.

    It writes one line to its supervisor when it is ready, the names of its models as JSON, and drains when the
    supervisor has gone.

    Args:
        engine: what it serves.
        sources: the models to load first.
        supervisor: a stream socket, at whose other end the supervisor is as long as it lives.
    """

    def __init__(self, engine: Engine, sources: Sequence[ModelSource], supervisor: socket.socket) -> None:
        super().__init__(engine, sources)
        self._supervisor = supervisor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to load, and listen to nothing but the supervisor."""
        self._listeners = sockets
        self._supervisor.setblocking(False)
        self._loop.add_reader(self._supervisor, self._heard)
        await super().startup([])

    async def _announce(self, names: Sequence[str]) -> None:
        await self._open(self._listeners)
        with contextlib.suppress(OSError):  # a supervisor that has gone is noticed below
            await self._loop.sock_sendall(self._supervisor, json.dumps(names).encode() + b"\n")

    def _heard(self) -> None:
        with contextlib.suppress(OSError):
            if self._supervisor.recv(1):
                return
        self._loop.remove_reader(self._supervisor)
        if not self._engine.draining:
            _log.warning("the supervisor of this worker has gone: draining")
            self._drain(0.0)
