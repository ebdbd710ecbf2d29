"""The activator towards the gateway: HTTP/1.1, one request for each that the gateway holds.

The gateway asks before it sends a request on (Envoy's filter ``ext_authz`` with an HTTP service). Any method will do;
the path says what is wanted, and what follows it is the client's own path, which is not looked at::

    /hold/rest/<backend, percent-encoded>/...
    /hold/grpc/<backend, percent-encoded>/...

The answer comes when there is one. 200 carries the address of a replica in the header ``x-envoy-original-dst-host``;
460, 461 and 462 (see `seats.Status`) carry ``retry-after`` and a JSON object with ``error``. A connection that closes
is a client that has gone. What is no such request is answered 400, and one that does not become whole in time 408; both
close the connection. A connection that asks nothing stays open, as the gateway keeps it for the next request.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, cast
from urllib.parse import unquote_to_bytes

import httptools

from fairlead.local.activator.holding import Holding
from fairlead.local.activator.seats import Answer, Release, Status, Wait, Wire

__all__ = ["Limits", "Server"]

_TICK: Final = 0.05  # seconds; deadlines are a matter of seconds
_PIPELINED: Final = 16  # requests on one connection behind one that waits; the gateway sends none
_RETRY_AFTER: Final = {Status.QUEUE_FULL: 1, Status.DEADLINE: 5, Status.CANNOT_START: 10}
_REASONS: Final = {
    Status.QUEUE_FULL: b"Queue Full",
    Status.DEADLINE: b"Deadline Passed",
    Status.CANNOT_START: b"Cannot Start",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may take until it is whole.

    Attributes:
        head_bytes: the bytes of its request line and headers.
        seconds: the time from its first byte to its last.
    """

    head_bytes: int = 128 * 1024
    seconds: float = 10.0


class Server:
    """Answers the gateway as `Holding` decides, and calls its clock.

    Args:
        wake: told the name of each backend that is to be woken.
        limits: what a request may take.
    """

    def __init__(self, wake: Callable[[str], None], limits: Limits | None = None) -> None:
        self.holding: Holding[_Connection] = Holding()
        self.limits = limits or Limits()
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._ticking: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._left = asyncio.Event()

    async def listen(self, listener: socket.socket) -> None:
        """Begin to take connections from a socket that listens."""
        backlog = 4096  # the least of this and the system's own bound
        self._server = await self._loop.create_unix_server(lambda: _Connection(self), sock=listener, backlog=backlog)

    def close(self, reason: str) -> None:
        """Take no more connections, refuse what waits, and close all connections once they have their answers."""
        if self._server is not None:
            self._server.close()
        self.answer(self.holding.close(reason))
        if self._ticking is not None:
            self._ticking.cancel()
        for connection in list(self._connections):
            connection.close()

    async def wait_closed(self) -> None:
        """Wait until every connection is closed."""
        while self._connections:
            self._left.clear()
            await self._left.wait()

    def now(self) -> float:
        """The time that `holding` is told."""
        return self._loop.time()

    def answer(self, answers: Iterable[tuple[_Connection, Answer]]) -> None:
        """Send answers to those who have waited for them."""
        for connection, answer in answers:
            connection.answer(answer)

    def opened(self, connection: _Connection) -> None:
        """A connection was made."""
        self._connections.add(connection)

    def closed(self, connection: _Connection) -> None:
        """A connection is gone, and with it the client that it asked for."""
        self._connections.discard(connection)
        self._left.set()
        self.holding.withdraw(connection)

    def ask(self, connection: _Connection, backend: str, wire: Wire) -> Answer | None:
        """What to answer a request; None when it waits, and its connection is told later."""
        answer = self.holding.arrive(connection, backend, wire, self.now())
        if not isinstance(answer, Wait):
            return answer
        if answer.wake:
            self._wake(backend)
        if self._ticking is None:
            self._ticking = self._loop.call_later(_TICK, self._tick)
        return None

    def _tick(self) -> None:
        answers, wakes = self.holding.tick(self.now())
        self.answer(answers)
        for backend in wakes:
            self._wake(backend)
        self._ticking = self._loop.call_later(_TICK, self._tick) if self.holding.waiting else None


