"""One HTTP connection: uvicorn's own, with bounds on time and size, and a short way for inference questions."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fairlead.rest import question
from fairlead.rest.exchange import Exchange
from fairlead.rest.question import Question

if TYPE_CHECKING:
    from fairlead.rest.inference import Inference

__all__ = ["Connection"]

_MOMENT: Final = 0.25
_PLAIN: Final = re.compile(r"[\w/:.-]+", re.ASCII).fullmatch
"""Paths that are what they look like: no percent-encoding, no query, no address before them."""
_RESET: Final = struct.pack("ii", 1, 0)


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the bounds that it lacks.

    A connection on which nothing is asked and nothing moves is closed after the keep-alive timeout: before its first
    byte, after bytes that begin no request, and while its client does not read an answer. A body that nobody waits for
    any more (the answer is sent) may go on for as long as a head may take. Trailers are dropped: nothing here reads
    them, and a client could send them without end.

    An inference question of a known length is answered by an `Exchange`, without ASGI. What is out of the ordinary (a
    body that is compressed, chunked or too long, a model that is not ready, a client that asks before it has its
    answer) goes to the application, which answers the same routes.

    Attributes:
        header_timeout: seconds within which a head must be complete, from its first byte; 0 for any.
        max_header_bytes: bytes that the request line and the headers may have.
        body_timeout: seconds within which the body of a question must be complete; 0 for any.
        max_body_bytes: bytes that the body of a question may have.
        inference: answers questions; None leaves all of them to the application.
    """

    header_timeout: ClassVar[float] = 10.0
    max_header_bytes: ClassVar[int] = 64 * 1024
    body_timeout: ClassVar[float] = 60.0
    max_body_bytes: ClassVar[int] = 64 * 1024 * 1024
    inference: ClassVar[Inference | None] = None

    _default_headers: ClassVar[tuple[object, bytes]] = (None, b"")

    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _exchange: Exchange | None = None
    _data = b""
    _in_head = False
    _parsed_bytes = 0
    _later_bytes = 0
    _refusal = (400, "This is not valid HTTP.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first byte no longer than for the next one."""
        super().connection_made(transport)
        if self.timeout_keep_alive:  # 0 keeps no connection after an answer, but every one has time to ask
            self._wait_for_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_timer()
        self._stop_stall()
        self._unset_keepalive_if_required()
        if self._exchange is not None:
            self._exchange.abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand everything on, and count what belongs to a head that is still open."""
        was_in_head = self._in_head
        self._data = data
        super().data_received(data)
        self._data = b""
        if self._in_head:
            if self._timer is None:  # most heads come whole, and need no clock
                self._start_timer(self.header_timeout, self._too_slow)
            if was_in_head:
                # The parser tells of a header only when it is complete, and one may be without end.
                self._later_bytes += len(data)
                if self._later_bytes > self.max_header_bytes:
                    self._too_large()
                    self.send_400_response("")
        elif self._exchange is not None and self._exchange.more_body:
            if self._timer is None:
                self._start_timer(self.body_timeout, self._body_too_slow)
        elif self.timeout_keep_alive_task is None and self._is_answered():
            self._wait_for_a_request()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._stop_timer()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._parsed_bytes = self._later_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer."""
        if self._in_head:
            self._count(len(name) + len(value))
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: its clock stops."""
        self._in_head = False
        self._stop_timer()
        if self.inference is not None and self._is_free():
            exchange = self._exchange = self._asked(self.inference)
            if exchange is not None:
                self._unset_keepalive_if_required()
                self.cycle = exchange  # type: ignore[assignment]  # has what uvicorn looks at of a cycle
                return
        # The scope that uvicorn makes when a head begins, made only where there is somebody to look at it.
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.receive(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is complete, whether or not anybody waits for it."""
        self._stop_timer()
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.complete()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is sent; when the rest of the question is still on its way, it is read and dropped for a while.

        To close at once would make the client's kernel throw away the answer with the connection.
        """
        super().on_response_complete()
        if self.cycle.more_body and self._is_answered():
            self._stop_timer()
            self._start_timer(self.header_timeout, self.transport.close)

    def shutdown(self) -> None:
        """The server stops: a connection that was only just made, or brings a head, gets a moment for the request.

        To close it at once would reset it under a client that was accepted.
        """
        if self._has_asked() and not self._in_head:
            super().shutdown()
        else:
            self.loop.call_later(_MOMENT, self._close_unless_asked)

    def end(self) -> None:
        """The server has waited long enough: a question that has no answer yet is refused."""
        if self._exchange is not None:
            self._exchange.end()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered: from now on it has to read something."""
        super().pause_writing()
        if self.timeout_keep_alive:
            self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read what was waiting for it."""
        self._stop_stall()
        super().resume_writing()

    def handle_websocket_upgrade(self) -> None:
        """Answer in this protocol a client that would rather speak another, as RFC 9110 (7.8) lets a server do.

        Java's client asks every server for HTTP/2 so. The parser takes what follows such a head, the body of the
        request, for the other protocol; so the head is read again without that wish.
        """
        asked = sys.exception()
        method = self.parser.get_method()
        if method == b"CONNECT" or not isinstance(asked, httptools.HttpParserUpgrade):
            self.send_400_response("")
            return
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n" % (method, self.url, version)
        head += b"".join(b"%s: %s\r\n" % header for header in _without_upgrade(self.headers))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + b"\r\n" + self._data[asked.args[0] :])

    def _should_upgrade(self) -> bool:
        return True  # calls handle_websocket_upgrade whatever protocol is asked for

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's text says less than ours
        """Refuse the connection, with the error shape that every other refusal has."""
        if self.transport.is_closing():
            return
        if self._has_asked() and not self.cycle.more_body and not self.cycle.response_complete:
            # A request before this one still waits for its answer, and would take this for it.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        status, reason = self._refusal
        body = b'{"error":"%s"}' % reason.encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > self.max_header_bytes:
            self._too_large()
            raise ValueError("the head is too large")  # the parser hands this to send_400_response

    def _too_large(self) -> None:
        self._refusal = (431, f"The request line and the headers have more than {self.max_header_bytes} bytes.")

    def _too_slow(self) -> None:
        self._refusal = (408, f"The headers were not complete within {self.header_timeout:g} seconds.")
        self.send_400_response("")

    def _body_too_slow(self) -> None:
        self._timer = None
        if self._exchange is not None:
            self._exchange.refuse_late(self.body_timeout)

    def _is_free(self) -> bool:
        """Whether a question can be answered at once: nothing is asked before it, and the client reads its answers."""
        cycle: object = self.cycle  # None before the first request, whatever uvicorn's annotation says
        return (cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _asked(self, inference: Inference) -> Exchange | None:
        """What answers this request without ASGI; None when that is for the application to do."""
        parser = self.parser
        if parser.get_method() != b"POST" or self.expect_100_continue or parser.should_upgrade():
            return None
        path = self.url.decode("ascii", "replace")
        asked = question.match(path)
        if asked is None or not _PLAIN(path):
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        length = headers.get("content-length", "")
        if not (
            length.isdigit()
            and int(length) <= self.max_body_bytes
            and "transfer-encoding" not in headers
            and headers.get("content-encoding", "identity") == "identity"
            and inference.is_ready(asked[1])
        ):
            return None
        return Exchange(
            inference,
            Question(*asked, path, headers),
            self.transport,
            default_headers=self._defaults(),
            keep_alive=parser.get_http_version() != "1.0" and parser.should_keep_alive(),
            done=self.on_response_complete,
        )

    def _defaults(self) -> bytes:
        """The headers that uvicorn begins every answer with; it makes them anew every second."""
        known, written = Connection._default_headers
        headers = self.server_state.default_headers
        if known is not headers:
            written = b"".join(b"%s: %s\r\n" % header for header in headers)
            Connection._default_headers = (headers, written)
        return written

    def _close_unless_asked(self) -> None:
        if self._in_head or not self._has_asked():
            self.transport.close()
        else:
            super().shutdown()

    def _is_answered(self) -> bool:
        return not (self._has_asked() and not self.cycle.response_complete) and not self.transport.is_closing()

    def _has_asked(self) -> bool:
        cycle: object = self.cycle  # None before the first request, whatever uvicorn's annotation says
        return cycle is not None

    def _wait_for_a_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _watch(self, waiting: int) -> None:
        self._stop_stall()
        self._stall = self.loop.call_later(self.timeout_keep_alive, self._check, waiting)

    def _check(self, waited: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < waited:
            self._watch(waiting)
        else:
            # Reset: the kernel, too, is to drop what it still has for this client.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _start_timer(self, seconds: float, late: Callable[[], None]) -> None:
        if seconds:
            self._timer = self.loop.call_later(seconds, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _without_upgrade(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        if name == b"connection":
            tokens = (token.strip() for token in value.split(b","))
            yield name, b", ".join(token for token in tokens if token.lower() != b"upgrade")
        elif name != b"upgrade":
            yield name, value
