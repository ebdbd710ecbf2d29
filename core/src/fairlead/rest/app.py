"""The application: FastAPI around the routes that are not inference, and plain ASGI for those that are."""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any

import fastapi
import starlette.exceptions
from fastapi.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from fairlead import errors
from fairlead.rest import body as bodies
from fairlead.rest import control, openapi, requestid, responseheaders
from fairlead.rest import errors as failures
from fairlead.rest.inference import Inference, Route
from fairlead.rest.question import ROUTES

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from fairlead.engine.engine import Engine

__all__ = ["Application"]

_log = logging.getLogger("fairlead.requests")

_QUIET: dict[str, Any] = {}
if "telemetry" in inspect.signature(fastapi.FastAPI.__init__).parameters:
    # Newer ones trace every route, probes too, as soon as a model's code sets up OpenTelemetry.
    _QUIET["telemetry"] = {"tracing": False, "metrics": False, "logs": False}


class Application(fastapi.FastAPI):
    """The REST application of an engine.

    Args:
        engine: what it asks.
    """

    def __init__(self, engine: Engine) -> None:
        docs = "/docs" if engine.settings.enable_docs_url else None
        super().__init__(
            title="Fairlead",
            version=importlib.metadata.version("fairlead"),
            summary="Model inference over the V1 protocol and the Open Inference Protocol (V2)",
            docs_url=docs,
            redoc_url=None,
            **_QUIET,
        )
        self._engine = engine
        self.inference = Inference(engine)
        self.include_router(control.router(engine))
        for kind, path in ROUTES.items():
            # The shortcut below answers these; the routes are here for what routers do: redirects and 405.
            self.router.routes.append(StarletteRoute(path, Route(self.inference, kind), methods=["POST"]))
        self.add_exception_handler(errors.FairleadError, _fairlead_error)
        self.add_exception_handler(fastapi.exceptions.RequestValidationError, _invalid_request)
        self.add_exception_handler(starlette.exceptions.HTTPException, _http_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        asked = self.inference.match(scope)
        if asked is not None:
            await self.inference.answer(*asked, scope, receive, send)
            return
        await self._answer_other(scope, receive, send)

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        request_id = requestid.of(headers).encode("latin-1")
        started = False
        limited = bodies.within(
            receive, limit=self._engine.settings.max_body_bytes, patience=self._engine.settings.body_timeout
        )

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
            bodies.check_announced(headers, self._engine.settings.max_body_bytes)
            await super().__call__(scope, limited, send_with_id)
        except errors.FairleadError as error:
            if not started:
                await _error_response(error)(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            _log.exception("%s %s failed", scope["method"], scope["raw_path"].decode("latin-1"))
            if not started:
                await _error_response(error)(scope, receive, send_with_id)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the inference routes declared by hand."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


def _without_host(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A redirect to a path of this server: the router makes an address of it with whatever Host the client sent."""
    if key != b"location":
        return key, value
    return key, urllib.parse.urlsplit(value)._replace(scheme=b"", netloc=b"").geturl()


def _error_response(error: BaseException) -> Response:
    failed = failures.respond(error)
    headers = {key.decode(): value.decode() for key, value in failed.headers}
    return Response(failed.body, failed.status, headers, media_type="application/json")


async def _fairlead_error(_request: fastapi.Request, error: Exception) -> Response:
    return _error_response(error)


async def _invalid_request(_request: fastapi.Request, error: Exception) -> Response:
    assert isinstance(error, fastapi.exceptions.RequestValidationError)
    detail = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
    text = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in detail)
    return JSONResponse({"detail": detail, "error": text}, 422)


async def _http_error(_request: fastapi.Request, error: Exception) -> Response:
    assert isinstance(error, starlette.exceptions.HTTPException)
    content = {"detail": error.detail}
    if error.status_code == 400:  # a wrong body has our error shape everywhere; unknown paths keep FastAPI's alone
        content["error"] = error.detail
    return JSONResponse(content, error.status_code, error.headers)
