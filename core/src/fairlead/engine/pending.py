"""A request on its way to a model, whoever asks and wherever it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fairlead import errors
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.metrics import Observer
    from fairlead.engine.queueing import ModelQueue
    from fairlead.tracing.spans import RequestSpan

__all__ = ["Call", "Outcome", "Pending", "Reply"]

Call: TypeAlias = "Callable[[InferRequest], InferResponse]"
Outcome: TypeAlias = "InferResponse | errors.FairleadError"
Reply: TypeAlias = "Callable[[Outcome], None]"
"""Takes the outcome of a request, once; it must not raise."""


class Pending:
    """A request that was taken and has no outcome yet. It ends once: answered, refused, expired or given up.

    Attributes:
        call: what answers it: the model's predict or explain.
        request: the request.
        reply: takes the outcome: on the event loop when it was asked there, in any thread otherwise.
        on_loop: whether it was asked on the event loop.
        key: requests of equal keys may be joined; None for one that stays alone.
        rows: rows that it brings to a joined call.
        timing: where the seconds of the call are recorded.
        span: the trace of the request; None for none.
        enqueued: when it was taken, by the monotonic clock.
        deadline: when it expires, by the same clock.
        timeout: the seconds in between; infinite for none.
        started: when the call that answers it began; 0 before.
        batch: rows of that call.
        explains: whether an explanation is asked for.
        taken: whether it has left the queue for the model.
        ended: whether it has an outcome, or needs none any more.
    """

    __slots__ = (
        "_queue",
        "batch",
        "call",
        "deadline",
        "ended",
        "enqueued",
        "explains",
        "key",
        "on_loop",
        "reply",
        "request",
        "rows",
        "span",
        "started",
        "taken",
        "timeout",
        "timing",
    )

    def __init__(
        self,
        queue: ModelQueue,
        call: Call,
        request: InferRequest,
        reply: Reply,
        *,
        on_loop: bool,
        key: Hashable | None,
        rows: int,
        timing: Observer,
        timeout: float,
        span: RequestSpan | None,
        explains: bool = False,
    ) -> None:
        self._queue = queue
        self.call = call
        self.request = request
        self.reply = reply
        self.on_loop = on_loop
        self.key = key
        self.rows = rows
        self.timing = timing
        self.span = span
        self.explains = explains
        self.enqueued = time.monotonic()
        self.timeout = timeout
        self.deadline = self.enqueued + timeout
        self.started = 0.0
        self.batch = 0
        self.taken = False
        self.ended = False

    def give_up(self) -> None:
        """Nobody waits any more: it costs the model nothing, unless its call has begun."""
        self._queue.give_up(self)
