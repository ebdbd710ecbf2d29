"""From what the metrics call for to what is done: stabilisation, then policies, then bounds.

The rules are those of Kubernetes' horizontal pod autoscaler; what it keeps between two decisions is a `Memory`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from fairlead_autoscaler_hpa.behavior import Behavior, Policy, PolicyKind, Rules, Select

__all__ = ["Change", "Memory", "Recommendation", "limited", "recalled", "stabilised"]


@dataclasses.dataclass(frozen=True, slots=True)
class Recommendation:
    """How many replicas the metrics called for, and when."""

    at: float
    replicas: int


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """How many replicas came (or, below 0, went) at one time."""

    at: float
    replicas: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one decision leaves to the next.

    Attributes:
        at: when it was decided.
        current: how many replicas there were to be before it.
        asked: how many it asked for.
        recommendations: those that a stabilisation window still holds.
        changes: those that the period of a policy still holds.
    """

    at: float
    current: int
    asked: int
    recommendations: tuple[Recommendation, ...] = ()
    changes: tuple[Change, ...] = ()


def recalled(memory: object, current: int, now: float, behavior: Behavior) -> Memory:
    """What holds still of the memory; at the first decision, that the present number was recommended.

    The change that the last decision asked for counts only if it came about.
    """
    if not isinstance(memory, Memory):
        return Memory(at=now, current=current, asked=current, recommendations=(Recommendation(now, current),))
    changes = memory.changes
    if memory.asked != memory.current and current == memory.asked:
        changes = (*changes, Change(memory.at, memory.asked - memory.current))
    window = max(behavior.up.window, behavior.down.window)
    period = max(policy.period for policy in (*behavior.up.policies, *behavior.down.policies))
    return dataclasses.replace(
        memory,
        recommendations=tuple(each for each in memory.recommendations if each.at > now - window),
        changes=tuple(each for each in changes if each.at > now - period),
    )


def stabilised(wanted: int, current: int, now: float, behavior: Behavior, past: Sequence[Recommendation]) -> int:
    """The most cautious of what was wanted within the window of the direction."""
    up = min([wanted, *(each.replicas for each in past if each.at > now - behavior.up.window)])
    down = max([wanted, *(each.replicas for each in past if each.at > now - behavior.down.window)])
    return min(max(current, up), down)


def limited(wanted: int, current: int, now: float, behavior: Behavior, changes: Sequence[Change]) -> int:
    """The nearest to what is wanted that the policies of the direction allow."""
    if wanted > current:
        return min(wanted, max(current, _highest(current, now, behavior.up, changes)))
    if wanted < current:
        return max(wanted, min(current, _lowest(current, now, behavior.down, changes)))
    return current


def _highest(current: int, now: float, rules: Rules, changes: Sequence[Change]) -> int:
    def limit(policy: Policy) -> int:
        start = _at_start(current, now, policy, changes)
        if policy.kind is PolicyKind.PODS:
            return start + policy.value
        return math.ceil(start * (100 + policy.value) / 100)

    limits = _selected(rules, current, limit, largest_change=max, smallest_change=min)
    # A percentage of nothing is nothing: without this a component at zero would stay there for ever.
    return max(limits, 1) if current == 0 and rules.select is not Select.DISABLED else limits


def _lowest(current: int, now: float, rules: Rules, changes: Sequence[Change]) -> int:
    def limit(policy: Policy) -> int:
        start = _at_start(current, now, policy, changes)
        if policy.kind is PolicyKind.PODS:
            return start - policy.value
        return int(start * (100 - policy.value) / 100)

    return _selected(rules, current, limit, largest_change=min, smallest_change=max)


def _selected(
    rules: Rules,
    current: int,
    limit: Callable[[Policy], int],
    *,
    largest_change: Callable[[list[int]], int],
    smallest_change: Callable[[list[int]], int],
) -> int:
    if rules.select is Select.DISABLED:
        return current
    limits = [limit(policy) for policy in rules.policies]
    return largest_change(limits) if rules.select is Select.MAX else smallest_change(limits)


def _at_start(current: int, now: float, policy: Policy, changes: Sequence[Change]) -> int:
    """How many replicas there were when the policy's period began."""
    return current - sum(each.replicas for each in changes if each.at > now - policy.period)
