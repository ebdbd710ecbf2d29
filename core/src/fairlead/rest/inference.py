"""The inference routes: plain ASGI, because a framework's route costs more than many a model.

``POST /v1/models/{name}:predict``, ``:explain`` and ``POST /v2/models/{name}/infer``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.protocol import v1, v2
from fairlead.rest import body as bodies
from fairlead.rest import errors as failures
from fairlead.rest import requestid

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.engine import Engine
    from fairlead.engine.serving import Serving
    from fairlead.protocol.encoded import Encoded

__all__ = ["Inference", "Route"]

_log = logging.getLogger("fairlead.requests")
_access = logging.getLogger("fairlead.access")

Headers: TypeAlias = "dict[str, str]"
Handler: TypeAlias = "Callable[[str, Scope, Receive, Send], Awaitable[None]]"


class Route:
    """One inference question, as an ASGI application that knows the model's name from the path."""

    def __init__(self, inference: Inference, kind: str) -> None:
        self._inference = inference
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that a router brought here."""
        await self._inference.answer(self._kind, scope["path_params"]["model_name"], scope, receive, send)


class Inference:
    """Answers inference requests.

    Args:
        engine: what is asked.
    """

    PREDICT: Final = "predict"
    EXPLAIN: Final = "explain"
    INFER: Final = "infer"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = engine.settings

    def match(self, scope: Scope) -> tuple[str, str] | None:
        """The question and the model's name, when a scope is one of these routes; None otherwise."""
        if scope["method"] != "POST":
            return None
        path: str = scope["path"]
        if path.startswith("/v2/models/") and path.endswith("/infer"):
            kind, name = self.INFER, path[11:-6]
        elif path.startswith("/v1/models/") and path.endswith(":predict"):
            kind, name = self.PREDICT, path[11:-8]
        elif path.startswith("/v1/models/") and path.endswith(":explain"):
            kind, name = self.EXPLAIN, path[11:-8]
        else:
            return None
        return (kind, name) if name and "/" not in name else None

    async def answer(self, kind: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        started = time.perf_counter()
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        request_id = requestid.of(headers)
        serving: Serving | None = None
        try:
            serving = self._engine.serving(name)
            body = await bodies.read(
                receive, headers, limit=self._settings.max_body_bytes, patience=self._settings.body_timeout
            )
            encoded, extra = await self._ask(kind, serving, body, headers, receive)
        except bodies.ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            status = await self._fail(error, send, request_id, name, close=not _was_read(error))
        else:
            status = 200
            await _send_encoded(send, encoded, extra, request_id)
        if serving is not None:
            serving.metrics.count("v2" if kind == self.INFER else "v1", status)
        if self._settings.access_log:
            _log_access(scope, name, status, request_id, time.perf_counter() - started)

    async def _ask(
        self, kind: str, serving: Serving, body: bytes, headers: Headers, receive: Receive
    ) -> tuple[Encoded, list[tuple[bytes, bytes]]]:
        started = time.perf_counter()
        request: InferRequest
        if kind == self.INFER:
            request = v2.decode(body, model_name=serving.name, headers=headers)
        else:
            request = v1.decode(
                body,
                model_name=serving.name,
                metadata=serving.metadata,
                content_type=headers.get("content-type"),
                headers=headers,
            )
        request.headers = headers
        serving.metrics.preprocess.observe(time.perf_counter() - started)
        ask = serving.explain if kind == self.EXPLAIN else serving.infer
        response = await _unless_gone(ask(request), receive)
        started = time.perf_counter()
        if kind == self.INFER:
            encoded = v2.encode(response, request, inherit_binary=self._settings.binary_output_inherits)
        else:
            encoded = v1.encode(response, request)
        serving.metrics.postprocess.observe(time.perf_counter() - started)
        return encoded, [
            (key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in response.headers.items()
        ]

    async def _fail(self, error: BaseException, send: Send, request_id: str, name: str, *, close: bool) -> int:
        failed = failures.respond(error)
        if failed.status == 500:  # only this one is a fault of the server's side
            _log.error(
                "request %s to model %s failed: %s",
                request_id,
                name,
                error,
                exc_info=error.__cause__ or error,
                extra={"request_id": request_id, "model": name},
            )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(failed.body)).encode()),
            (requestid.HEADER, request_id.encode("latin-1")),
            *failed.headers,
        ]
        if close:  # the rest of the body is still on its way, and nobody will read it
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": failed.status, "headers": headers})
        await send({"type": "http.response.body", "body": failed.body})
        return failed.status


async def _unless_gone(answer: Any, receive: Receive) -> InferResponse:
    """The answer, unless the client goes away while it waits: then the request is given up."""
    asked: asyncio.Task[InferResponse] = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise bodies.ClientDisconnected
        return asked.result()
    finally:
        gone.cancel()
        asked.cancel()


def _was_read(error: BaseException) -> bool:
    return not isinstance(error, errors.PayloadTooLarge | errors.ModelNotFound | errors.ModelNotReady)


async def _send_encoded(send: Send, encoded: Encoded, extra: list[tuple[bytes, bytes]], request_id: str) -> None:
    # A model's own headers go out, except those that describe the body, which is ours.
    headers = [pair for pair in extra if pair[0] not in (b"content-length", b"content-type", b"transfer-encoding")]
    if encoded.content_type is not None:
        headers.append((b"content-type", encoded.content_type.encode("latin-1")))
    headers.extend((key.encode("latin-1"), value.encode("latin-1")) for key, value in encoded.headers)
    headers.append((b"content-length", str(encoded.size).encode()))
    headers.append((requestid.HEADER, request_id.encode("latin-1")))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    last = len(encoded.chunks) - 1
    for index, chunk in enumerate(encoded.chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": index < last})
    if last < 0:
        await send({"type": "http.response.body", "body": b""})


def _log_access(scope: Scope, name: str, status: int, request_id: str, seconds: float) -> None:
    _access.info(
        "%s %s %d %.1f ms",
        scope["method"],
        scope["path"],
        status,
        seconds * 1000,
        extra={
            "request_id": request_id,
            "model": name,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 6),
        },
    )
