"""The application: plain ASGI for inference and probes, FastAPI for everything else, once something else is asked."""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.rest import body as bodies
from fairlead.rest import errors as failures
from fairlead.rest import probes, requestid, responseheaders
from fairlead.rest.inference import Inference

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from fairlead.engine.engine import Engine
    from fairlead.rest.controlapp import ControlApplication
    from fairlead.rest.responseheaders import Headers

__all__ = ["Application"]

_log = logging.getLogger("fairlead.requests")


class Application:
    """The REST application of an engine.

    Args:
        engine: what it asks.

    Attributes:
        inference: answers inference questions.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inference = Inference(engine)
        self._control: ControlApplication | None = None
        self._making: asyncio.Future[ControlApplication] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")  # the server has neither lifespan nor websockets
        asked = self.inference.match(scope)
        if asked is not None:
            await self.inference.answer(*asked, scope, receive, send)
        else:
            await self._answer_other(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self._make().openapi()

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        request_id = requestid.of(headers).encode("latin-1")
        limit = self._engine.settings.max_body_bytes
        hold = self._engine.intake.hold()
        limited = bodies.within(receive, hold, limit=limit, patience=self._engine.settings.body_timeout)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [_without_host(key, value) for key, value in message["headers"]]
                message["headers"] = [*headers, (requestid.HEADER, request_id)]
                if self._engine.draining:
                    message["headers"].append(responseheaders.CLOSE)
            await send(message)

        try:
            bodies.check_announced(headers, limit)
            probe = probes.probe_of(scope["path"], headers, self._engine) if scope["method"] == "GET" else None
            if probe is not None:
                body, content_type = await probe()
                await _send(send_with_id, 200, [(b"content-type", content_type.encode("ascii"))], body)
            else:
                control = await self._controlling()
                await control(scope, limited, send_with_id)
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            failed = failures.respond(error)
            if not isinstance(error, errors.FairleadError):
                _log.exception("%s %s failed", scope["method"], scope["raw_path"].decode("latin-1"))
            if not started:
                headers_of_error = [(b"content-type", b"application/json"), *failed.headers]
                await _send(send_with_id, failed.status, headers_of_error, failed.body)
        finally:
            hold.release()

    async def _controlling(self) -> ControlApplication:
        """The application with all routes, made when it is first needed, in a thread: it takes a while."""
        if self._control is None:
            if self._making is None or (self._making.done() and self._making.exception() is not None):
                self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
            self._control = await asyncio.shield(self._making)  # a client that goes takes it from nobody
            self._making = None
        return self._control

    def _make(self) -> ControlApplication:
        from fairlead.rest.controlapp import ControlApplication

        return ControlApplication(self._engine, self.inference)


def _without_host(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A redirect to a path of this server: the router makes an address of it with whatever Host the client sent."""
    if key != b"location":
        return key, value
    return key, urllib.parse.urlsplit(value)._replace(scheme=b"", netloc=b"").geturl()


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
