"""From what the averages call for to what is done: bounds, the initial scale, and the way to zero.

This is the part of Knative that stands in ``pkg/reconciler/autoscaling/kpa``. Times are whole microseconds.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Final

from fairlead_autoscaler_kpa.decider import micros

if TYPE_CHECKING:
    from fairlead_autoscaler_kpa.settings import Settings

__all__ = ["Activity", "Phase", "Scale", "Situation", "begin", "scale"]

_ACTIVATION_MARGIN: Final = 30.0
"""Seconds beyond the progress deadline after which a component that never became ready is given up."""


class Phase(enum.StrEnum):
    """Whether a component is at work."""

    ACTIVATING = "activating"
    """Replicas are wanted, and too few can answer."""
    ACTIVE = "active"
    """Enough replicas can answer."""
    INACTIVE = "inactive"
    """None is wanted; there may still be one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the scaler remembers.

    Attributes:
        phase: whether the component is at work.
        since: since when, in microseconds.
        started: whether it has ever had as many ready replicas as its initial scale.
    """

    phase: Phase
    since: int
    started: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the scaler looks at.

    Attributes:
        low: the least replicas that the user allows.
        high: the most, or None.
        ready: how many can answer; None when they could not be counted.
        activator_since: since when every request has come through the activator, in microseconds, or None.
        now: the time, in microseconds.
    """

    low: int
    high: int | None
    ready: int | None
    activator_since: int | None
    now: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What is to be done.

    Attributes:
        replicas: how many replicas there should be; None to leave them as they are.
        idle: whether none is wanted any more, so that the activator should stand in the path.
        why: a sentence about what made this of the number that was called for, or nothing.
    """

    replicas: int | None
    idle: bool = False
    why: str = ""


def begin(situation: Situation, *, told: int) -> Activity:
    """The activity of a component that nothing is remembered of; `told` is how many replicas it is told to have."""
    if told == 0:
        return Activity(phase=Phase.INACTIVE, since=situation.now, started=True)
    started = (situation.ready or 0) >= max(1, situation.low)
    return Activity(
        phase=Phase.ACTIVE if started else Phase.ACTIVATING,
        since=situation.now,
        started=(situation.ready or 0) > 0,
    )


def scale(settings: Settings, activity: Activity, wanted: int | None, situation: Situation) -> tuple[Activity, Scale]:
    """What is to be done, and what to remember of it.

    Args:
        settings: the settings.
        activity: what the call before left.
        wanted: how many replicas are called for; None when that was never known.
        situation: the bounds, the replicas and the time.
    """
    low = situation.low if activity.started else max(situation.low, _initial(settings, situation))
    result, number = _scaled(settings, activity, wanted, low, situation)
    return _observed(activity, number, low if not activity.started else max(1, low), situation), result


def _initial(settings: Settings, situation: Situation) -> int:
    if situation.high is None:
        return settings.initial_scale
    return min(settings.initial_scale, situation.high)


def _scaled(
    settings: Settings, activity: Activity, wanted: int | None, low: int, situation: Situation
) -> tuple[Scale, int | None]:
    """What is to be done, and how many replicas are wanted then; None when that is not known."""
    if wanted is None and activity.phase is not Phase.ACTIVATING:
        return Scale(replicas=None), None
    number = max(-1 if wanted is None else wanted, low)
    why = f"At least {low} are kept." if wanted is not None and number > wanted else ""
    if situation.high is not None and number > situation.high:
        number, why = situation.high, f"At most {situation.high} are allowed."
    if number > 0:
        return Scale(replicas=number, why=why), number
    return _to_zero(settings, activity, situation)


def _to_zero(settings: Settings, activity: Activity, situation: Situation) -> tuple[Scale, int | None]:
    """How far the way to zero has been gone."""
    lasted = situation.now - activity.since
    if activity.phase is Phase.ACTIVATING:
        if lasted >= micros(settings.progress_deadline + _ACTIVATION_MARGIN):
            return Scale(replicas=0, idle=True, why="No replica became ready in time."), 0
        return Scale(replicas=None, why="The first replica is still starting."), None
    if activity.phase is Phase.ACTIVE:
        if lasted >= micros(settings.stable_window):
            return Scale(replicas=None, idle=True, why="It is idle, and requests go through the activator first."), 0
        return Scale(replicas=1, why=f"One stays until it has been active for {settings.stable_window:g} s."), 1
    if situation.activator_since is None:
        return Scale(replicas=None, idle=True, why="The activator does not answer for it yet."), 0
    grace, retention = micros(settings.grace_period), micros(settings.pod_retention)
    if lasted < retention:
        return Scale(replicas=None, idle=True, why=f"The last one is kept for {settings.pod_retention:g} s."), 0
    if lasted < grace and situation.now - situation.activator_since < grace:
        return Scale(replicas=None, idle=True, why=f"The grace period of {settings.grace_period:g} s is not over."), 0
    return Scale(replicas=0, idle=True), 0


def _observed(activity: Activity, wanted: int | None, enough: int, situation: Situation) -> Activity:
    """The activity after the replicas were counted; `enough` of them make it active."""
    if situation.ready is None and wanted != 0:
        return activity
    ready = situation.ready or 0
    phase = activity.phase
    if wanted == 0 or enough == 0:
        phase = Phase.INACTIVE
    elif wanted is not None or phase is not Phase.INACTIVE:
        phase = Phase.ACTIVE if ready >= enough else Phase.ACTIVATING
    since = activity.since if phase is activity.phase else situation.now
    return Activity(phase=phase, since=since, started=activity.started or ready >= enough)
