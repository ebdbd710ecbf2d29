"""One HTTP connection: uvicorn's own, with bounds on how long and how large the head of a request may be."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

__all__ = ["Connection"]


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the bounds that it lacks.

    A connection that never sends a byte is closed after the keep-alive timeout. Trailers are dropped: nothing here
    reads them, and a client could send them without end.

    Attributes:
        header_timeout: seconds within which a head must be complete, from its first byte.
        max_header_bytes: bytes that the request line and the headers may have.
    """

    header_timeout: ClassVar[float] = 10.0
    max_header_bytes: ClassVar[int] = 64 * 1024

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _refusal = (400, "This is not valid HTTP.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first byte no longer than for the next one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand everything on, and count what belongs to a head that is still open."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_header_bytes:
                self._too_large()
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """A head begins: its clock starts."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._timer = self.loop.call_later(self.header_timeout, self._too_slow)

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer."""
        if self._in_head:
            self._count(len(name) + len(value))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: its clock stops."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's text says less than ours
        """Refuse the connection, with the error shape that every other refusal has."""
        if self.transport.is_closing():
            return
        status, reason = self._refusal
        body = b'{"error":"%s"}' % reason.encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.max_header_bytes:
            self._too_large()
            raise ValueError("the head is too large")  # the parser hands this to send_400_response

    def _too_large(self) -> None:
        self._refusal = (431, f"The request line and the headers have more than {self.max_header_bytes} bytes.")

    def _too_slow(self) -> None:
        self._refusal = (408, f"The headers were not complete within {self.header_timeout:g} seconds.")
        self.send_400_response("")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
