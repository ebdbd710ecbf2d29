"""How long the client of the request that is being answered still waits, for models that ask others in turn."""

from __future__ import annotations

import contextvars
import math
import time
from typing import Final

__all__ = ["begin", "remaining"]

_END: Final[contextvars.ContextVar[float]] = contextvars.ContextVar("fairlead_deadline", default=math.inf)


def begin(seconds: float) -> None:
    """Say how many seconds there are from now on, in this task or thread; infinite for any number."""
    _END.set(time.monotonic() + seconds)


def remaining() -> float:
    """Seconds until the answer is too late: negative when it is, infinite where nobody has said."""
    return _END.get() - time.monotonic()
