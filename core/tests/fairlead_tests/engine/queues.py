"""The queue of one model for tests: a real thread, a real event loop, and a model that waits until it is let go."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import InferRequest, InferResponse, Tensor
from fairlead.engine.metrics import Metrics, ModelMetrics
from fairlead.engine.pace import size_of
from fairlead.engine.queueing import ModelQueue
from fairlead.engine.serving import settle
from fairlead.engine.thread import ModelThread

if TYPE_CHECKING:
    from fairlead.engine.pending import Outcome

__all__ = ["Doubler", "Setup", "as_it_is", "rows", "run", "values"]


def rows(*values: float, **fields: Any) -> InferRequest:
    return InferRequest(model_name="m", inputs=[Tensor.from_numpy("x", np.array(values).reshape(-1, 1))], **fields)


def as_it_is(response: InferResponse, request: InferRequest) -> InferResponse:
    return response


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Doubler:
    """Doubles its input; holds every call until it is let go, and remembers how many rows each had."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.entered = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def __call__(self, request: InferRequest) -> InferResponse:
        self.entered.set()
        assert self.go.wait(30)
        data = request.inputs[0].data
        self.calls.append(data.ravel().tolist())
        if np.any(data == 13):
            raise ValueError("13 is not taken")
        if np.any(data == 14):
            raise SystemExit(14)
        if np.any(data == 15):
            raise StopIteration
        if np.any(data == 16):
            raise Unspeakable
        return InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", data * 2)])


class Setup:
    def __init__(self, **limits: Any) -> None:
        self.thread = ModelThread("test")
        self.metrics: ModelMetrics = Metrics().of("m")
        self.model = Doubler()
        defaults: dict[str, Any] = {"max_waiting": 100, "max_rows": 64, "delay": 0.0, "timeout": 30.0}
        self.queue = ModelQueue("m", self.thread, self.metrics, as_it_is, **(defaults | limits))

    def ask(self, request: InferRequest, joinable: bool = True) -> asyncio.Future[InferResponse]:
        future: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
        pending = self.queue.submit(
            self.model,
            request,
            functools.partial(settle, future),
            joinable=joinable,
            timing=self.metrics.predict,
            on_loop=True,
        )
        future.add_done_callback(lambda done: pending.give_up() if done.cancelled() else None)
        return future

    def ask_beside(self, request: InferRequest) -> concurrent.futures.Future[InferResponse]:
        """Ask in another thread than that of the event loop."""
        future: concurrent.futures.Future[InferResponse] = concurrent.futures.Future()
        self.queue.submit(
            self.model,
            request,
            functools.partial(_settle_beside, future),
            joinable=True,
            timing=self.metrics.predict,
            on_loop=False,
        )
        return future

    def known_to_be_short(self, request: InferRequest) -> None:
        """As if calls of this size took no time, which a busy machine cannot change soon."""
        assert self.queue._pace is not None
        for _ in range(100):
            self.queue._pace.record(size_of([request]), 0.0)

    async def occupied(self) -> asyncio.Future[InferResponse]:
        """A model that is busy with the row 0 until it is let go."""
        self.model.go.clear()
        first = self.ask(rows(0))
        await asyncio.to_thread(self.model.entered.wait, 30)
        return first


def _settle_beside(future: concurrent.futures.Future[InferResponse], outcome: Outcome) -> None:
    if isinstance(outcome, errors.FairleadError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def run(test: Callable[[Setup], Awaitable[None]], **limits: Any) -> None:
    async def main() -> None:
        setup = Setup(**limits)
        try:
            await test(setup)
        finally:
            setup.model.go.set()
            setup.thread.close()

    asyncio.run(main())


def values(response: InferResponse) -> list[float]:
    return [float(value) for value in response.outputs[0].data.ravel()]
