"""The bounded queue in front of one model, and the zero-wait batching behind it.

When the model becomes free, everything that waits and differs in nothing but its rows is one call, up to the batch
size. Nothing waits for a timer unless a delay was asked for. What has been given up (the client has gone, the
deadline has passed) is dropped before it costs the model anything.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from fairlead import errors
from fairlead.engine import batch, failure

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.metrics import ModelMetrics
    from fairlead.engine.thread import ModelThread

__all__ = ["ModelQueue"]

Call: TypeAlias = "Callable[[InferRequest], InferResponse]"
Outcome: TypeAlias = "InferResponse | errors.FairleadError"


class _Item:
    """A request that waits; done as soon as its future is, whoever ended it."""

    __slots__ = ("call", "enqueued", "future", "key", "request", "rows", "taken", "timer", "timing")

    def __init__(
        self,
        call: Call,
        request: InferRequest,
        future: asyncio.Future[InferResponse],
        *,
        key: Hashable | None,
        rows: int,
        timing: Histogram,
    ) -> None:
        self.call: Final = call
        self.request: Final = request
        self.key: Final = key
        self.rows: Final = rows
        self.future: Final = future
        self.enqueued: Final = time.perf_counter()
        self.timing: Final = timing
        self.timer: asyncio.TimerHandle | None = None
        self.taken = False


class ModelQueue:
    """Requests on their way to one model; used on the event loop only.

    Args:
        name: the model's name, for messages.
        thread: the thread in which the model answers.
        metrics: where waiting and computing times go.
        max_waiting: requests that may wait; more are refused.
        max_rows: rows that are joined to one call.
        delay: seconds to wait for a batch to fill; 0 for none.
        timeout: seconds within which a request is answered.
    """

    def __init__(
        self,
        name: str,
        thread: ModelThread,
        metrics: ModelMetrics,
        *,
        max_waiting: int,
        max_rows: int,
        delay: float,
        timeout: float,
    ) -> None:
        self._name = name
        self._thread = thread
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._max_rows = max_rows
        self._delay = delay
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._items: deque[_Item] = deque()
        self._waiting = 0
        self._busy = False
        self._flush: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait and have not been given up."""
        return self._waiting

    def submit(
        self, call: Call, request: InferRequest, *, joinable: bool, timing: Histogram
    ) -> asyncio.Future[InferResponse]:
        """Put a request in the queue.

        Args:
            call: what answers it: the model's predict or explain.
            request: the request.
            joinable: whether its rows may be joined with those of others.
            timing: where the seconds of the call are recorded.

        Returns:
            The answer to come. Cancelling it gives the request up.

        Raises:
            Overloaded: too many wait already.
        """
        if self._waiting >= self._max_waiting:
            raise errors.Overloaded(
                f"Model with name {self._name} is overloaded: {self._waiting} requests wait already. Try again later."
            )
        rows = batch.rows_of(request)
        joins = joinable and self._max_rows > 1 and rows is not None
        key = (call, batch.key_of(request)) if joins else None
        item = _Item(call, request, self._loop.create_future(), key=key, rows=rows or 1, timing=timing)
        if self._timeout:
            item.timer = self._loop.call_later(self._timeout, self._expire, item)
        self._items.append(item)
        self._waiting += 1
        item.future.add_done_callback(lambda _: self._left(item))
        if not self._busy and self._flush is None:
            # At the end of this turn of the loop: what arrived in the same turn goes into the same batch.
            later = self._loop.call_later(self._delay, self._start) if self._delay else None
            self._flush = later or self._loop.call_soon(self._start)
        elif self._delay and self._flush is not None and self._waiting >= self._max_rows:
            self._flush.cancel()
            self._flush = self._loop.call_soon(self._start)
        return item.future

    # -- on the loop ------------------------------------------------------------------------------------

    def _expire(self, item: _Item) -> None:
        if not item.future.done():
            item.future.set_exception(
                errors.DeadlineExceeded(
                    f"Model with name {self._name} did not answer within {self._timeout:g} seconds."
                )
            )

    def _left(self, item: _Item) -> None:
        if item.timer is not None:
            item.timer.cancel()
        if not item.taken:  # given up before its turn
            self._items.remove(item)
            self._waiting -= 1

    def _start(self) -> None:
        self._flush = None
        taken = self._take()
        if not taken:
            return
        self._busy = True
        started = time.perf_counter()
        for item in taken:
            self._metrics.queue.observe(started - item.enqueued)
        self._thread.submit(lambda: self._compute(taken))

    def _take(self) -> list[_Item]:
        """The first that waits, and those behind it that may be joined with it; the rest keep their places."""
        items = self._items
        taken: list[_Item] = []
        kept: list[_Item] = []
        rows = 0
        while items:
            item = items.popleft()
            if not taken or (item.key is not None and item.key == taken[0].key and rows + item.rows <= self._max_rows):
                taken.append(item)
                rows += item.rows
                if item.key is None or rows >= self._max_rows:
                    break
            else:
                kept.append(item)
        items.extendleft(reversed(kept))
        for item in taken:
            item.taken = True
        self._waiting -= len(taken)
        return taken

    def _deliver(self, taken: Sequence[_Item], outcomes: Sequence[Outcome], seconds: float) -> None:
        self._busy = False
        taken[0].timing.observe(seconds)
        self._metrics.batch.observe(sum(item.rows for item in taken))
        for item, outcome in zip(taken, outcomes, strict=True):
            if item.future.done():
                continue
            if isinstance(outcome, errors.FairleadError):
                item.future.set_exception(outcome)
            else:
                item.future.set_result(outcome)
        if self._items and self._flush is None:
            self._start()

    # -- in the model's thread --------------------------------------------------------------------------

    def _compute(self, taken: Sequence[_Item]) -> None:
        started = time.perf_counter()
        outcomes = answer(taken[0].call, [item.request for item in taken], [item.rows for item in taken])
        seconds = time.perf_counter() - started
        try:
            self._loop.call_soon_threadsafe(self._deliver, taken, outcomes, seconds)
        except RuntimeError:
            return  # the loop was closed while the model computed: nobody waits any more


def answer(call: Call, requests: Sequence[InferRequest], rows: Sequence[int]) -> list[Outcome]:
    """Answer requests in one call, or each alone when the joined call fails: one bad request fails alone."""
    if len(requests) > 1:
        try:
            return list(batch.split(call(batch.join(requests)), rows))
        except BaseException:  # noqa: BLE001  # sys.exit() included: each request alone will show whose it is
            return [_alone(call, request) for request in requests]
    return [_alone(call, requests[0])]


def _alone(call: Call, request: InferRequest) -> Outcome:
    try:
        return call(request)
    except errors.FairleadError as error:
        return error
    except BaseException as error:  # noqa: BLE001  # a model that calls sys.exit() fails its request only
        return failure.failed(error)
