"""Knative's arithmetic: how many replicas the averages of two windows call for.

This is ``pkg/autoscaler/scaling`` of knative/serving in other words. Times are whole microseconds of Unix time,
because the comparisons are strict and ticks meet them exactly.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead_autoscaler_kpa.settings import Settings

__all__ = ["Averages", "Outcome", "Panic", "ScaleDownDelay", "State", "decide", "micros", "start"]

_SECOND: Final = 1_000_000
_TICK: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """The metric, summed over all replicas.

    Attributes:
        stable: over the stable window.
        panic: over the panic window.
    """

    stable: float
    panic: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Panic:
    """Whether there is a panic.

    Attributes:
        at: when the threshold was last passed, in microseconds; None when there is no panic.
        most: the most replicas that were wanted in this panic, and will be until it ends.
    """

    at: int | None
    most: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDownDelay:
    """The largest number of replicas that was wanted in the last moments.

    Attributes:
        slots: how many slots of two seconds it reaches back.
        wanted: slots and what was wanted in them, the older and larger first; smaller ones before a larger are left
            out, because they never count again.
    """

    slots: int
    wanted: tuple[tuple[int, int], ...] = ()

    def recorded(self, slot: int, replicas: int) -> ScaleDownDelay:
        """What was wanted, with this as the latest."""
        kept = [(old, wanted) for old, wanted in self.wanted if old > slot - self.slots and wanted > replicas]
        return dataclasses.replace(self, wanted=(*kept, (slot, replicas)))

    @property
    def most(self) -> int:
        """The largest number; there must be one."""
        return self.wanted[0][1]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the decider remembers.

    Attributes:
        panic: whether there is a panic.
        delay: what was wanted lately; None where scaling down is not delayed.
    """

    panic: Panic
    delay: ScaleDownDelay | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the averages call for.

    Attributes:
        replicas: how many.
        excess_burst_capacity: what the ready replicas can take beyond the burst that they should; -1 and 0 as
            `Settings.burst_capacity`.
    """

    replicas: int
    excess_burst_capacity: int


def micros(seconds: float) -> int:
    """A time or a length of time in whole microseconds."""
    return round(seconds * _SECOND)


def start(settings: Settings, ready: int, now: int) -> State:
    """The state at the start: with several replicas a panic, so that none is taken away for want of history."""
    delay = None
    if settings.scale_down_delay > 0:
        delay = ScaleDownDelay(slots=math.ceil(settings.scale_down_delay / _TICK))
    return State(panic=Panic(at=now if ready > 1 else None, most=ready), delay=delay)


def decide(
    settings: Settings, state: State, averages: Averages, *, ready: int, reachable: bool, now: int
) -> tuple[State, Outcome]:
    """What the averages call for, and what to remember of it.

    Args:
        settings: the settings; the delay of scaling down is that of the start.
        state: what the decision before left.
        averages: the averages up to now.
        ready: how many replicas can answer.
        reachable: whether clients' requests are routed to the component.
        now: the time, in microseconds.
    """
    divisor = max(1, ready)
    up = math.ceil(settings.max_scale_up_rate * divisor)
    down = math.floor(divisor / settings.max_scale_down_rate) if reachable else 0
    wanted_stable = math.ceil(averages.stable / settings.target)
    wanted_panic = math.ceil(averages.panic / settings.target)
    stable = _activated(settings, wanted_stable, min(max(wanted_stable, down), up))
    hasty = _activated(settings, wanted_panic, min(max(wanted_panic, down), up))

    panic = state.panic
    if wanted_panic / divisor >= settings.panic_threshold:
        panic = dataclasses.replace(panic, at=now)
    elif panic.at is not None and panic.at + micros(settings.stable_window) < now:
        panic = Panic(at=None, most=0)
    replicas = stable
    if panic.at is not None:
        replicas = max(panic.most, stable, hasty)
        panic = dataclasses.replace(panic, most=replicas)

    delay = state.delay
    if delay is not None and reachable:
        delay = delay.recorded(now // _SECOND // _TICK, replicas)
        replicas = delay.most
    capacity = _excess_burst_capacity(settings, ready, averages.panic)
    return State(panic=panic, delay=delay), Outcome(replicas=replicas, excess_burst_capacity=capacity)


def _activated(settings: Settings, wanted: int, limited: int) -> int:
    """The number, at least the activation scale if anything is wanted at all."""
    return max(limited, settings.activation_scale) if settings.activation_scale > 1 and wanted > 0 else limited


def _excess_burst_capacity(settings: Settings, ready: int, observed: float) -> int:
    if settings.burst_capacity == 0:
        return 0
    if settings.burst_capacity < 0:
        return -1
    return math.floor(ready * settings.total - settings.burst_capacity - observed)
