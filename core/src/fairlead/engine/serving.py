"""A loaded model that answers: its thread, its queue, and the requests that are in flight."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import AsyncModel, Capability, Model
from fairlead.contracts.tensors import InferResponse
from fairlead.engine import failure
from fairlead.engine.queueing import ModelQueue

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from fairlead.contracts.runtime import AnyModel, ModelMetadata
    from fairlead.contracts.tensors import InferRequest
    from fairlead.engine.metrics import ModelMetrics
    from fairlead.engine.thread import ModelThread
    from fairlead.settings import ServerSettings

__all__ = ["Serving", "is_model", "unload"]

_log = logging.getLogger(__name__)


class Serving:
    """One load of a model; a reload makes another beside it, and lets this one finish.

    Args:
        name: the model's name.
        model: the loaded model.
        thread: the thread that loaded it, and in which it answers unless it is an `AsyncModel`.
        metrics: its metrics.
        settings: limits of the queue and the batches.
    """

    def __init__(
        self, name: str, model: AnyModel, thread: ModelThread, metrics: ModelMetrics, settings: ServerSettings
    ) -> None:
        self.name: Final = name
        self.model: Final = model
        self.metadata: Final[ModelMetadata] = model.metadata
        self.metrics: Final = metrics
        self._thread = thread
        self._timeout = settings.request_timeout
        self._max_waiting = settings.max_queue_size
        self._joinable = self.metadata.supports(Capability.BATCHING)
        self._in_flight = 0
        self._finished = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._queue = ModelQueue(
            name,
            thread,
            metrics,
            max_waiting=settings.max_queue_size,
            max_rows=settings.max_batch_size,
            delay=settings.max_batch_delay,
            timeout=settings.request_timeout,
        )

    @property
    def in_flight(self) -> int:
        """Requests that have been taken and not been answered."""
        return self._in_flight

    async def infer(self, request: InferRequest) -> InferResponse:
        """Ask the model.

        Raises:
            InvalidInput: the request is wrong.
            ModelNotReady: it was unloaded, or replaced, since it was looked up.
            Overloaded: the queue is full.
            DeadlineExceeded: there was no answer in time.
            InferenceFailed: the model raised, or its answer is none.
        """
        if isinstance(self.model, AsyncModel):
            return await self._ask_async(self.model.predict, request, self.metrics.predict)
        return await self._ask(self.model.predict, request, self._joinable, self.metrics.predict)

    async def explain(self, request: InferRequest) -> InferResponse:
        """Ask the model for an explanation; errors as `infer`.

        Raises:
            NotSupported: the model does not explain.
        """
        if not self.metadata.supports(Capability.EXPLAIN):
            raise errors.NotSupported(f"Model with name {self.name} does not explain its predictions.")
        if isinstance(self.model, AsyncModel):
            return await self._ask_async(self.model.explain, request, self.metrics.explain)
        return await self._ask(self.model.explain, request, joinable=False, timing=self.metrics.explain)

    async def finish(self, patience: float) -> None:
        """Wait until nothing is in flight, then unload the model and end its thread.

        Args:
            patience: seconds to wait for requests in flight; a model that does not finish is left to itself.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), patience)
        self._finished = True
        if self._in_flight:
            _log.warning("model %s is unloaded with %d requests in flight", self.name, self._in_flight)
        unloaded = self._thread.run(functools.partial(unload, self.name, self.model))
        with contextlib.suppress(TimeoutError):  # of a model that hangs, the thread hangs too
            await asyncio.wait_for(unloaded, patience)
        self._thread.close()

    async def _ask(
        self,
        call: Callable[[InferRequest], InferResponse],
        request: InferRequest,
        joinable: bool,
        timing: Histogram,
    ) -> InferResponse:
        self._check_open()
        future = self._queue.submit(call, request, joinable=joinable, timing=timing)
        self._enter()
        try:
            return self._completed(await future, request)
        finally:
            self._leave()

    async def _ask_async(
        self, call: Callable[[InferRequest], Awaitable[InferResponse]], request: InferRequest, timing: Histogram
    ) -> InferResponse:
        self._check_open()
        if self._in_flight >= self._max_waiting:
            raise errors.Overloaded(
                f"Model with name {self.name} is overloaded: {self._in_flight} requests wait already. Try again later."
            )
        self._enter()
        started = time.perf_counter()
        late = f"Model with name {self.name} did not answer within {self._timeout:g} seconds."
        try:
            response = await failure.within(self._timeout, failure.contained(call(request)), late)
            return self._completed(response, request)
        except errors.FairleadError:
            raise
        except Exception as error:
            raise failure.failed(error) from error
        finally:
            timing.observe(time.perf_counter() - started)
            self._leave()

    def _check_open(self) -> None:
        if self._finished:  # its thread has ended, and would never answer
            raise errors.ModelNotReady(self.name)

    def _completed(self, response: InferResponse, request: InferRequest) -> InferResponse:
        if not isinstance(response, InferResponse):
            raise errors.InferenceFailed(
                f"Model with name {self.name} answered with {type(response).__name__}, not an InferResponse."
            )
        response.model_name = self.name
        response.id = response.id or request.id
        return response

    def _enter(self) -> None:
        self._in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()


def unload(name: str, model: AnyModel) -> None:
    """Unload a model in its own thread; what it raises is logged, because it is gone either way."""
    try:
        model.unload()
    except Exception:  # noqa: BLE001  # its thread must end
        _log.exception("model %s raised while it was unloaded", name)


def is_model(candidate: object) -> bool:
    """Whether a runtime's load returned a model."""
    return isinstance(candidate, Model | AsyncModel)
