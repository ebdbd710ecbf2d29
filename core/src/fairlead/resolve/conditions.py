"""Conditions: what holds, what does not, what is not known, why, and since when."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from fairlead.api.status import Condition

__all__ = ["TRUE", "Verdict", "both", "condition_list", "held"]

Status = Literal["True", "False", "Unknown"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one thing.

    Attributes:
        status: whether it holds.
        reason: why, in one word; empty where there is nothing to say.
        message: why, in sentences.
        severity: ``Warning`` or ``Info`` for what is no error when it holds; None for an error when it does not.
    """

    status: Status
    reason: str = ""
    message: str = ""
    severity: str | None = None

    @property
    def holds(self) -> bool:
        """Whether it is known to hold."""
        return self.status == "True"


TRUE: Final = Verdict("True")


def both(*verdicts: Verdict) -> Verdict:
    """What several things come to: the first that does not hold, else the first that is not known, else True."""
    for status in ("False", "Unknown"):
        for each in verdicts:
            if each.status == status:
                return each
    return TRUE


def held(previous: Sequence[Condition] | None, kind: str) -> Verdict | None:
    """What was said of something before; None where nothing was."""
    for each in previous or ():
        if each.type == kind and each.status in ("True", "False", "Unknown"):
            status: Status = "True" if each.status == "True" else "False" if each.status == "False" else "Unknown"
            return Verdict(status, each.reason or "", each.message or "", each.severity)
    return None


def condition_list(verdicts: Mapping[str, Verdict], previous: Iterable[Condition] | None, now: str) -> list[Condition]:
    """The conditions of a status, in the order of their types.

    Args:
        verdicts: what is said, by the type of the condition.
        previous: the conditions before: one whose status is the same keeps its time.
        now: the time of those whose status is another.
    """
    from fairlead.api.status import Condition

    since = {(each.type, each.status): each.last_transition_time for each in previous or ()}
    return [
        Condition(
            type=kind,
            status=verdict.status,
            severity=verdict.severity,
            last_transition_time=since.get((kind, verdict.status)) or now,
            reason=verdict.reason or None,
            message=verdict.message or None,
        )
        for kind, verdict in sorted(verdicts.items())
    ]
