"""Whether one more request may wait for a model: bounds on how many wait, and on how much work that is."""

from __future__ import annotations

import math
from typing import Final

from fairlead import errors

__all__ = ["Admission"]

_FEW: Final = 64
"""Requests that may wait however slow the model is: as many as clients usually ask at once."""

_WEIGHT: Final = 0.1
"""Of the newest call in the running mean of what one request takes."""


class Admission:
    """Admits requests to the queue of one model.

    A queue that is bounded by its length alone is seconds long when a model is slow. Then every request is answered
    when its client has nearly lost its patience, and many just after.

    Args:
        name: the model's name, for messages.
        max_waiting: requests that may wait.
        max_work: seconds of work that may wait, once more than a few requests do; 0 for any.
    """

    def __init__(self, name: str, max_waiting: int, max_work: float) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._max_work = max_work or math.inf
        self._seconds = 0.0

    def check(self, waiting: int, timeout: float) -> None:
        """Refuse a request that finds too many before it, or would be late when it has its turn.

        Args:
            waiting: requests that wait already.
            timeout: seconds within which this one wants its answer.

        Raises:
            Overloaded: it has to be refused.
        """
        work = waiting * self._seconds
        if waiting < self._max_waiting and (waiting < _FEW or work < self._max_work) and work < timeout:
            return
        raise errors.Overloaded(
            f"Model with name {self._name} is overloaded: {waiting} requests wait already. Try again later.",
            retry_after=max(1, math.ceil(work)),
        )

    def record(self, seconds: float, requests: int) -> None:
        """Take a call into account: what it took, and how many requests it answered."""
        self._seconds += _WEIGHT * (seconds / requests - self._seconds)
