"""How long the client of the request that is being answered still waits, for models that ask others in turn."""

from __future__ import annotations

import contextlib
import contextvars
import math
import time
from collections.abc import Callable, Iterator
from typing import Final

from fairlead import errors

__all__ = ["begin", "check", "remaining", "watched"]

_END: Final[contextvars.ContextVar[float]] = contextvars.ContextVar("fairlead_deadline", default=math.inf)
_HAS_GONE: Final[contextvars.ContextVar[Callable[[], bool] | None]] = contextvars.ContextVar(
    "fairlead_has_gone", default=None
)


def begin(seconds: float) -> None:
    """Say how many seconds there are from now on, in this task or thread; infinite for any number."""
    _END.set(time.monotonic() + seconds)


def remaining() -> float:
    """Seconds until the answer is too late: negative when it is, infinite where nobody has said."""
    return _END.get() - time.monotonic()


@contextlib.contextmanager
def watched(seconds: float, has_gone: Callable[[], bool]) -> Iterator[None]:
    """Say for as long as the block runs how many seconds there are, and what tells that nobody waits any more.

    Args:
        seconds: from now on; infinite for any number.
        has_gone: whether the client has gone; called by this thread alone.
    """
    end, gone = _END.set(time.monotonic() + seconds), _HAS_GONE.set(has_gone)
    try:
        yield
    finally:
        _END.reset(end)
        _HAS_GONE.reset(gone)


def check() -> None:
    """Go on only if somebody still waits for the answer.

    Raises:
        DeadlineExceeded: nobody does: the time is up, or the client has gone.
    """
    if remaining() <= 0:
        raise errors.DeadlineExceeded("There was no answer within the deadline.")
    has_gone = _HAS_GONE.get()
    if has_gone is not None and has_gone():
        raise errors.DeadlineExceeded("Nobody waits for the answer any more.")
