"""The bounded queue in front of one model, and the zero-wait batching behind it.

When the model becomes free, everything that waits and differs in nothing but its rows is one call, up to the batch
size. What arrives in one turn of the event loop arrives together. Nothing waits for a timer unless a delay was asked
for. What has been given up (the client has gone, the deadline has passed) is dropped before it costs the model
anything.

Requests come from the event loop and from threads beside it, and one call runs at a time. Where it runs: a model that
has to stay in the thread that loaded it runs there. One that may be called in any thread runs where the request is, on
the event loop or in the thread that asks, when the call is known to be short (`fairlead.engine.pace`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.engine import batch
from fairlead.engine.admission import Admission
from fairlead.engine.alarm import Alarm
from fairlead.engine.answering import answer
from fairlead.engine.metrics import Drop
from fairlead.engine.pace import Pace, size_of
from fairlead.engine.pending import Pending

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest
    from fairlead.engine.answering import Complete
    from fairlead.engine.metrics import ModelMetrics, Observer
    from fairlead.engine.pending import Call, Outcome, Reply
    from fairlead.engine.thread import ModelThread
    from fairlead.tracing.spans import RequestSpan
    from fairlead.tracing.tracer import Tracing

__all__ = ["ModelQueue"]

_log = logging.getLogger(__name__)


class ModelQueue:
    """Requests on their way to one model; made on the event loop, used by any thread.

    Args:
        name: the model's name, for messages.
        thread: the thread of the model.
        metrics: where waiting and computing times go.
        complete: makes what a model returned the answer to a request; raises `FairleadError` when it is none.
        max_waiting: requests that may wait; more are refused.
        max_rows: rows that are joined to one call.
        max_work: seconds of work that may wait, once more than a few requests do; 0 for any.
        delay: seconds to wait for a batch to fill; 0 for none.
        timeout: seconds within which a request is answered; 0 for any.
        any_thread: whether the model may be called in other threads than its own.
        tracing: traces of the requests; None for none.
    """

    def __init__(
        self,
        name: str,
        thread: ModelThread,
        metrics: ModelMetrics,
        complete: Complete,
        *,
        max_waiting: int,
        max_rows: int,
        delay: float,
        timeout: float,
        max_work: float = 0.0,
        any_thread: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self._name = name
        self._thread = thread
        self._metrics = metrics
        self._complete = complete
        self._admission = Admission(name, max_waiting, max_work)
        self._max_rows = max_rows
        self._delay = delay
        self._timeout = timeout or math.inf
        self._pace: Final = Pace() if any_thread else None
        self._tracing = tracing
        self._loop = asyncio.get_running_loop()
        # Under the lock is what follows, except the handle and the alarm, which are the event loop's own.
        self._lock = threading.Lock()
        self._items: deque[Pending] = deque()
        self._taken: Sequence[Pending] = ()
        self._open = 0
        self._busy = False
        self._flushing = False
        self._closed = False
        self._when_idle: list[asyncio.Future[None]] = []
        self._flush_handle: asyncio.Handle | None = None
        self._alarm = Alarm(self._loop, self._expire)

    @property
    def waiting(self) -> int:
        """Requests that wait and have not been given up."""
        return len(self._items)

    @property
    def in_flight(self) -> int:
        """Requests that were taken and have no outcome yet."""
        return self._open

    async def idle(self) -> None:
        """Wait until nothing is in flight and the model is not called."""
        with self._lock:
            if not self._open and not self._busy:
                return
            self._when_idle.append(self._loop.create_future())
            waiter = self._when_idle[-1]
        await waiter

    def submit(
        self,
        call: Call,
        request: InferRequest,
        reply: Reply,
        *,
        joinable: bool,
        timing: Observer,
        on_loop: bool,
        timeout: float = math.inf,
        span: RequestSpan | None = None,
        explains: bool = False,
    ) -> Pending:
        """Put a request in the queue.

        Args:
            call: what answers it: the model's predict or explain.
            request: the request.
            reply: takes the outcome. On the event loop when the request is asked there; otherwise in any thread, and
                perhaps before this returns.
            joinable: whether its rows may be joined with those of others.
            timing: where the seconds of the call are recorded.
            on_loop: whether this is the event loop's thread.
            timeout: seconds within which the client wants the answer, when that is less than the server's own.
            span: the trace of the request; None for none.
            explains: whether an explanation is asked for: it takes long, and is made in the model's own thread.

        Raises:
            Overloaded: too many wait already.
            ModelNotReady: the queue is closed.
        """
        rows = batch.rows_of(request)
        joins = joinable and self._max_rows > 1 and rows is not None
        pending = Pending(
            self,
            call,
            request,
            reply,
            on_loop=on_loop,
            key=(call, batch.key_of(request)) if joins else None,
            rows=rows or 1,
            timing=timing,
            timeout=min(timeout, self._timeout),
            span=span,
            explains=explains,
        )
        leads = starts = False
        taken: Sequence[Pending] = ()
        with self._lock:
            if self._closed:
                raise errors.ModelNotReady(self._name)
            try:
                self._admission.check(len(self._items), pending.timeout)
            except errors.Overloaded:
                self._metrics.drop(Drop.REFUSED)
                raise
            self._items.append(pending)
            self._open += 1
            if not self._busy and not self._delay and not on_loop:
                leads = self._busy = True
                taken = self._take()
            elif not self._busy and (self._delay or not self._flushing):
                starts = self._flushing = True
        if pending.deadline < self._alarm.at:
            self._on_loop(on_loop, self._alarm.set, pending.deadline)
        if leads and self._is_short(taken):
            self._lead(taken)
        elif leads:
            self._thread.submit(lambda: self._work(taken))
        elif starts:
            self._on_loop(on_loop, self._schedule)
        return pending

    def give_up(self, pending: Pending) -> None:
        """Nobody waits for this request any more."""
        with self._lock:
            gone = self._end(pending)
        if gone:
            self._metrics.drop(Drop.CANCELLED)

    def close(self, *, if_idle: bool = False) -> bool:
        """Take no more requests; on the event loop.

        What is in flight is answered still, or expires. When nothing is, the clocks stop, which would keep the model in
        memory for as long as they run.

        Args:
            if_idle: only if nothing is in flight and the model is not called.

        Returns:
            Whether it is closed.
        """
        with self._lock:
            is_idle = not self._open and not self._busy
            if if_idle and not is_idle:
                return False
            self._closed = True
        if is_idle:
            self._alarm.cancel()
            if self._flush_handle is not None:
                self._flush_handle.cancel()
                self._flush_handle = None
        return True

    # -- under the lock ---------------------------------------------------------------------------------

    def _end(self, pending: Pending) -> bool:
        """Whether it is this that ends the request, and nothing before."""
        if pending.ended:
            return False
        pending.ended = True
        if not pending.taken:
            self._items.remove(pending)
        self._open -= 1
        self._tell_if_idle()
        return True

    def _tell_if_idle(self) -> None:
        if self._when_idle and not self._open and not self._busy:
            waiters, self._when_idle = self._when_idle, []
            self._loop.call_soon_threadsafe(_release, waiters)

    def _take(self) -> Sequence[Pending]:
        """The first that waits, and those behind it that may be joined with it; the rest keep their places."""
        items = self._items
        first = items.popleft()
        first.taken = True
        taken = [first]
        key, rows = first.key, first.rows
        if key is not None and items and rows < self._max_rows:
            kept: list[Pending] = []
            while items:
                item = items.popleft()
                if item.key == key and rows + item.rows <= self._max_rows:
                    item.taken = True
                    taken.append(item)
                    rows += item.rows
                    if rows >= self._max_rows:
                        break
                else:
                    kept.append(item)
            items.extendleft(reversed(kept))
        started = time.monotonic()
        for item in taken:
            item.started = started
            item.batch = rows
        self._taken = taken
        return taken

    # -- on the event loop ------------------------------------------------------------------------------

    def _on_loop(self, here: bool, call: Callable[..., None], *arguments: object) -> None:
        if here:
            call(*arguments)
        else:
            self._loop.call_soon_threadsafe(call, *arguments)

    def _schedule(self) -> None:
        """Let the model start at the end of this turn: what arrived in the same turn goes into the same batch."""
        if not self._delay:
            self._loop.call_soon(self._flush)
        elif len(self._items) >= self._max_rows:
            if self._flush_handle is not None:
                self._flush_handle.cancel()
            self._flush_handle = self._loop.call_soon(self._flush)
        elif self._flush_handle is None:
            self._flush_handle = self._loop.call_later(self._delay, self._flush)

    def _flush(self) -> None:
        self._flush_handle = None
        with self._lock:
            self._flushing = False
            if self._busy or not self._items:
                return
            self._busy = True
            taken = self._take()
        if self._is_short(taken):
            self._compute(taken, on_loop=True)
            if self._free():
                self._schedule()
        else:
            self._thread.submit(lambda: self._work(taken))

    def _expire(self) -> None:
        """End what is past its deadline, whether it waits or the model holds it."""
        now = time.monotonic()
        with self._lock:
            known = [item for item in (*self._taken, *self._items) if not item.ended]
            late = [item for item in known if item.deadline <= now and self._end(item)]
            earliest = min((item.deadline for item in known if not item.ended), default=math.inf)
        if earliest < math.inf:
            self._alarm.set(earliest)
        for item in late:
            self._metrics.drop(Drop.EXPIRED)
            item.reply(
                errors.DeadlineExceeded(
                    f"Model with name {self._name} did not answer within {item.timeout:.6g} seconds."
                )
            )

    # -- where the model is called ----------------------------------------------------------------------

    def _lead(self, taken: Sequence[Pending]) -> None:
        """Call the model in the thread that asked, and leave what came meanwhile to the model's own."""
        self._compute(taken, on_loop=False)
        if self._free():
            self._thread.submit(self._resume)

    def _resume(self) -> None:
        with self._lock:
            self._flushing = False
            if self._busy or not self._items:
                return
            self._busy = True
            taken = self._take()
        self._work(taken)

    def _work(self, taken: Sequence[Pending]) -> None:
        """Call the model in its own thread, as long as somebody waits and the calls are not short."""
        while True:
            self._compute(taken, on_loop=False)
            if self._is_short(taken):
                if self._free():
                    self._loop.call_soon_threadsafe(self._schedule)
                return
            with self._lock:
                if not self._items:
                    self._busy = False
                    self._taken = ()
                    self._tell_if_idle()
                    return
                taken = self._take()

    def _free(self) -> bool:
        """The model is free; whether somebody waits for it, and whoever is told so has to see to it."""
        with self._lock:
            self._busy = False
            self._taken = ()
            self._tell_if_idle()
            starts = bool(self._items) and not self._flushing
            self._flushing = self._flushing or starts
        return starts

    def _is_short(self, taken: Sequence[Pending]) -> bool:
        """Whether the model may be called where the request is."""
        return self._pace is not None and not taken[0].explains and self._pace.is_short(_size(taken))

    def _compute(self, taken: Sequence[Pending], *, on_loop: bool) -> None:
        started = time.monotonic()
        if self._tracing is None:
            outcomes = answer(taken, self._complete)
        else:
            with self._tracing.computation([item.span for item in taken], rows=taken[0].batch):
                outcomes = answer(taken, self._complete)
        seconds = time.monotonic() - started
        self._record(taken, seconds)
        self._deliver(taken, outcomes, on_loop=on_loop)

    def _record(self, taken: Sequence[Pending], seconds: float) -> None:
        """Before the answers go out, so that whoever has one finds it counted."""
        self._admission.record(seconds, len(taken))
        if self._pace is not None and not taken[0].explains:
            self._pace.record(_size(taken), seconds)
        taken[0].timing.observe(seconds)
        self._metrics.batch.observe(taken[0].batch)
        self._metrics.calls.observe(len(taken))
        for item in taken:
            self._metrics.queue.observe(item.started - item.enqueued)
            if item.span is not None:
                item.span.stage("queue", item.enqueued, item.started)

    def _deliver(self, taken: Sequence[Pending], outcomes: Sequence[Outcome], *, on_loop: bool) -> None:
        with self._lock:
            ended = [(item, outcome) for item, outcome in zip(taken, outcomes, strict=True) if self._end(item)]
        if on_loop:
            _reply(ended)
            return
        _reply([each for each in ended if not each[0].on_loop])
        elsewhere = [each for each in ended if each[0].on_loop]
        if elsewhere:
            try:
                self._loop.call_soon_threadsafe(_reply, elsewhere)
            except RuntimeError:
                return  # the loop was closed while the model computed: nobody waits any more


def _reply(ended: Sequence[tuple[Pending, Outcome]]) -> None:
    for item, outcome in ended:
        try:
            item.reply(outcome)
        except Exception:  # noqa: BLE001  # one client's answer must not keep the others from theirs
            _log.exception("an answer was not taken")


def _release(waiters: Sequence[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _size(taken: Sequence[Pending]) -> int:
    return size_of([item.request for item in taken])
