"""Reports: what a run was worth, in the figures by which strategies are compared."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

from fairlead import errors
from fairlead.autoscaling import optimum
from fairlead.autoscaling.runs import Outcome, Run

__all__ = ["Report", "of", "rows"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one run.

    Attributes:
        strategy: its name.
        requests: how many came; the sum of the next three.
        answered: how many were answered.
        refused: how many found the queue full.
        unfinished: how many waited, or were computed on, when the trace ended.
        over_objective: share of the requests that took longer than the objective, were refused, or had waited
            longer than it when the trace ended; 0 without requests.
        cold: requests that came while no pod was ready.
        latency_p50: seconds that half of the answers took at most; None without answers.
        latency_p99: the same of 99 in 100.
        pod_seconds: seconds of all pods, from when they were asked for until they ended.
        optimum: the pod-seconds of a clairvoyant who serves the same requests at the same times.
        oscillations: how often the number of replicas changed its direction.
        time_to_capacity: the longest time for which there was always a request that waited, in seconds.
        longest_queue: the most requests that waited at once.
        peak_pods: the most pods that there were at once.
    """

    strategy: str
    requests: int
    answered: int
    refused: int
    unfinished: int
    over_objective: float
    cold: int
    latency_p50: float | None
    latency_p99: float | None
    pod_seconds: float
    optimum: float
    oscillations: int
    time_to_capacity: float
    longest_queue: int
    peak_pods: int


def of(run: Run, objective: float) -> Report:
    """Judge a run.

    Args:
        run: what happened.
        objective: seconds in which a request should be answered.

    Raises:
        ConfigurationError: the objective is no positive number.
    """
    if not 0 < objective < math.inf:
        raise errors.ConfigurationError(f"An objective of {objective:g} s is not possible: it is above 0.")
    outcomes = bytes(run.outcomes)
    arrivals, duration = run.trace.arrivals, run.trace.duration
    latencies = sorted(end - at for at, end in zip(arrivals, run.ends, strict=True) if not math.isnan(end))
    refused = outcomes.count(Outcome.REFUSED)
    late = sum(latency > objective + _EXACT for latency in latencies) + refused
    late += sum(
        duration - at > objective + _EXACT
        for at, outcome in zip(arrivals, outcomes, strict=True)
        if outcome == Outcome.UNFINISHED
    )
    return Report(
        strategy=run.strategy,
        requests=len(arrivals),
        answered=outcomes.count(Outcome.ANSWERED),
        refused=refused,
        unfinished=outcomes.count(Outcome.UNFINISHED),
        over_objective=late / len(arrivals) if arrivals else 0.0,
        cold=run.cold,
        latency_p50=_percentile(latencies, 0.5),
        latency_p99=_percentile(latencies, 0.99),
        pod_seconds=run.pod_seconds,
        optimum=optimum.pod_seconds(run),
        oscillations=_oscillations([run.start_replicas, *(change.replicas for change in run.changes)]),
        time_to_capacity=run.longest_shortage,
        longest_queue=run.longest_queue,
        peak_pods=run.peak_pods,
    )


_EXACT = 1e-9
"""A request that takes just as long as the objective must not be late for how binary fractions are rounded."""


def _percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all does not exceed."""
    return ascending[max(0, math.ceil(share * len(ascending) - _EXACT) - 1)] if ascending else None


def _oscillations(numbers: Sequence[int]) -> int:
    ups = [later > earlier for earlier, later in itertools.pairwise(numbers)]
    return sum(here != there for here, there in itertools.pairwise(ups))


def rows(reports: Sequence[Report], objective: float) -> list[tuple[str, ...]]:
    """The figures as text: what each is, then one for each report."""
    return [
        ("Requests", *(f"{each.requests:,}" for each in reports)),
        (f"Over {objective:g} s", *(f"{each.over_objective:.2%}" for each in reports)),
        ("Latency p50, p99", *(f"{_shown(each.latency_p50)}, {_shown(each.latency_p99)}" for each in reports)),
        ("Cold", *(f"{each.cold:,}" for each in reports)),
        ("Refused", *(f"{each.refused:,}" for each in reports)),
        ("Unfinished", *(f"{each.unfinished:,}" for each in reports)),
        ("Longest queue", *(f"{each.longest_queue:,}" for each in reports)),
        ("Time to capacity", *(f"{each.time_to_capacity:.1f} s" for each in reports)),
        ("Pod-seconds", *(f"{each.pod_seconds:,.0f}" for each in reports)),
        ("Optimum", *(f"{each.optimum:,.0f}" for each in reports)),
        ("Times the optimum", *(_times(each) for each in reports)),
        ("Most pods", *(f"{each.peak_pods:,}" for each in reports)),
        ("Oscillations", *(f"{each.oscillations:,}" for each in reports)),
    ]


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def _times(report: Report) -> str:
    return f"{report.pod_seconds / report.optimum:.2f}" if report.optimum > 0 else "-"
