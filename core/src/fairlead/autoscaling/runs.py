"""Runs: what happened in a simulation."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.autoscaling.pods import Cluster
    from fairlead.autoscaling.traces import Trace
    from fairlead.contracts.autoscaler import ScalingSpec

__all__ = ["Change", "Moment", "Outcome", "Run"]


class Outcome(enum.IntEnum):
    """What became of a request."""

    UNFINISHED = 0
    """It waited, or was computed on, when the trace ended."""
    ANSWERED = 1
    REFUSED = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed how many replicas there are to be."""

    at: float
    replicas: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """What was the case at one moment, for plots.

    Attributes:
        at: when.
        rate: requests that came in the second before.
        ready: pods that took requests.
        desired: replicas that the strategy wanted.
        queued: requests that waited.
    """

    at: float
    rate: float
    ready: int
    desired: int
    queued: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened.

    Attributes:
        strategy: its name.
        trace: what was replayed.
        cluster: the pods that it was replayed against.
        spec: what was asked of the strategy.
        start_replicas: pods that were ready at the start.
        outcomes: an `Outcome` for each request.
        begins: when a pod began with each request; NaN where none did.
        ends: when it was done; NaN where it was not.
        cold: how many requests came while no pod was ready.
        pod_seconds: seconds of all pods, from when they were asked for until they ended.
        changes: how the number of replicas changed.
        moments: one for each second.
        longest_queue: the most requests that waited at once.
        longest_shortage: the longest time, in seconds, for which there was always a request that waited.
        peak_pods: the most pods that there were at once.
    """

    strategy: str
    trace: Trace
    cluster: Cluster
    spec: ScalingSpec
    start_replicas: int
    outcomes: Sequence[int]
    begins: Sequence[float]
    ends: Sequence[float]
    cold: int
    pod_seconds: float
    changes: Sequence[Change]
    moments: Sequence[Moment]
    longest_queue: int
    longest_shortage: float
    peak_pods: int
