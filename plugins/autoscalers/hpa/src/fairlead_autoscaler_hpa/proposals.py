"""How many replicas one metric calls for: ``ceil(replicas * metric / target)``, and the rules around it.

The arithmetic is that of Kubernetes' horizontal pod autoscaler. Three kinds of measurement have different rules:

- *per replica* (``cpu``, ``memory``, and what is measured at replicas only): replicas that do not count yet, and those
  whose measurement is missing, are filled in with cautious values;
- *of the component, shared out* (`TargetKind.AVERAGE_VALUE`): enough replicas that each has its share;
- *of the component as it is* (`TargetKind.VALUE`): as many times the ready replicas as the metric is above its target.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from fairlead import Replica, ReplicaPhase, Sample

__all__ = ["Proposal", "Readiness", "Tolerance", "average", "for_component", "for_replicas", "for_value"]

_EXACT = 1e-9
"""A ratio such as 1.1 is not exact in binary; what is so near to a whole number of replicas, or to the edge of the
tolerance, counts as that."""


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric calls for.

    Attributes:
        replicas: how many; None when the metric says nothing.
        reason: a part of a sentence: what was measured, or why nothing was.
        ratio: metric divided by target; None when there is none.
    """

    replicas: int | None
    reason: str
    ratio: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Tolerance:
    """How far the ratio may be from 1 without a change, by direction."""

    up: float
    down: float

    def covers(self, ratio: float) -> bool:
        """Whether the ratio calls for no change."""
        return 1 - self.down - _EXACT <= ratio <= 1 + self.up + _EXACT


@dataclasses.dataclass(frozen=True, slots=True)
class Readiness:
    """When a replica's cpu counts.

    Attributes:
        now: the time.
        initialization: seconds after its start in which a replica counts only while it is ready and was measured
            after it became so.
        delay: seconds after its start in which a replica that became unready was never ready.
    """

    now: float
    initialization: float = 300.0
    delay: float = 30.0

    def counts(self, replica: Replica, sample: Sample) -> bool:
        """Whether the cpu that a running replica used says something of its load, and not of its start."""
        if replica.started_at is None:
            return False
        changed = replica.started_at if replica.ready_changed_at is None else replica.ready_changed_at
        if replica.started_at + self.initialization > self.now:
            return replica.ready and sample.at >= changed + sample.span
        return replica.ready or replica.started_at + self.delay <= changed


def average(samples: Sequence[Sample]) -> float | None:
    """The average of measurements, each as long as its span; None without any."""
    if not samples:
        return None
    spans = sum(sample.span for sample in samples)
    if spans > 0:
        return sum(sample.value * sample.span for sample in samples) / spans
    return sum(sample.value for sample in samples) / len(samples)


def for_component(total: float, target: float, current: int, tolerance: Tolerance) -> Proposal:
    """Enough replicas that each has its share of a total."""
    reason = f"{total:g} for all, {target:g} for each"
    if current == 0:
        return Proposal(_ceil(total / target), reason)
    ratio = total / (target * current)
    return Proposal(current if tolerance.covers(ratio) else _ceil(total / target), reason, ratio)


def for_value(value: float, target: float, current: int, ready: int | None, tolerance: Tolerance) -> Proposal:
    """The ready replicas, times what the value is above its target; from none, as many as the ratio."""
    ratio = value / target
    reason = f"{value:g}, to be held at {target:g}"
    if current == 0:
        return Proposal(_ceil(ratio), reason, ratio)
    if tolerance.covers(ratio):
        return Proposal(current, reason, ratio)
    if ready is None:
        return Proposal(None, "the ready replicas could not be counted", ratio)
    return Proposal(_ceil(ratio * ready), reason, ratio)


def for_replicas(
    metric: str,
    replicas: Sequence[Replica],
    target: float,
    current: int,
    tolerance: Tolerance,
    readiness: Readiness,
    *,
    percent: bool = False,
) -> Proposal:
    """As many replicas as hold the average of a metric at its target.

    Args:
        metric: its name.
        replicas: every replica.
        target: what one replica should have: in the metric's unit, or in percent of what it requested.
        current: how many replicas there are to be at present.
        tolerance: ratios without a change.
        readiness: when cpu counts.
        percent: whether `target` is in percent.
    """
    groups = _grouped(metric, replicas, readiness)
    if not groups.counted:
        return Proposal(None, f"no replica that counts has a measurement of {metric}")
    live = [*groups.counted, *groups.unready, *groups.missing]
    if percent and (lacking := [replica.name for replica in live if not replica.requests.get(metric)]):
        return Proposal(None, f"{lacking[0]} requests no {metric}, so that there is no utilization")

    def ratio_of(used: float, members: Sequence[Replica]) -> float:
        whole = sum(replica.requests[metric] for replica in members) / 100 if percent else len(members)
        return used / (target * whole)

    used = sum(replica.metrics[metric].value for replica in groups.counted)
    ratio = ratio_of(used, groups.counted)
    reason = f"{_shown(ratio * target, percent)} on average, {_shown(target, percent)} for each"
    unready = groups.unready if ratio > 1 else []
    if not unready and not groups.missing:
        if tolerance.covers(ratio):
            return Proposal(current, reason, ratio)
        return Proposal(_ceil(ratio * len(groups.counted)), reason, ratio)
    if ratio < 1:
        # On the way down, a replica that nobody could measure is taken to have all that it should have, and more
        # where the target is above what it requested.
        used += sum(max(100.0, target) / 100 * each.requests[metric] if percent else target for each in groups.missing)
    members = [*groups.counted, *groups.missing, *unready]
    filled = ratio_of(used, members)
    reason += f", {filled * 100:.0f}% of it with {len(members) - len(groups.counted)} that could not be measured"
    wanted = _ceil(filled * len(members))
    flipped = (ratio < 1 < filled) or (filled < 1 < ratio)
    backwards = (filled < 1 and wanted > current) or (filled > 1 and wanted < current)
    if tolerance.covers(filled) or flipped or backwards:
        return Proposal(current, reason, filled)
    return Proposal(wanted, reason, filled)


@dataclasses.dataclass(frozen=True, slots=True)
class _Groups:
    counted: list[Replica] = dataclasses.field(default_factory=list)
    unready: list[Replica] = dataclasses.field(default_factory=list)
    missing: list[Replica] = dataclasses.field(default_factory=list)


def _grouped(metric: str, replicas: Sequence[Replica], readiness: Readiness) -> _Groups:
    groups = _Groups()
    for replica in replicas:
        if replica.phase in (ReplicaPhase.STOPPING, ReplicaPhase.FAILED):
            continue
        sample = replica.metrics.get(metric)
        if replica.phase is ReplicaPhase.PENDING:
            groups.unready.append(replica)
        elif sample is None:
            groups.missing.append(replica)
        elif metric == "cpu" and not readiness.counts(replica, sample):
            groups.unready.append(replica)
        else:
            groups.counted.append(replica)
    return groups


def _ceil(value: float) -> int:
    return math.ceil(value - _EXACT * max(1.0, value))


def _shown(value: float, percent: bool) -> str:
    return f"{value:g}%" if percent else f"{value:g}"
