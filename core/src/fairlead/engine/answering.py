"""Calling a model for one request or for several that are joined, whatever it raises."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.engine import batch, failure

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.pending import Outcome, Pending

__all__ = ["Complete", "answer"]

Complete: TypeAlias = "Callable[[InferResponse, InferRequest], InferResponse]"
"""Makes what a model returned the answer to a request; raises `FairleadError` when it is none."""


def answer(taken: Sequence[Pending], complete: Complete) -> Sequence[Outcome]:
    """Answer requests in one call, or each alone when the joined call fails: one bad request fails alone."""
    if len(taken) == 1:
        return [_alone(taken[0], complete)]
    try:
        joined = taken[0].call(batch.join([item.request for item in taken]))
        parts = batch.split(joined, [item.rows for item in taken])
        return [complete(part, item.request) for part, item in zip(parts, taken, strict=True)]
    except BaseException:  # noqa: BLE001  # sys.exit() included: each request alone will show whose it is
        return [_alone(item, complete) for item in taken]


def _alone(item: Pending, complete: Complete) -> Outcome:
    try:
        answered = _explained(item) if item.explains else item.call(item.request)
        return complete(answered, item.request)
    except errors.FairleadError as error:
        return error
    except BaseException as error:  # noqa: BLE001  # a model that calls sys.exit() fails its request only
        return failure.failed(error)


def _explained(item: Pending) -> InferResponse:
    """Explain for as long as somebody waits: what explains looks at that between its questions."""
    with deadline.watched(item.deadline - time.monotonic(), lambda: item.ended):
        return item.call(item.request)
