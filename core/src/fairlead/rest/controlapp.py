"""The FastAPI application: every route that is not asked all the time, and the OpenAPI document of all of them.

Importing FastAPI and making its routes takes longer than loading many a model, and most servers are never asked for
them. So `fairlead.rest.app` imports this module when the first such request comes.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import TYPE_CHECKING, Any

import fastapi
import starlette.exceptions
from fastapi.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from fairlead import errors
from fairlead.rest import control, openapi
from fairlead.rest import errors as failures
from fairlead.rest.inference import Inference, Route
from fairlead.rest.question import ROUTES

if TYPE_CHECKING:
    from fairlead.engine.engine import Engine

__all__ = ["ControlApplication"]

_QUIET: dict[str, Any] = {}
if "telemetry" in inspect.signature(fastapi.FastAPI.__init__).parameters:
    # Newer ones trace every route, probes too, as soon as a model's code sets up OpenTelemetry.
    _QUIET["telemetry"] = {"tracing": False, "metrics": False, "logs": False}


class ControlApplication(fastapi.FastAPI):
    """All routes of an engine; those of inference are here for what routers do: redirects and 405.

    Args:
        engine: what it asks.
        inference: answers inference questions.
    """

    def __init__(self, engine: Engine, inference: Inference) -> None:
        docs = "/docs" if engine.settings.enable_docs_url else None
        super().__init__(
            title="Fairlead",
            version=importlib.metadata.version("fairlead"),
            summary="Model inference over the V1 protocol and the Open Inference Protocol (V2)",
            docs_url=docs,
            redoc_url=None,
            **_QUIET,
        )
        self.include_router(control.router(engine))
        for kind, path in ROUTES.items():
            self.router.routes.append(StarletteRoute(path, Route(inference, kind), methods=["POST"]))
        self.add_exception_handler(errors.FairleadError, _fairlead_error)
        self.add_exception_handler(fastapi.exceptions.RequestValidationError, _invalid_request)
        self.add_exception_handler(starlette.exceptions.HTTPException, _http_error)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the inference routes declared by hand."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


async def _fairlead_error(_request: fastapi.Request, error: Exception) -> Response:
    failed = failures.respond(error)
    headers = {key.decode(): value.decode() for key, value in failed.headers}
    return Response(failed.body, failed.status, headers, media_type="application/json")


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
