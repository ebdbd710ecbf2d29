"""The clairvoyant optimum: the fewest pod-seconds that a given service of requests can take.

Who knows every request in advance has a pod ready just when one is needed, and not a moment longer. At each instant
there are as many pods as the requests that are computed on need, and never fewer than the lower bound. No strategy
can do the same at the same times with less: each pod takes at most its concurrency.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.autoscaling.runs import Run
    from fairlead.autoscaling.traces import Trace

__all__ = ["pod_seconds", "without_waiting"]


def pod_seconds(run: Run) -> float:
    """The optimum for the requests that a run served, at the times at which it served them."""
    duration = run.trace.duration
    served = (
        (begin, duration if math.isnan(end) else end)
        for begin, end in zip(run.begins, run.ends, strict=True)
        if not math.isnan(begin)
    )
    return _area(served, run.cluster.concurrency, run.spec.min_replicas, duration)


def without_waiting(trace: Trace, concurrency: int, min_replicas: int) -> float:
    """The optimum for a service in which no request of a trace ever waits."""
    served = (
        (at, min(trace.duration, at + seconds)) for at, seconds in zip(trace.arrivals, trace.service_times, strict=True)
    )
    return _area(served, concurrency, min_replicas, trace.duration)


def _area(served: Iterable[tuple[float, float]], concurrency: int, min_replicas: int, duration: float) -> float:
    starts, ends = [], []
    for start, end in served:
        starts.append(start)
        ends.append(end)
    starts.sort()
    ends.sort()
    total, last, present, ended = 0.0, 0.0, 0, 0
    for start in [*starts, duration]:
        while ended < len(ends) and ends[ended] <= start:
            total += max(min_replicas, -(-present // concurrency)) * (ends[ended] - last)
            last = ends[ended]
            present -= 1
            ended += 1
        total += max(min_replicas, -(-present // concurrency)) * (start - last)
        last = start
        present += 1
    return total
