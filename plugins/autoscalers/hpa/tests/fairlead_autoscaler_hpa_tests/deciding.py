"""Decisions about small components, and sequences of them as the loop makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead import (
    Decision,
    MetricsWindow,
    MetricTarget,
    Replica,
    ReplicaPhase,
    Sample,
    ScalingSpec,
    TargetKind,
)
from fairlead_autoscaler_hpa.strategy import HpaAutoscaler

NOW = 10_000.0


def spec(target: float = 10.0, *, metric: str = "concurrency", least: int = 1, most: int | None = None) -> ScalingSpec:
    targets = (MetricTarget(metric=metric, value=target),)
    return ScalingSpec(min_replicas=least, max_replicas=most, targets=targets)


def with_behavior(behavior: Mapping[str, Any], *, target: float = 10.0, least: int = 1) -> ScalingSpec:
    return dataclasses.replace(spec(target, least=least), behavior=behavior)


def replica(
    name: str,
    used: float | None,
    *,
    metric: str = "cpu",
    phase: ReplicaPhase = ReplicaPhase.RUNNING,
    ready: bool = True,
    age: float = 1000.0,
    ready_for: float | None = None,
    requested: float = 1.0,
) -> Replica:
    """A replica that used so much of a metric, for 15 seconds until now."""
    return Replica(
        name=name,
        phase=phase,
        ready=ready,
        started_at=NOW - age,
        ready_changed_at=None if ready_for is None else NOW - ready_for,
        metrics={} if used is None else {metric: Sample(NOW, used, 15.0)},
        requests={"cpu": requested},
    )


def cpu(percent: float = 50.0, **changes: Any) -> ScalingSpec:
    target = MetricTarget(metric="cpu", value=percent, kind=TargetKind.UTILIZATION)
    return ScalingSpec(targets=(target,), **changes)


def decided(
    asked: ScalingSpec,
    current: int,
    samples: Mapping[str, float] | None = None,
    *,
    replicas: Sequence[Replica] = (),
    ready: int | None = None,
    memory: object = None,
    now: float = NOW,
) -> Decision:
    """One decision; by default the first, which the stabilisation window keeps from scaling down."""
    window = MetricsWindow(
        samples={metric: [Sample(now, value, 15.0)] for metric, value in (samples or {}).items()},
        ready_replicas=current if ready is None else ready,
        desired_replicas=current,
        replicas=replicas,
        memory=memory,
    )
    return HpaAutoscaler().decide(asked, window, now)


def recommended(asked: ScalingSpec, current: int, samples: Mapping[str, float] | None = None, **how: Any) -> int | None:
    """What the metrics call for, before stabilisation, policies and bounds."""
    return decided(asked, current, samples, **how).recommended


def replayed(asked: ScalingSpec, start: int, loads: Sequence[float], *, every: float = 15.0) -> list[int]:
    """The replicas after each decision, if each is carried out; a load is the concurrency of the whole component."""
    current, memory, numbers = start, None, []
    for number, load in enumerate(loads):
        decision = decided(asked, current, {"concurrency": load}, memory=memory, now=NOW + number * every)
        memory = decision.memory
        current = current if decision.replicas is None else decision.replicas
        numbers.append(current)
    return numbers
