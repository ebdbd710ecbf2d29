"""The inference routes: plain ASGI, because a framework's route costs more than many a model.

``POST /v1/models/{name}:predict``, ``:explain`` and ``POST /v2/models/{name}/infer``.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from fairlead import errors
from fairlead.protocol import v1, v2
from fairlead.rest import body as bodies
from fairlead.rest import errors as failures
from fairlead.rest import requestid, responseheaders

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.engine import Engine
    from fairlead.engine.serving import Serving
    from fairlead.protocol.encoded import Encoded
    from fairlead.rest.responseheaders import Headers

__all__ = ["Inference", "Route"]

_log = logging.getLogger("fairlead.requests")
_access = logging.getLogger("fairlead.access")

T = TypeVar("T")

_LONG_BODY: Final = 256 * 1024
_MANY_ELEMENTS: Final = 32 * 1024
"""From here on, reading a request or writing an answer takes milliseconds, and as JSON seconds in the end."""
_SLOTS: Final = 2
"""Long ones at a time: a longer queue of them would need more memory, and the interpreter's lock makes none faster."""


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
        self._slots = asyncio.Semaphore(_SLOTS)

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
            status = await self._fail(error, send, request_id, name)
        else:
            status = 200
            await _send(send, status, [*extra, *self._own_headers(request_id)], encoded.chunks)
        if serving is not None:
            serving.metrics.count("v2" if kind == self.INFER else "v1", status)
        if self._settings.access_log:
            _log_access(scope, name, status, request_id, time.perf_counter() - started)

    async def _ask(
        self, kind: str, serving: Serving, body: bytes, headers: dict[str, str], receive: Receive
    ) -> tuple[Encoded, list[tuple[bytes, bytes]]]:
        started = time.perf_counter()
        request: InferRequest = await self._beside_the_loop(
            len(body) > _LONG_BODY, functools.partial(_decode, kind, serving, body, headers)
        )
        serving.metrics.preprocess.observe(time.perf_counter() - started)
        # While the body came, the model may have been loaded anew, or unloaded.
        serving = self._engine.serving(serving.name)
        ask = serving.explain if kind == self.EXPLAIN else serving.infer
        async with _Watch(receive):
            response = await ask(request)
        started = time.perf_counter()
        encoded = await self._beside_the_loop(
            sum(tensor.data.size for tensor in response.outputs) > _MANY_ELEMENTS,
            functools.partial(self._encode, kind, response, request),
        )
        serving.metrics.postprocess.observe(time.perf_counter() - started)
        return encoded, responseheaders.of(response, encoded)

    def _encode(self, kind: str, response: InferResponse, request: InferRequest) -> Encoded:
        if kind == self.INFER:
            return v2.encode(response, request, inherit_binary=self._settings.binary_output_inherits)
        return v1.encode(response, request)

    async def _beside_the_loop(self, is_long: bool, work: Callable[[], T]) -> T:
        """Do it in a thread when it takes long, so that probes and other clients do not wait for it."""
        if not is_long:
            return work()
        async with self._slots:
            return await asyncio.to_thread(work)

    def _own_headers(self, request_id: str) -> Headers:
        own = [(requestid.HEADER, request_id.encode("latin-1"))]
        return [*own, responseheaders.CLOSE] if self._engine.draining else own

    async def _fail(self, error: BaseException, send: Send, request_id: str, name: str) -> int:
        failed = failures.respond(error)
        if failed.status == 500:  # only this one is a fault of the server's side
            _log.error(
                "request %s to model %s failed: %s",
                request_id,
                name,
                error,
                # What a model raised is the cause; an error of ours without one says it all in its text.
                exc_info=error.__cause__ if isinstance(error, errors.FairleadError) else error,
                extra={"request_id": request_id, "model": name},
            )
        headers = [(b"content-type", b"application/json"), *failed.headers, *self._own_headers(request_id)]
        await _send(send, failed.status, headers, (failed.body,))
        return failed.status


def _decode(kind: str, serving: Serving, body: bytes, headers: dict[str, str]) -> InferRequest:
    if kind == Inference.INFER:
        return v2.decode(body, model_name=serving.name, headers=headers)
    return v1.decode(
        body,
        model_name=serving.name,
        metadata=serving.metadata,
        content_type=headers.get("content-type"),
        headers=headers,
    )


class _Watch:
    """Gives a request up when its client goes away while it waits for the answer.

    It begins to look after a while: most answers come before that, and need not pay for a task that looks.
    """

    AFTER: Final = 0.02

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._asking = asyncio.current_task()
        self._looking: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(self.AFTER, self._look)
        self._has_gone = False

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if self._has_gone and isinstance(raised, asyncio.CancelledError):
            assert self._asking is not None
            self._asking.uncancel()
            raise bodies.ClientDisconnected

    def _look(self) -> None:
        self._looking = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        await self._receive()  # after the body, this returns when the client has gone
        self._has_gone = True
        assert self._asking is not None
        self._asking.cancel()


async def _send(send: Send, status: int, headers: Headers, chunks: Sequence[bytes | memoryview]) -> None:
    size = sum(map(len, chunks))
    headers = [*headers, (b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for index, chunk in enumerate(chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": index < len(chunks) - 1})


def _log_access(scope: Scope, name: str, status: int, request_id: str, seconds: float) -> None:
    path = scope["raw_path"].decode("latin-1")  # still percent-encoded: a log line is not the client's to write
    _access.info(
        "%s %s %d %.1f ms",
        scope["method"],
        path,
        status,
        seconds * 1000,
        extra={
            "request_id": request_id,
            "model": name,
            "method": scope["method"],
            "path": path,
            "status": status,
            "seconds": round(seconds, 6),
        },
    )