@dataclasses.dataclass(slots=True)
class _Request:
    """What a connection asks for, and what matters for the answer."""

    target: tuple[Wire, str] | None
    """None for one that is not understood."""
    has_body: bool
    """Whether its answer may have a body."""
    keeps_open: bool


class _Connection(asyncio.Protocol):
    """One connection of the gateway; the parser calls the methods whose names begin with ``on_``."""

    __slots__ = (
        "_begun",
        "_closing",
        "_held",
        "_in_head",
        "_parser",
        "_pipelined",
        "_server",
        "_size",
        "_timer",
        "_transport",
        "_url",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._url = b""
        self._begun = False
        self._in_head = False
        self._size = 0
        """Bytes that have come of a head that is not whole."""
        self._timer: asyncio.TimerHandle | None = None
        self._held: _Request | None = None
        self._pipelined: deque[_Request] | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio names it)
        self._closing = True
        self._stop_timer()
        self._server.closed(self)

    def pause_writing(self) -> None:
        # The gateway reads what it has asked for; who leaves hundreds of short answers unread is cut off.
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(b"400 Bad Request")
            return
        if not self._begun or self._closing:
            return
        self._size += len(data)
        if self._in_head and self._size > self._server.limits.head_bytes:
            self._fail(b"400 Bad Request")
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._server.limits.seconds, self._fail, b"408 Request Timeout")

    def on_message_begin(self) -> None:
        self._begun = self._in_head = True
        self._size = 0
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_message_complete(self) -> None:
        self._begun = False
        self._stop_timer()
        parser = self._parser
        request = _Request(_target(self._url), parser.get_method() != b"HEAD", parser.should_keep_alive())
        if self._held is None:
            self._take(request)
            return
        if self._pipelined is None:
            self._pipelined = deque()
        self._pipelined.append(request)
        if len(self._pipelined) > _PIPELINED:
            self._fail(b"400 Bad Request")

    def answer(self, answer: Answer) -> None:
        """Answer the request that waits, and then those behind it."""
        request, self._held = self._held, None
        assert request is not None
        self._send(request, answer)
        while self._pipelined and self._take(self._pipelined.popleft()):
            pass

    def close(self) -> None:
        """Close the connection once its answers are sent."""
        self._closing = True
        self._stop_timer()
        self._transport.close()

    def _take(self, request: _Request) -> bool:
        """Answer a request, or hold it; whether the next one may be taken."""
        if self._closing:
            return False
        if request.target is None:
            self._fail(b"400 Bad Request")
            return False
        wire, backend = request.target
        answer = self._server.ask(self, backend, wire)
        if answer is None:
            self._held = request
            return False
        self._send(request, answer)
        return True

    def _send(self, request: _Request, answer: Answer) -> None:
        self._transport.write(_rendered(answer, has_body=request.has_body, keeps_open=request.keeps_open))
        if not request.keeps_open:
            self.close()

    def _fail(self, status: bytes) -> None:
        if self._closing:
            return
        self._server.holding.withdraw(self)
        self._transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _target(url: bytes) -> tuple[Wire, str] | None:
    """What a path asks for; None when it is none of ours."""
    parts = url.partition(b"?")[0].split(b"/", 4)
    if len(parts) < 4 or parts[:2] != [b"", b"hold"] or not parts[3]:
        return None
    try:
        return Wire(parts[2].decode()), unquote_to_bytes(parts[3]).decode()
    except ValueError:
        return None


def _rendered(answer: Answer, *, has_body: bool, keeps_open: bool) -> bytes:
    closes = b"" if keeps_open else b"connection: close\r\n"
    if isinstance(answer, Release):
        address = answer.address.encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n%bx-envoy-original-dst-host: %b\r\n\r\n" % (closes, address)
    body = json.dumps({"error": answer.text}).encode()
    head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nretry-after: %d\r\n%b\r\n" % (
        answer.status,
        _REASONS[answer.status],
        len(body),
        _RETRY_AFTER[answer.status],
        closes,
    )
    return head + body if has_body else head
