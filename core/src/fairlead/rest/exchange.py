"""An inference question on a connection, answered without ASGI: no task, no scope, no event for a request.

uvicorn keeps one cycle for each request of a connection. An `Exchange` takes that place for the requests that it can
answer, and looks to uvicorn like a cycle; everything else goes to the application as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fairlead import errors

if TYPE_CHECKING:
    import asyncio

    from fairlead.engine.serving import Asked
    from fairlead.rest.inference import Inference
    from fairlead.rest.question import Answer, Question

__all__ = ["Exchange", "Silent"]

_CLOSE: Final = b"connection: close\r\n"
_SHORT: Final = 64 * 1024
"""Bytes up to which one copy is cheaper than several calls of the kernel."""


class Silent:
    """Stands where uvicorn has an event for whoever awaits a message: nobody does."""

    def set(self) -> None:
        """Tell nobody."""


class Exchange:
    """One question and its answer on a connection.

    Args:
        inference: answers it.
        question: what is asked.
        transport: where the answer is written.
        default_headers: bytes of the headers that every answer begins with.
        keep_alive: whether the connection stays open after the answer.
        done: called when the answer is written.

    Attributes:
        disconnected: whether the client has gone.
        keep_alive: whether the connection stays open after the answer; uvicorn unsets it when it stops.
        more_body: whether the body is not complete.
        response_complete: whether the answer is written.
    """

    message_event: Final = Silent()

    __slots__ = (
        "_asked",
        "_chunks",
        "_default_headers",
        "_done",
        "_hold",
        "_inference",
        "_question",
        "_transport",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    def __init__(
        self,
        inference: Inference,
        question: Question,
        transport: asyncio.Transport,
        *,
        default_headers: bytes,
        keep_alive: bool,
        done: Callable[[], None],
    ) -> None:
        self._inference = inference
        self._question = question
        self._transport = transport
        self._default_headers = default_headers
        self._done = done
        self._chunks: list[bytes] = []
        self._hold = inference.hold()
        self._asked: Asked | None = None
        self.disconnected = False
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False

    def receive(self, body: bytes) -> None:
        """Take a part of the body."""
        if self.response_complete:
            return
        try:
            self._hold.take(len(body))
        except errors.Overloaded as error:
            self._refuse(error)
        else:
            self._chunks.append(body)

    def complete(self) -> None:
        """The body is complete: ask."""
        self.more_body = False
        if self.response_complete or self.disconnected:
            return
        chunks, self._chunks = self._chunks, []
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        asked = self._inference.ask(self._question, body, self.respond)
        if not self.response_complete:
            self._asked = asked

    def abandon(self) -> None:
        """The client has gone: nobody waits for the answer."""
        self.disconnected = True
        self._chunks = []
        self._hold.release()
        if self._asked is not None:
            self._asked.give_up()

    def end(self) -> None:
        """The server ends, and nobody will answer."""
        if not (self.response_complete or self.disconnected):
            if self._asked is not None:
                self._asked.give_up()
            self.keep_alive = False
            self._refuse(errors.ServerNotReady())

    def refuse_late(self, patience: float) -> None:
        """The body did not come in time."""
        self._refuse(errors.InvalidInput(f"The body was not complete within {patience:g} seconds."))

    def _refuse(self, error: errors.FairleadError) -> None:
        self._chunks = []
        self._inference.refuse(self._question, error, self.respond)

    def respond(self, answer: Answer) -> None:
        """Write the answer."""
        if self.disconnected or self.response_complete:
            return
        parts = [STATUS_LINE[answer.status], self._default_headers]
        says_so = _CLOSE in self._default_headers
        for name, value in answer.headers:
            parts += (name, b": ", value, b"\r\n")
            says_so = says_so or name == b"connection"  # only ever to close it
        self.keep_alive = self.keep_alive and not says_so
        if not (self.keep_alive or says_so):
            parts.append(_CLOSE)
        size = sum(map(len, answer.chunks))
        parts.append(b"content-length: %d\r\n\r\n" % size)
        if size <= _SHORT:
            self._transport.write(b"".join((*parts, *answer.chunks)))
        else:
            self._transport.write(b"".join(parts))
            for chunk in answer.chunks:
                self._transport.write(chunk)
        self._asked = None
        self._hold.release()
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._done()
