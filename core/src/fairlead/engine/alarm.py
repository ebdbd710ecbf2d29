"""One timer for many deadlines: it rings at the earliest, and whoever hears it sees what else is late."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Calls back when the earliest of the deadlines that it was set to has passed; used on the event loop.

    Deadlines are mostly set in their order, so that nearly all of them cost one comparison.

    Args:
        loop: the event loop.
        ring: called once for each time that it was set; sets it again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self.at = math.inf
        """The deadline that it is set to, by the monotonic clock; may be read in any thread."""

    def set(self, deadline: float) -> None:
        """Ring at this deadline, unless it rings before."""
        if deadline < self.at:
            self.cancel()
            self.at = deadline
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self._rings)

    def cancel(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.at = None, math.inf

    def _rings(self) -> None:
        self._timer, self.at = None, math.inf
        self._ring()
