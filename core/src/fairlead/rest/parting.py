"""Leaving without a request lost: stop accepting, end each connection with an answer, and close those that are idle.

To close a connection is no answer. A client that has just sent a request on it cannot tell whether it was read, and
many do not ask again. So a connection on which something is asked is answered with ``connection: close`` first, and
only one on which nothing was asked for a while is closed as it is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fairlead import sockets
from fairlead.rest.server import Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Sequence

__all__ = ["Parting"]

_CLOSE: Final = (b"connection", b"close")
_QUIET: Final = 0.25
_LOOK: Final = 0.02


class Parting(Server):
    """A server that parts from its clients one by one before it stops."""

    _parting: asyncio.Task[None] | None = None
    _listening: Sequence[socket.socket] = ()

    async def _open(self, sockets: list[socket.socket] | None) -> None:
        self._listening = [*self._listening, *(sockets or ())]
        await super()._open(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As `Server.shutdown`; what has parted already finds nothing left to do."""
        if self._parting is not None:
            self._parting.cancel()
        await super().shutdown(sockets)

    def _exit(self) -> None:
        if self._failure is not None or not self.started:
            super()._exit()
        else:
            self._let_nobody_in()
            self._loop.call_later(sockets.MOMENT, self._part, _QUIET)

    def _let_nobody_in(self) -> None:
        for sock in self._listening:
            sockets.let_nobody_in(sock)

    def _part(self, quiet: float, others: Callable[[], Coroutine[None, None, None]] | None = None) -> None:
        """Accept no more, end every connection, and stop; called again, with what is given then.

        Args:
            quiet: seconds after which a connection on which nothing is asked is closed.
            others: waits until companions have parted from theirs.
        """
        if self._parting is not None:
            self._parting.cancel()
        self._parting = self._loop.create_task(self._part_from_all(quiet, others))

    async def _part_from_all(self, quiet: float, others: Callable[[], Coroutine[None, None, None]] | None) -> None:
        for server in self.servers:
            server.close()
        for sock in self._listening:
            sock.close()
        if _CLOSE not in self.config.encoded_headers:
            # What uvicorn begins every answer with; it closes a connection after an answer that says so.
            self.config.encoded_headers.append(_CLOSE)
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        end = self._loop.time() + quiet
        while self.server_state.connections and self._loop.time() < end:  # noqa: ASYNC110  # nobody tells of the last
            await asyncio.sleep(_LOOK)
        if others is not None:
            await others()
        self.should_exit = True
