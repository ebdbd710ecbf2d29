"""Answering inference questions, whether they come through ASGI or straight from a connection.

``POST /v1/models/{name}:predict``, ``:explain``, and ``POST /v2/models/{name}/infer``, ``/explain``.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fairlead import errors
from fairlead.engine import accesslog
from fairlead.engine.serving import settle
from fairlead.protocol import v1, v2, v2_binary
from fairlead.rest import body as bodies
from fairlead.rest import deadline, question, requestid, responseheaders
from fairlead.rest import errors as failures
from fairlead.rest.question import Answer, Question
from fairlead.rest.watch import Watch

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.engine import Engine
    from fairlead.engine.intake import Hold
    from fairlead.engine.pending import Outcome
    from fairlead.engine.serving import Asked, Serving
    from fairlead.protocol.encoded import Encoded
    from fairlead.rest.responseheaders import Headers

__all__ = ["Inference", "Route"]

_log = logging.getLogger("fairlead.requests")

T = TypeVar("T")

_LONG: Final = 256 * 1024
"""Bytes of JSON from which on reading takes milliseconds, and in the end seconds."""
_MANY_ELEMENTS: Final = 32 * 1024
"""The same for writing JSON."""
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
    """Answers inference questions.

    Args:
        engine: what is asked.

    Attributes:
        hold: makes what a request holds while it is answered.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tracing = engine.tracing
        self._settings = engine.settings
        self.hold = engine.intake.hold
        self._slots = asyncio.Semaphore(_SLOTS)
        self._tasks: set[asyncio.Task[None]] = set()

    # -- through ASGI -----------------------------------------------------------------------------------

    def match(self, scope: Scope) -> tuple[str, str] | None:
        """The kind of the question and the model's name, when a scope is one of these routes; None otherwise."""
        return question.match(scope["path"]) if scope["method"] == "POST" else None

    async def answer(self, kind: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        asked = Question(kind, name, scope["raw_path"].decode("latin-1"), headers)
        self._trace(asked)
        with self.hold() as hold:
            await self._answer(asked, hold, receive, send)

    async def _answer(self, asked: Question, hold: Hold, receive: Receive, send: Send) -> None:
        limit, patience = self._settings.max_body_bytes, self._settings.body_timeout
        error: BaseException | None = None
        try:
            asked.serving = await self._serving(asked)
            body = await bodies.read(receive, asked.headers, hold, limit=limit, patience=patience)
            async with Watch(receive):
                answer, error = await self._answered(asked, body)
        except bodies.ClientDisconnected:
            if asked.span is not None:
                asked.span.end(499)
            return
        except Exception as raised:  # noqa: BLE001  # every failure is an answer; the server goes on
            answer, error = self._failed(asked, raised), raised
        await _send(send, answer)
        self._finish(asked, answer.status, error)

    # -- straight from a connection ---------------------------------------------------------------------

    def is_ready(self, name: str) -> bool:
        """Whether the model can be asked at once."""
        try:
            self._engine.serving(name)
        except errors.FairleadError:
            return False
        return True

    def ask(self, asked: Question, body: bytes, respond: Callable[[Answer], None]) -> Asked:
        """Answer a question whose body is complete, without a task where none is needed.

        Args:
            asked: the question.
            body: the body, not compressed.
            respond: takes the answer on the event loop, perhaps before this returns.

        Returns:
            What gives the question up when its client has gone; nothing is responded then.
        """
        self._trace(asked)
        try:
            try:
                serving = asked.serving = self._engine.serving(asked.name)
            except errors.ModelNotReady:  # it has left while the body came, and may come back
                return self._beside(asked, body, respond)
            if _is_long(body, asked.headers):
                return self._beside(asked, body, respond)
            request = self._decode(asked, serving, body)
            return serving.ask(
                request,
                functools.partial(self._reply, asked, request, respond),
                explain=asked.explains,
                timeout=deadline.timeout_of(asked.headers),
                span=asked.span,
            )
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            self._give(asked, self._failed(asked, error), respond, error)
            return _NOTHING

    def refuse(self, asked: Question, error: errors.FairleadError, respond: Callable[[Answer], None]) -> None:
        """Answer a question that cannot be asked."""
        self._give(asked, self._failed(asked, error), respond, error)

    def _beside(self, asked: Question, body: bytes, respond: Callable[[Answer], None]) -> Asked:
        """Answer in a task, because something has to be awaited."""

        async def work() -> None:
            answer, error = await self._answered(asked, body)
            self._give(asked, answer, respond, error)

        return self._task(work())

    def _task(self, work: Any) -> Asked:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _Task(task)

    def _reply(
        self, asked: Question, request: InferRequest, respond: Callable[[Answer], None], outcome: Outcome
    ) -> None:
        """Take the model's outcome, and respond."""
        try:
            if isinstance(outcome, errors.FairleadError):
                raise outcome
            if _elements(outcome) > _MANY_ELEMENTS:
                self._task(self._reply_beside(asked, request, respond, outcome))
                return
            answer = self._encode(asked, outcome, request)
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            self._give(asked, self._failed(asked, error), respond, error)
        else:
            self._give(asked, answer, respond, None)

    async def _reply_beside(
        self, asked: Question, request: InferRequest, respond: Callable[[Answer], None], outcome: InferResponse
    ) -> None:
        try:
            answer = await self._in_thread(functools.partial(self._encode, asked, outcome, request))
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            self._give(asked, self._failed(asked, error), respond, error)
        else:
            self._give(asked, answer, respond, None)

    def _give(
        self, asked: Question, answer: Answer, respond: Callable[[Answer], None], error: BaseException | None
    ) -> None:
        respond(answer)
        self._finish(asked, answer.status, error)

    # -- what both have in common -----------------------------------------------------------------------

    def _trace(self, asked: Question) -> None:
        if self._tracing is not None:
            asked.span = self._tracing.start(
                asked.headers,
                asked.protocol,
                route=question.ROUTES[asked.kind],
                model=asked.name,
                path=asked.path,
                started=asked.started,
            )

    async def _serving(self, asked: Question) -> Serving:
        try:
            return self._engine.serving(asked.name)
        except (errors.ModelNotFound, errors.ModelNotReady):
            timeout = min(deadline.timeout_of(asked.headers), self._settings.request_timeout or float("inf"))
            return await self._engine.acquire(asked.name, timeout)

    async def _answered(self, asked: Question, body: bytes) -> tuple[Answer, BaseException | None]:
        """Decode, ask and encode; long ones in threads, so that probes and other clients do not wait for them."""
        try:
            timeout = deadline.timeout_of(asked.headers)
            asked.serving = asked.serving or await self._serving(asked)
            request = await self._beside_the_loop(
                _is_long(body, asked.headers), functools.partial(self._decode, asked, asked.serving, body)
            )
            # While the body came, the model may have been loaded anew, or unloaded.
            asked.serving = serving = await self._serving(asked)
            future: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
            pending = serving.ask(
                request,
                functools.partial(settle, future),
                explain=asked.explains,
                timeout=timeout,
                span=asked.span,
            )
            try:
                response = await future
            finally:
                pending.give_up()
            encode = functools.partial(self._encode, asked, response, request)
            return await self._beside_the_loop(_elements(response) > _MANY_ELEMENTS, encode), None
        except Exception as error:  # noqa: BLE001  # every failure is an answer; the server goes on
            return self._failed(asked, error), error

    def _decode(self, asked: Question, serving: Serving, body: bytes) -> InferRequest:
        started = time.perf_counter()
        if asked.protocol == "v2":
            request = v2.decode(body, model_name=serving.name, headers=asked.headers)
        else:
            request = v1.decode(
                body,
                model_name=serving.name,
                metadata=serving.metadata,
                content_type=asked.headers.get("content-type"),
                headers=asked.headers,
            )
        ended = time.perf_counter()
        serving.metrics.preprocess.observe(ended - started)
        if asked.span is not None:
            asked.span.stage("decode", started, ended)
        return request

    def _encode(self, asked: Question, response: InferResponse, request: InferRequest) -> Answer:
        assert asked.serving is not None
        started = time.perf_counter()
        encoded: Encoded
        if asked.protocol == "v2":
            answer = v2.as_explanation(response) if asked.explains else response
            encoded = v2.encode(answer, request, inherit_binary=self._settings.binary_output_inherits)
        elif asked.explains:
            encoded = v1.encode_explanation(response)
        else:
            encoded = v1.encode(response, request, asked.serving.metadata)
        headers = responseheaders.of(response, encoded)
        headers.extend(self._own_headers(asked))
        ended = time.perf_counter()
        asked.serving.metrics.postprocess.observe(ended - started)
        if asked.span is not None:
            asked.span.stage("encode", started, ended)
        return Answer(200, headers, encoded.chunks)

    def _own_headers(self, asked: Question) -> Headers:
        own = [(requestid.HEADER, asked.request_id.encode("latin-1"))]
        return [*own, responseheaders.CLOSE] if self._engine.draining else own

    async def _beside_the_loop(self, is_long: bool, work: Callable[[], T]) -> T:
        return await self._in_thread(work) if is_long else work()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with self._slots:
            return await asyncio.to_thread(work)

    def _failed(self, asked: Question, error: BaseException) -> Answer:
        failed = failures.respond(error)
        if failed.status == 500:  # only this one is a fault of the server's side
            _log.error(
                "request %s to model %s failed: %s",
                asked.request_id,
                asked.name,
                error,
                # What a model raised is the cause; an error of ours without one says it all in its text.
                exc_info=error.__cause__ if isinstance(error, errors.FairleadError) else error,
                extra={"request_id": asked.request_id, "model": asked.name}
                | ({} if asked.span is None else dict(asked.span.ids)),
            )
        headers = [(b"content-type", b"application/json"), *failed.headers, *self._own_headers(asked)]
        return Answer(failed.status, headers, (failed.body,))

    def _finish(self, asked: Question, status: int, error: BaseException | None) -> None:
        if asked.serving is not None:
            asked.serving.metrics.count(asked.protocol, status)
        if asked.span is not None:
            asked.span.end(status, error)
        if self._settings.access_log:
            accesslog.log(
                protocol=asked.protocol,
                method="POST",
                path=asked.path,
                model=asked.name,
                status=status,
                seconds=time.perf_counter() - asked.started,
                request_id=asked.request_id,
                ids=None if asked.span is None else asked.span.ids,
            )


class _Task:
    """A question that is answered in a task."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def give_up(self) -> None:
        self._task.cancel()


class _Nothing:
    """A question that is answered already."""

    def give_up(self) -> None:
        return


_NOTHING: Final = _Nothing()


def _is_long(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a body takes long to read: binary tensors do not, except for those whose elements are of any length."""
    if len(body) <= _LONG:
        return False
    announced = headers.get(v2_binary.HEADER, "")
    if not (announced.isascii() and announced.isdigit()):
        return True
    length = int(announced)
    return length > _LONG or body.find(b"BYTES", 0, length) >= 0


def _elements(response: InferResponse) -> int:
    return sum([tensor.data.size for tensor in response.outputs])


async def _send(send: Send, answer: Answer) -> None:
    size = sum(map(len, answer.chunks))
    headers = [*answer.headers, (b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for index, chunk in enumerate(answer.chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": index < len(answer.chunks) - 1})
