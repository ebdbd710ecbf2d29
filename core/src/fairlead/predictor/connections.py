"""HTTP/1.1 over connections that are kept: on the event loop, with httptools' parser.

A request is sent once. On a connection that has been idle for long, its server may be closing it while the request is
on its way, and nobody could tell whether it was read; such connections are not used again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

import httptools

from fairlead import errors
from fairlead.predictor import target as targets

if TYPE_CHECKING:
    import ssl

    from fairlead.predictor.target import Target

__all__ = ["Connections", "Reply"]

_IDLE: Final = 4.0
"""Seconds that a connection is kept; servers commonly close them after 5, and later."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: its status.
        headers: its headers, names in lower case.
        body: its body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """The connections to one predictor, of one event loop; as many as there are requests at a time.

    Args:
        target: the predictor.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[_Connection] = []
        self._trust: ssl.SSLContext | None = targets.trust() if target.tls else None

    async def post(self, path: str, headers: Iterable[tuple[str, str]], chunks: Sequence[bytes | memoryview]) -> Reply:
        """Ask, and wait for the whole answer; when this is cancelled, the connection is closed.

        Raises:
            PredictorUnavailable: it cannot be reached, or the connection broke.
        """
        connection = self._kept() or await self._connect()
        try:
            reply = await connection.post(self._head(path, headers, sum(map(len, chunks))), chunks)
        except BaseException:
            connection.close()
            raise
        if connection.is_open:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close the connections that are idle; on the event loop."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> _Connection | None:
        """The connection that was used last, so that those which are not needed age."""
        oldest = time.monotonic() - _IDLE
        stale = [each for each in self._idle if not each.is_open or each.idle_since < oldest]
        for each in stale:
            self._idle.remove(each)
            each.close()
        return self._idle.pop() if self._idle else None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        target = self._target
        try:
            _, protocol = await loop.create_connection(_Connection, target.host, target.port, ssl=self._trust)
        except OSError as error:  # of TLS as well
            raise errors.PredictorUnavailable(
                f"The predictor at {target.authority} cannot be reached: {error}."
            ) from error
        protocol.authority = target.authority
        return protocol

    def _head(self, path: str, headers: Iterable[tuple[str, str]], length: int) -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"host: {self._target.authority}", f"content-length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self.authority = ""
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, head: bytes, chunks: Sequence[bytes | memoryview]) -> Reply:
        """Send a request, and wait for the answer."""
        assert self._transport is not None
        self._reply = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._transport.writelines([head, *chunks])
        try:
            return await self._reply
        finally:
            self._reply = None

    def close(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- what the event loop calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes without having been asked for ends the connection."""
        if self._reply is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(errors.PredictorFailed(f"The predictor at {self.authority} answered what is no HTTP: {error}."))

    def eof_received(self) -> None:
        """The server sends no more; the transport closes itself."""

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits for an answer gets none, unless the end of the connection was that of its body."""
        self._transport = None
        if self._reply is not None and not self._reply.done() and self._is_delimited_by_its_end() and error is None:
            self.on_message_complete()
        why = f" ({error})" if error is not None else ""
        self._fail(
            errors.PredictorUnavailable(
                f"The predictor at {self.authority} closed the connection before it had answered{why}."
            )
        )

    def _is_delimited_by_its_end(self) -> bool:
        """Whether an answer has begun that says no length (RFC 9112, section 6.3)."""
        told = "content-length" in self._headers or "transfer-encoding" in self._headers
        return self._parser.get_status_code() >= 200 and not told  # informational ones are below

    def _fail(self, error: errors.PredictorFailed) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
        self.close()

    # -- what the parser calls ----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins, an informational one perhaps."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to whoever waits; informational ones come before it."""
        status = self._parser.get_status_code()
        if status < 200 or self._reply is None or self._reply.done():  # as above
            return
        self._reply.set_result(Reply(status, self._headers, b"".join(self._body)))
        if self._transport is not None and not self._parser.should_keep_alive():
            self._transport.close()
