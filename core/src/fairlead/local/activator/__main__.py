"""The activator's process: ``python -m fairlead.local.activator LISTENER LINK PARENT``.

``LISTENER`` is the descriptor of the socket that the gateway connects to and ``LINK`` that of the pair that leads to
the platform, both inherited; ``PARENT`` is the platform's process id. It ends when the link closes and when its parent
dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
from typing import Any, Final

from fairlead.local import mortality
from fairlead.local.activator.link import Link, decode_seats, encode_held
from fairlead.local.activator.server import Server

_FAREWELL: Final = 1.0
"""Seconds in which answers reach the gateway at the end."""


class _Service:
    """Does what the platform says, until it hangs up."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._server = Server(self._wake)
        self._link: Link
        self._over = asyncio.get_running_loop().create_future()

    async def run(self, link: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end, "The activator was told to end; try again.")
        _, self._link = await loop.create_unix_connection(
            lambda: Link(self._hear, lambda: self._end("The platform has ended."), self._stuck), sock=link
        )
        reason = await self._over
        self._server.close(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._server.wait_closed()

    def _hear(self, message: dict[str, Any]) -> None:
        server, holding = self._server, self._server.holding
        match message["say"]:
            case "assign":
                seats = decode_seats(message["seats"])
                server.answer(holding.assign(message["backend"], seats, server.now()))
            case "forget":
                server.answer(holding.forget(message["backend"]))
            case "report":
                server.answer(holding.report(message["active"], server.now()))
            case "measure":
                self._link.say("held", number=message["number"], held=encode_held(holding.measure()))
            case "serve":
                self._serving = asyncio.create_task(self._serve())
            case unknown:
                raise ValueError(f"the platform says {unknown!r}, which is not known here")

    async def _serve(self) -> None:
        await self._server.listen(self._listener)
        self._link.say("serving")

    def _wake(self, backend: str) -> None:
        self._link.say("wake", backend=backend)

    def _stuck(self) -> None:
        self._end("The platform does not listen.")

    def _end(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)


def main(arguments: list[str]) -> None:
    """Hold requests until the platform hangs up."""
    listener, link, parent = map(int, arguments)
    if (ask := mortality.die_with(parent)) is not None:
        ask()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the whole group; the platform decides
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # each request that is held is a connection
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.freeze()

    async def serve() -> None:
        await _Service(socket.socket(fileno=listener)).run(socket.socket(fileno=link))

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve())


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # where uvloop does not exist
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main(sys.argv[1:])
