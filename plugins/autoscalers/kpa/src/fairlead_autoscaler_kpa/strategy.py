"""The strategy: windows, then what they call for, then what is done."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from fairlead import Autoscaler, Decision, MetricsWindow, ScalingSpec
from fairlead.autoscaling.buckets import Buckets
from fairlead_autoscaler_kpa import decider, scaler, settings
from fairlead_autoscaler_kpa.decider import Averages, micros

if TYPE_CHECKING:
    from fairlead_autoscaler_kpa.settings import Settings

__all__ = ["KpaAutoscaler", "Memory"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the strategy remembers of a component.

    Attributes:
        metric: what the windows hold.
        stable: the stable window.
        panic: the panic window.
        state: whether there is a panic, and what was wanted lately.
        activity: whether the component is at work.
        wanted: the last number that was called for; None before the first.
        excess_burst_capacity: the last excess burst capacity.
    """

    metric: str
    stable: Buckets
    panic: Buckets
    state: decider.State
    activity: scaler.Activity
    wanted: int | None
    excess_burst_capacity: int


class KpaAutoscaler(Autoscaler):
    """Knative's pod autoscaler: a stable window, a panic window, and a careful way to zero."""

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        """Decide as Knative does; the first call starts the windows and takes no number from them."""
        chosen = settings.read(spec)
        first = not isinstance(window.memory, Memory)
        memory = _begun(chosen, spec, window, now) if first else _continued(chosen, window, now)
        figures: dict[str, float] = {}
        if first:
            reason = "It has just begun to measure."
        elif window.ready_replicas is None:
            reason = "The replicas could not be counted, so what was decided before stays."
        elif window.measured and memory.stable.silent(now):
            reason = f"Nothing was measured for {chosen.stable_window:g} s, so what was decided before stays."
        else:
            averages = _averages(chosen, memory, now)
            memory, reason = _called_for(chosen, memory, averages, window, window.ready_replicas, now)
            figures = {"stable": averages.stable, "panic": averages.panic}
        activity, scale = scaler.scale(chosen, memory.activity, memory.wanted, _situation(spec, window, now))
        memory = dataclasses.replace(memory, activity=activity)
        return Decision(
            replicas=scale.replicas,
            reason=f"{reason} {scale.why}".rstrip(),
            recommended=memory.wanted,
            excess_burst_capacity=memory.excess_burst_capacity,
            through_activator=scale.idle or memory.excess_burst_capacity < 0,
            figures={**figures, "panicking": float(memory.state.panic.at is not None)},
            memory=memory,
        )


def _begun(chosen: Settings, spec: ScalingSpec, window: MetricsWindow, now: float) -> Memory:
    """The memory of a component that nothing is remembered of."""
    samples = window.samples.get(chosen.metric, ())
    burst = chosen.burst_capacity
    capacity = burst if burst <= 0 else chosen.initial_scale * chosen.total - burst
    return Memory(
        metric=chosen.metric,
        stable=Buckets(window=chosen.stable_window).recorded(samples),
        panic=Buckets(window=chosen.panic_window).recorded(samples),
        state=decider.start(chosen, window.ready_replicas or 0, micros(now)),
        activity=scaler.begin(_situation(spec, window, now), told=window.desired_replicas),
        wanted=None,
        excess_burst_capacity=int(capacity),
    )


def _continued(chosen: Settings, window: MetricsWindow, now: float) -> Memory:
    """The memory with the new measurements, in windows as long as they are meant to be now."""
    memory = window.memory
    assert isinstance(memory, Memory)
    samples = window.samples.get(chosen.metric, ())
    stable, panic = memory.stable, memory.panic
    if memory.metric != chosen.metric:
        stable, panic = Buckets(window=chosen.stable_window), Buckets(window=chosen.panic_window)
    return dataclasses.replace(
        memory,
        metric=chosen.metric,
        stable=stable.resized(chosen.stable_window, now).recorded(samples),
        panic=panic.resized(chosen.panic_window, now).recorded(samples),
    )


def _averages(chosen: Settings, memory: Memory, now: float) -> Averages:
    if chosen.weighted:
        return Averages(stable=memory.stable.weighted_average(now), panic=memory.panic.weighted_average(now))
    return Averages(stable=memory.stable.average(now), panic=memory.panic.average(now))


def _called_for(
    chosen: Settings, memory: Memory, averages: Averages, window: MetricsWindow, ready: int, now: float
) -> tuple[Memory, str]:
    """What the averages call for, in the memory and in words."""
    state, outcome = decider.decide(
        chosen, memory.state, averages, ready=ready, reachable=window.reachable, now=micros(now)
    )
    reason = (
        f"{averages.stable:g} {chosen.metric} over {chosen.stable_window:g} s and {averages.panic:g} over "
        f"{chosen.panic_window:g} s, at {chosen.target:g} for each replica, call for {outcome.replicas}."
    )
    if state.panic.at is not None:
        reason += f" There is a panic, in which no fewer than {state.panic.most} are wanted."
    remembered = dataclasses.replace(
        memory, state=state, wanted=outcome.replicas, excess_burst_capacity=outcome.excess_burst_capacity
    )
    return remembered, reason


def _situation(spec: ScalingSpec, window: MetricsWindow, now: float) -> scaler.Situation:
    since = window.activator_since
    return scaler.Situation(
        low=spec.min_replicas if window.reachable else 0,
        high=spec.max_replicas,
        ready=window.ready_replicas,
        activator_since=None if since is None else micros(since),
        now=micros(now),
    )
