"""From counters that are read now and then to measurements of each second: how many requests, and how fast they come.

Windows of strategies count by whole seconds (`fairlead.autoscaling.buckets`), so that there must be one measurement for
each of them, and not two: a measurement ends with the second, whenever the reading comes that tells so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.contracts.autoscaler import Sample

__all__ = ["Rates"]

_LOST: Final = 10
"""Intervals without a reading after which nobody knows what happened in between."""

_NOTHING: Final[Mapping[str, Sample]] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """The counters at one moment, and the requests that came since a measurement was last made."""

    at: float
    present: int
    total: int
    waiting: int
    arrived: int
    came: int = 0


class Rates:
    """Measures the requests of one revision: ``concurrency`` and ``rps``.

    Concurrency is the average of what was read, each reading as long as it was the last one. A counter that is smaller
    than before has begun again at zero, as Envoy's do when it starts again. After ten intervals without a reading, or
    when time goes back, it begins anew, so that what is not known is missing and not zero.

    Args:
        interval: the length of a measurement, in seconds. The platform reads four times in it.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._interval = interval
        self._last: _Reading | None = None
        self._area = self._since = self._counted_at = 0.0

    def update(self, at: float, active: int, total: int, waiting: int, arrived: int) -> Mapping[str, Sample]:
        """Take in a reading.

        Args:
            at: when it was made.
            active: requests that replicas compute on, or that wait for one of them in the gateway.
            total: requests that were ever sent to a replica.
            waiting: requests that the activator holds.
            arrived: requests that ever came to the activator.

        Returns:
            ``concurrency`` and ``rps`` where an interval has ended since the reading before, otherwise nothing. Their
            span is the interval, or as many intervals as have ended.
        """
        last = self._last
        if last is None or not 0 <= at - last.at <= _LOST * self._interval:
            self._last = _Reading(at, active + waiting, total, waiting, arrived)
            self._area, self._since, self._counted_at = 0.0, at, at
            return _NOTHING
        forwarded = _since(last.total, total)
        came = last.came + max(_since(last.arrived, arrived), forwarded + waiting - last.waiting)
        reading = _Reading(at, active + waiting, total, waiting, arrived, came)
        end = math.floor(at / self._interval) * self._interval
        if end <= last.at:
            self._area += last.present * (at - last.at)
            self._last = reading
            return _NOTHING
        found = self._closed(last, end, at, came)
        self._area, self._since, self._counted_at = last.present * (at - end), end, at
        self._last = dataclasses.replace(reading, came=0)
        return found

    def _closed(self, last: _Reading, end: float, at: float, came: int) -> Mapping[str, Sample]:
        """The measurements up to the end of an interval; none where less than half of it was seen."""
        span = end - self._since
        if span < self._interval / 2:
            return _NOTHING
        area = self._area + last.present * (end - last.at)
        return {
            "concurrency": Sample(end, area / span, span),
            "rps": Sample(end, came / (at - self._counted_at), span),
        }


def _since(before: int, now: int) -> int:
    """How far a counter has come."""
    return now - before if now >= before else now
