"""A loaded model that answers: its thread, its queue, and the requests that are in flight."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.runtime import AsyncModel, Capability, Model
from fairlead.contracts.tensors import InferResponse
from fairlead.engine import failure
from fairlead.engine.metrics import Drop
from fairlead.engine.queueing import ModelQueue

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel, ModelMetadata
    from fairlead.contracts.tensors import InferRequest
    from fairlead.engine.metrics import ModelMetrics, Observer
    from fairlead.engine.pending import Outcome, Reply
    from fairlead.engine.thread import ModelThread
    from fairlead.settings import ServerSettings
    from fairlead.tracing.spans import RequestSpan
    from fairlead.tracing.tracer import Tracing

__all__ = ["Asked", "Serving", "is_model", "settle", "unload"]

_log = logging.getLogger(__name__)

_UNLOADING: Final = 1.0
"""Seconds that a model has at least to unload, however long its last requests took."""


class Serving:
    """One load of a model; a reload makes another beside it, and lets this one finish. Made on the event loop.

    Args:
        name: the model's name.
        model: the loaded model.
        thread: the thread that loaded it, and in which it answers unless it says otherwise.
        metrics: its metrics.
        settings: limits of the queue and the batches.
        tracing: traces of its requests; None for none.

    Attributes:
        used: when it was asked last, or made, by the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        model: AnyModel,
        thread: ModelThread,
        metrics: ModelMetrics,
        settings: ServerSettings,
        tracing: Tracing | None = None,
    ) -> None:
        self.name: Final = name
        self.model: Final = model
        self.metadata: Final[ModelMetadata] = model.metadata
        self.metrics: Final = metrics
        self.used = time.monotonic()
        self._thread = thread
        self._tracing = tracing
        self._timeout = settings.request_timeout or math.inf
        self._max_waiting = settings.max_queue_size
        self._joinable = self.metadata.supports(Capability.BATCHING)
        self._finished = False
        self._loop = asyncio.get_running_loop()
        self._awaited: set[asyncio.Task[None]] = set()
        self._queue = ModelQueue(
            name,
            thread,
            metrics,
            self._completed,
            max_waiting=settings.max_queue_size,
            max_rows=settings.max_batch_size,
            max_work=settings.max_queue_delay,
            delay=settings.max_batch_delay,
            timeout=settings.request_timeout,
            any_thread=self.metadata.supports(Capability.ANY_THREAD),
            tracing=tracing,
        )
        self._leave_metrics = metrics.watch(
            in_flight=lambda: self.in_flight,
            waiting=lambda: self._queue.waiting,
            device_memory=self._device_memory if self.metadata.properties.get("device", "cpu") != "cpu" else None,
        )

    @property
    def in_flight(self) -> int:
        """Requests that have been taken and not been answered."""
        return self._queue.in_flight + len(self._awaited)

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties of the metadata, and the names of the columns of a model that is declared to take a matrix."""
        found = dict(self.metadata.properties)
        features = list(self.model.features)
        if features and features != [spec.name for spec in self.metadata.inputs]:
            found.setdefault("features", json.dumps(features, ensure_ascii=False))
        return found

    def _device_memory(self) -> int:
        try:
            return int(self.model.device_memory())
        except Exception:  # noqa: BLE001  # code of anybody's must not cost the other metrics
            return 0

    def ask(
        self,
        request: InferRequest,
        reply: Reply,
        *,
        explain: bool = False,
        timeout: float = math.inf,
        span: RequestSpan | None = None,
        on_loop: bool = True,
    ) -> Asked:
        """Ask the model; the answer, or why there is none, goes to ``reply``.

        Args:
            request: the request.
            reply: takes the outcome, once: on the event loop, at the earliest when this has returned, when it is asked
                there; otherwise in any thread, and perhaps before this returns.
            explain: whether an explanation is asked for.
            timeout: seconds within which the client wants the answer, when that is less than the server's own.
            span: the trace of the request.
            on_loop: whether this is the event loop's thread.

        Returns:
            What gives the request up, when nobody waits for the outcome any more.

        Raises:
            NotSupported: an explanation is asked for, and the model does not explain.
            ModelNotReady: it was unloaded, or replaced, since it was looked up.
            Overloaded: the queue is full.
        """
        self.used = time.monotonic()
        if self._finished:  # its thread has ended, and would never answer
            raise errors.ModelNotReady(self.name)
        if explain and not self.metadata.supports(Capability.EXPLAIN):
            raise errors.NotSupported(f"Model with name {self.name} does not explain its predictions.")
        timing = self.metrics.explain if explain else self.metrics.predict
        model = self.model
        if isinstance(model, AsyncModel):
            answer = model.explain if explain else model.predict
            awaited = _Awaited(self._loop)
            if on_loop:
                self._await(awaited, answer, request, reply, timing, timeout, span)
            else:
                self._loop.call_soon_threadsafe(
                    self._await_late, awaited, answer, request, reply, timing, timeout, span
                )
            return awaited
        return self._queue.submit(
            model.explain if explain else model.predict,
            request,
            reply,
            joinable=self._joinable and not explain,
            timing=timing,
            on_loop=on_loop,
            timeout=timeout,
            span=span,
            explains=explain,
        )

    async def infer(self, request: InferRequest) -> InferResponse:
        """Ask the model, and wait for the answer.

        Raises:
            InvalidInput: the request is wrong.
            ModelNotReady: the model was unloaded, or replaced, since it was looked up.
            Overloaded: the queue is full.
            DeadlineExceeded: there was no answer in time.
            InferenceFailed: the model raised, or its answer is none.
        """
        future: asyncio.Future[InferResponse] = self._loop.create_future()
        asked = self.ask(request, functools.partial(settle, future))
        try:
            return await future
        finally:
            asked.give_up()

    async def finish(self, patience: float) -> None:
        """Wait until nothing is in flight, then unload the model and end its thread.

        Args:
            patience: seconds to wait for requests in flight; a model that does not finish is left to itself.
        """
        end = self._loop.time() + patience
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while self._awaited or not self._queue.close(if_idle=True):
                    await self._queue.idle()
                    if self._awaited:
                        await asyncio.wait(set(self._awaited))
        self._queue.close()
        self._finished = True
        if self.in_flight:
            _log.warning("model %s is unloaded with %d requests in flight", self.name, self.in_flight)
        unloaded = self._thread.run(functools.partial(unload, self.name, self.model))
        with contextlib.suppress(TimeoutError):  # of a model that hangs, the thread hangs too
            async with asyncio.timeout(max(end - self._loop.time(), _UNLOADING)):
                await unloaded
        self._thread.close()
        self._leave_metrics()

    # -- models that answer on the event loop -----------------------------------------------------------

    def _await(
        self,
        awaited: _Awaited,
        call: Callable[[InferRequest], Awaitable[InferResponse]],
        request: InferRequest,
        reply: Reply,
        timing: Observer,
        timeout: float,
        span: RequestSpan | None,
    ) -> None:
        if len(self._awaited) >= self._max_waiting:
            self.metrics.drop(Drop.REFUSED)
            raise errors.Overloaded(
                f"Model with name {self.name} is overloaded: {len(self._awaited)} requests wait already. "
                "Try again later."
            )
        work = self._answer(call, request, reply, timing, min(timeout, self._timeout), span)
        task = awaited.task = self._loop.create_task(work)
        self._awaited.add(task)
        task.add_done_callback(self._awaited.discard)

    def _await_late(self, awaited: _Awaited, *arguments: Any) -> None:
        """As `_await`, once the event loop has come to it; by then nobody is there to raise to."""
        reply: Reply = arguments[2]
        if awaited.given_up:
            return
        try:
            self._await(awaited, *arguments)
        except errors.FairleadError as error:
            reply(error)

    async def _answer(
        self,
        call: Callable[[InferRequest], Awaitable[InferResponse]],
        request: InferRequest,
        reply: Reply,
        timing: Observer,
        patience: float,
        span: RequestSpan | None,
    ) -> None:
        started = time.perf_counter()
        deadline.begin(patience)  # of this task alone
        late = f"Model with name {self.name} did not answer within {patience:.6g} seconds."
        computation = contextlib.nullcontext() if self._tracing is None else self._tracing.computation([span], rows=1)
        outcome: Outcome
        try:
            with computation:
                answered = failure.contained(call(request))
                response = await failure.within(patience if patience < math.inf else 0.0, answered, late)
            outcome = self._completed(response, request)
        except errors.FairleadError as error:
            if isinstance(error, errors.DeadlineExceeded):
                self.metrics.drop(Drop.EXPIRED)
            outcome = error
        except asyncio.CancelledError:
            self.metrics.drop(Drop.CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001  # whatever a model raises is the failure of one request
            outcome = failure.failed(error)
        finally:
            timing.observe(time.perf_counter() - started)
        reply(outcome)

    def _completed(self, response: InferResponse, request: InferRequest) -> InferResponse:
        if not isinstance(response, InferResponse):
            raise errors.InferenceFailed(
                f"Model with name {self.name} answered with {type(response).__name__}, not an InferResponse."
            )
        response.model_name = self.name
        response.id = response.id or request.id
        return response


class Asked(Protocol):
    """A request that was asked, for whoever waits for its outcome."""

    def give_up(self) -> None:
        """Nobody waits any more; harmless when there is an outcome."""


class _Awaited:
    """A request to a model that answers on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.task: asyncio.Task[None] | None = None
        self.given_up = False

    def give_up(self) -> None:
        """Cancel it, from whatever thread."""
        self.given_up = True
        if self.task is not None and not self.task.done():
            self._loop.call_soon_threadsafe(self.task.cancel)


def settle(future: asyncio.Future[InferResponse], outcome: Outcome) -> None:
    """Make an outcome that of a future, unless that was cancelled; on the event loop."""
    if future.done():
        return
    if isinstance(outcome, errors.FairleadError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def unload(name: str, model: AnyModel) -> None:
    """Unload a model in its own thread; what it raises is logged, because it is gone either way."""
    try:
        model.unload()
    except Exception:  # noqa: BLE001  # its thread must end
        _log.exception("model %s raised while it was unloaded", name)


def is_model(candidate: object) -> bool:
    """Whether a runtime's load returned a model."""
    return isinstance(candidate, Model | AsyncModel)
