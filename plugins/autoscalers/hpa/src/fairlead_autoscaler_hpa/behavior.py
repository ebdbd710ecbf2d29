"""How fast to scale: stabilisation windows, policies and tolerances, in the form of autoscaling/v2.

The fields and their defaults are those of HorizontalPodAutoscalerBehavior in Kubernetes' API.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from fairlead import errors
from fairlead.contracts import quantities

__all__ = ["Behavior", "Policy", "PolicyKind", "Rules", "Select", "quantity"]

_E = TypeVar("_E", bound=enum.StrEnum)

MAX_WINDOW: Final = 3600
MAX_PERIOD: Final = 1800


class PolicyKind(enum.StrEnum):
    """What the value of a policy counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class Select(enum.StrEnum):
    """Which of several policies holds."""

    MAX = "Max"
    """The one that allows the largest change."""
    MIN = "Min"
    """The one that allows the smallest change."""
    DISABLED = "Disabled"
    """None: there is no scaling in this direction."""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """One bound of change.

    Attributes:
        kind: what `value` counts.
        value: how much may change within the period.
        period: seconds.
    """

    kind: PolicyKind
    value: int
    period: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one direction.

    Attributes:
        window: seconds of recommendations of which the most cautious one holds.
        policies: bounds of change.
        select: which of them holds.
        tolerance: how far the ratio of metric and target may be from 1 without a change.
    """

    window: int
    policies: tuple[Policy, ...]
    select: Select
    tolerance: float


@dataclasses.dataclass(frozen=True, slots=True)
class Behavior:
    """The rules of both directions."""

    up: Rules
    down: Rules

    @classmethod
    def parse(cls, value: Mapping[str, Any], tolerance: float) -> Behavior:
        """Read ``spec.behavior``; what it leaves out has its default.

        Args:
            value: the mapping, as JSON or YAML give it.
            tolerance: of a direction that names none.

        Raises:
            ConfigurationError: a field is unknown, or its value is not allowed.
        """
        _check_fields(value, ("scaleUp", "scaleDown"), "behavior")
        whole = Policy(PolicyKind.PERCENT, 100, 15)
        up = Rules(window=0, policies=(whole, Policy(PolicyKind.PODS, 4, 15)), select=Select.MAX, tolerance=tolerance)
        down = Rules(window=300, policies=(whole,), select=Select.MAX, tolerance=tolerance)
        return cls(_rules(value, "scaleUp", up), _rules(value, "scaleDown", down))


def quantity(value: object, place: str) -> float:
    """Read a quantity of Kubernetes that is not negative, such as ``0.05`` or ``"50m"``.

    Raises:
        ConfigurationError: it is none.
    """
    found = -1.0
    if isinstance(value, int | float | str):
        with contextlib.suppress(errors.ConfigurationError):
            found = quantities.quantity(value)
    if found < 0:
        raise errors.ConfigurationError(f"{place} is {value!r}, and not a quantity such as 0.1 or 100m.")
    return found


def _rules(behavior: Mapping[str, Any], name: str, default: Rules) -> Rules:
    place = f"behavior.{name}"
    given = behavior.get(name)
    if given is None:
        return default
    _check_fields(given, ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"), place)
    window, select = given.get("stabilizationWindowSeconds"), given.get("selectPolicy")
    policies, tolerance = given.get("policies"), given.get("tolerance")
    return Rules(
        window=default.window
        if window is None
        else _whole(window, f"{place}.stabilizationWindowSeconds", 0, MAX_WINDOW),
        select=default.select if select is None else _member(Select, select, f"{place}.selectPolicy"),
        policies=default.policies if policies is None else _policies(policies, f"{place}.policies"),
        tolerance=default.tolerance if tolerance is None else quantity(tolerance, f"{place}.tolerance"),
    )


def _policies(given: object, place: str) -> tuple[Policy, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise errors.ConfigurationError(f"{place} is {given!r}, and not a list of one or more policies.")
    return tuple(_policy(each, f"{place}[{number}]") for number, each in enumerate(given))


def _policy(given: object, place: str) -> Policy:
    fields = ("type", "value", "periodSeconds")
    mapping = _check_fields(given, fields, place)
    missing = [name for name in fields if name not in mapping]
    if missing:
        raise errors.ConfigurationError(f"{place} lacks {' and '.join(missing)}.")
    return Policy(
        _member(PolicyKind, mapping["type"], f"{place}.type"),
        _whole(mapping["value"], f"{place}.value", 1, 2**31 - 1),
        _whole(mapping["periodSeconds"], f"{place}.periodSeconds", 1, MAX_PERIOD),
    )


def _check_fields(value: object, known: Sequence[str], place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise errors.ConfigurationError(f"{place} is {value!r}, and not a mapping.")
    unknown = sorted(str(name) for name in value if name not in known)
    if unknown:
        raise errors.ConfigurationError(
            f"{place} has no field {', '.join(unknown)}.", remedy=f"The fields are {', '.join(known)}."
        )
    return value


def _whole(value: object, place: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise errors.ConfigurationError(f"{place} is {value!r}, and not a whole number from {least} to {most}.")
    return value


def _member(kind: type[_E], value: object, place: str) -> _E:
    try:
        return kind(str(value))
    except ValueError:
        raise errors.ConfigurationError(f"{place} is {value!r}, and not one of {', '.join(kind)}.") from None
