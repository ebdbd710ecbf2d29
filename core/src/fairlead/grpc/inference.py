"""``ModelInfer``: from a message to the engine and back, without a thread that waits."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Final

from grpc import StatusCode

from fairlead import errors
from fairlead.engine import accesslog
from fairlead.grpc import metadata
from fairlead.grpc.errors import Failure, failure_of
from fairlead.protocol import requestid, v2_grpc
from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future, ThreadPoolExecutor

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.engine import Engine
    from fairlead.engine.serving import Serving
    from fairlead.grpc.calls import Call
    from fairlead.tracing.spans import RequestSpan

__all__ = ["PATH", "Inference"]

_log = logging.getLogger("fairlead.requests")

PATH: Final = f"/{messages.SERVICE}/ModelInfer"
_MANY_ELEMENTS: Final = 32 * 1024
"""From here on, writing an answer takes so long that the thread which brings it should not be the one to write it."""


class Inference:
    """Answers inference requests.

    Args:
        engine: what is asked.
        pool: the threads in which long answers are written.
        loop: the engine's event loop.

    Attributes:
        asked_at: when the last request came, by the monotonic clock.
    """

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor, loop: asyncio.AbstractEventLoop) -> None:
        self.engine: Final = engine
        self.pool: Final = pool
        self.loop: Final = loop
        self.asked_at = time.monotonic()

    def infer(self, body: bytes, call: Call) -> None:
        """Answer one request, as soon as the model has."""
        self.asked_at = time.monotonic()
        _Exchange(self, call).begin(body)


class _Exchange:
    """One request on its way through the engine."""

    __slots__ = (
        *("_call", "_ending", "_engine", "_give_up", "_hold", "_inference", "_is_raw", "_is_settled"),
        *("_name", "_request", "_request_id", "_serving", "_span", "_started"),
    )

    def __init__(self, inference: Inference, call: Call) -> None:
        self._engine = inference.engine
        self._inference = inference
        self._call = call
        self._started = time.perf_counter()
        self._ending = threading.Lock()  # taken for good by whoever ends the exchange
        self._hold = inference.engine.intake.hold()
        self._name = ""
        self._serving: Serving | None = None
        self._give_up: Callable[[], object] | None = None
        self._is_settled = False
        self._span: RequestSpan | None = None

    def begin(self, body: bytes) -> None:
        """Decode the request, and ask the model."""
        headers = metadata.headers_of(self._call.metadata)
        self._request_id = requestid.of(headers)
        try:
            self._ask(body, headers)
        except BaseException as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            self._fail(error)
            return
        self._call.on_end(self._ended)

    def _ask(self, body: bytes, headers: dict[str, str]) -> None:
        started = time.perf_counter()
        self._hold.take(len(body))
        message = v2_grpc.parse(body)
        self._name = message.model_name
        if self._engine.tracing is not None:
            self._span = self._engine.tracing.start(
                headers, "grpc", route=PATH, model=self._name, path=PATH, started=self._started
            )
        serving = self._serving = self._ready(message.model_name)
        if message.model_version:
            raise errors.NotSupported("Model versioning not supported yet.")
        self._is_raw = message.is_raw
        request = self._request = v2_grpc.decode(message, headers=headers)
        remaining = self._call.remaining()
        if remaining is not None and remaining <= 0:
            raise errors.DeadlineExceeded("The deadline of the call has passed.")
        if serving is None:
            self._load(request, remaining)
            return
        ended = time.perf_counter()
        serving.metrics.preprocess.observe(ended - started)
        if self._span is not None:
            self._span.stage("decode", started, ended)
        self._put(serving, request, remaining)

    def _put(self, serving: Serving, request: InferRequest, remaining: float | None) -> None:
        """Ask a model, or what has taken its place since it was looked up."""
        limit = math.inf if remaining is None else remaining
        while True:
            try:
                asked = serving.ask(request, self._settle, timeout=limit, span=self._span, on_loop=False)
            except errors.ModelNotReady:
                left, now = serving, self._ready(self._name)
                if now is left:
                    raise
                if now is None:
                    self._load(request, remaining)
                    return
                serving = self._serving = now
            else:
                self._can_give_up(asked.give_up)
                return

    def _ready(self, name: str) -> Serving | None:
        """The model, if it answers; None where asking it may load it."""
        try:
            return self._engine.serving(name)
        except (errors.ModelNotFound, errors.ModelNotReady):
            if self._engine.settings.load_on_demand:
                return None
            raise

    def _load(self, request: InferRequest, remaining: float | None) -> None:
        future = asyncio.run_coroutine_threadsafe(self._load_and_ask(request, remaining), self._inference.loop)
        self._can_give_up(future.cancel)
        future.add_done_callback(self._answered)

    def _can_give_up(self, give_up: Callable[[], object]) -> None:
        """Keep how the request is given up, until its outcome is there; it may be already."""
        self._give_up = give_up
        if self._is_settled:
            self._give_up = None

    async def _load_and_ask(self, request: InferRequest, patience: float | None) -> InferResponse:
        serving = self._serving = await self._engine.acquire(request.model_name, patience)
        return await serving.infer(request)

    def _ended(self) -> None:
        """The call has ended. If nobody has answered it, its client has gone or its deadline has passed."""
        if self._ending.acquire(blocking=False):
            if self._give_up is not None:
                self._give_up()
            self._record(StatusCode.CANCELLED, None)

    def _answered(self, future: Future[InferResponse]) -> None:
        if future.cancelled():
            self._refuse(Failure(StatusCode.CANCELLED, "The request was given up."), None)
        else:
            self._settle(future.exception() or future.result())

    def _settle(self, outcome: InferResponse | BaseException) -> None:
        # What gives the request up leads back here: kept, tensors would wait for the collector of cycles.
        self._is_settled = True
        self._give_up = None
        if isinstance(outcome, BaseException):
            self._fail(outcome)
        elif sum(tensor.data.size for tensor in outcome.outputs) > _MANY_ELEMENTS:
            try:
                self._inference.pool.submit(self._send, outcome)
            except RuntimeError:  # the pool has been shut down
                self._send(outcome)
        else:
            self._send(outcome)

    def _send(self, response: InferResponse) -> None:
        started = time.perf_counter()
        try:
            leading = metadata.leading_of(response)
            body = v2_grpc.encode(response, self._request, raw=self._is_raw)
            del self._request  # a client that does not read its answer keeps the exchange
            most = self._engine.settings.grpc_max_send_message_length
            if len(body) > most:
                raise errors.PayloadTooLarge(
                    f"The answer has {len(body)} bytes, and --grpc-max-send-message-length is {most}."
                )
            assert self._serving is not None
            ended = time.perf_counter()
            self._serving.metrics.postprocess.observe(ended - started)
            if self._span is not None:
                self._span.stage("encode", started, ended)
        except BaseException as error:  # noqa: BLE001  # as above
            self._fail(error)
            return
        if self._ending.acquire(blocking=False):
            self._call.answer(body, leading=leading, trailing=((requestid.NAME, self._request_id),))
            self._record(StatusCode.OK, None)

    def _fail(self, error: BaseException) -> None:
        failure = failure_of(error)
        if failure.code is StatusCode.INTERNAL:  # only this one is a fault of the server's side
            _log.error(
                "request %s to model %s failed: %s",
                self._request_id,
                self._name,
                error,
                # What a model raised is the cause; an error of ours without one says it all in its text.
                exc_info=error.__cause__ if isinstance(error, errors.FairleadError) else error,
                extra={"request_id": self._request_id, "model": self._name, **self._ids()},
            )
        self._refuse(failure, error)

    def _ids(self) -> Mapping[str, str]:
        return {} if self._span is None else self._span.ids

    def _refuse(self, failure: Failure, error: BaseException | None) -> None:
        if self._ending.acquire(blocking=False):
            self._call.fail(failure, ((requestid.NAME, self._request_id),))
            self._record(failure.code, error)

    def _record(self, code: StatusCode, error: BaseException | None) -> None:
        self._hold.release()
        if self._serving is not None:
            self._serving.metrics.count("grpc", code.name)
        if self._span is not None:
            self._span.end(code.name, error)
        if self._engine.settings.access_log:
            seconds = time.perf_counter() - self._started
            accesslog.log(
                protocol="grpc",
                method="gRPC",
                path=PATH,
                model=self._name,
                status=code.name,
                seconds=seconds,
                request_id=self._request_id,
                ids=self._ids(),
            )
