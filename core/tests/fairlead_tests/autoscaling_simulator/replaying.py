"""Runs of small traces, with installed strategies and with ones that follow a timetable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairlead import Autoscaler, Decision, MetricsWindow, MetricTarget, ScalingSpec
from fairlead.autoscaling.pods import Cluster
from fairlead.autoscaling.simulator import simulate
from fairlead.autoscaling.traces import Trace
from fairlead.plugins import Kind, Plugins

if TYPE_CHECKING:
    from fairlead.autoscaling.runs import Run


class Timetable(Autoscaler):
    """Wants what its timetable says, and at least one replica once requests wait."""

    def __init__(self, *entries: tuple[float, int], wakes: bool = True) -> None:
        self._entries = entries
        self._wakes = wakes
        self.asked: list[tuple[float, MetricsWindow]] = []

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        self.asked.append((now, window))
        due = [replicas for at, replicas in self._entries if at <= now]
        wanted = due[-1] if due else None
        waiting = any(sample.value > 0 for sample in window.samples["concurrency"])
        if self._wakes and not wanted and waiting and window.desired_replicas == 0:
            wanted = 1
        return Decision(replicas=wanted, reason="So says the timetable.")


def installed(name: str) -> tuple[Autoscaler, float]:
    """A strategy that is installed, and the seconds between its decisions."""
    plugins = Plugins.discover()
    spec = plugins.autoscalers()[name]
    return plugins.factory(Kind.AUTOSCALER, spec)(), spec.interval


def trace(arrivals: Sequence[float], service: float | Sequence[float] = 1.0, *, duration: float = 60.0) -> Trace:
    times = [service] * len(arrivals) if isinstance(service, float) else list(service)
    return Trace(name="a trace", arrivals=list(arrivals), service_times=times, duration=duration)


def every(gap: float, *, start: float, end: float) -> list[float]:
    return [start + gap * number for number in range(round((end - start) / gap))]


def spec(least: int = 1, most: int | None = None, *, target: float = 1.0, concurrency: int = 1) -> ScalingSpec:
    targets = (MetricTarget(metric="concurrency", value=target),)
    return ScalingSpec(
        min_replicas=least, max_replicas=most, targets=targets, container_concurrency=concurrency, behavior={}
    )


def replayed(strategy: Autoscaler | str, replay: Trace, *, asked: ScalingSpec | None = None, **how: Any) -> Run:
    """A run; what is not an argument of `simulate` describes the pods."""
    autoscaler, interval = installed(strategy) if isinstance(strategy, str) else (strategy, how.pop("interval", 2.0))
    passed = {name: how.pop(name) for name in ("start_replicas", "progress") if name in how}
    cluster = Cluster(**how)
    name = strategy if isinstance(strategy, str) else "timetable"
    return simulate(autoscaler, asked or spec(), replay, cluster, name=name, interval=interval, **passed)
