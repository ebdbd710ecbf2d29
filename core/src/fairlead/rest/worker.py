"""One of several server processes that share a listening socket, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Final

from fairlead.rest.parting import Parting

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from fairlead.engine.engine import Engine
    from fairlead.engine.registry import ModelSource

__all__ = ["Worker"]

_log = logging.getLogger("fairlead.server")

_LOOK: Final = 0.1
_QUIET: Final = 2.0  # others accept meanwhile, so that there is no hurry


class Worker(Parting):
    """A server that accepts connections once its models are ready, so that no request meets a worker that is not.

    It writes one line to its supervisor when it is ready, the names of its models as JSON. It makes room for another
    worker when the supervisor writes ``drain``, and drains when the supervisor has gone.

    Args:
        engine: what it serves.
        sources: the models to load first.
        supervisor: a stream socket, at whose other end the supervisor is as long as it lives.
    """

    def __init__(self, engine: Engine, sources: Sequence[ModelSource], supervisor: socket.socket) -> None:
        super().__init__(engine, sources)
        self._supervisor = supervisor
        self._others: Callable[[], bool] = lambda: False
        self._patience = 0.0
        self._is_orphan = False

    def wait_for(self, others: Callable[[], bool], patience: float) -> None:
        """Wait for the clients of another server of this process before this one makes room for another worker.

        Args:
            others: whether it has any left.
            patience: seconds in which they leave by themselves.
        """
        self._others = others
        self._patience = patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to load, and listen to nothing but the supervisor."""
        self._listeners = sockets
        self._supervisor.setblocking(False)
        self._loop.add_reader(self._supervisor, self._heard)
        await super().startup([])

    def _let_nobody_in(self) -> None:
        """Others may go on accepting from this socket. When all end, the supervisor says so, as long as it lives."""
        if self._is_orphan:
            super()._let_nobody_in()

    async def _announce(self, names: Sequence[str]) -> None:
        await self._open(self._listeners)
        with contextlib.suppress(OSError):  # a supervisor that has gone is noticed below
            await self._loop.sock_sendall(self._supervisor, json.dumps(names).encode() + b"\n")

    async def _wait_for_others(self) -> None:
        end = self._loop.time() + self._patience
        while self._others() and self._loop.time() < end:  # noqa: ASYNC110  # nobody tells when the last has gone
            await asyncio.sleep(_LOOK)

    def _heard(self) -> None:
        try:
            said = self._supervisor.recv(64)
        except OSError:
            said = b""
        if said:
            # Readiness holds: it is that of all workers.
            self._part(min(_QUIET, self._engine.settings.drain_timeout), self._wait_for_others)
            return
        self._loop.remove_reader(self._supervisor)
        self._is_orphan = True
        if not self._engine.draining:
            _log.warning("the supervisor of this worker has gone: draining")
            self._drain(0.0)
