"""Whether an object is ready, has failed, or is to be waited for; and how that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.api import InferenceGraph, InferenceService, TrainedModel
from fairlead.api.status import InferenceServiceStatus, ResourceStatus

if TYPE_CHECKING:
    from fairlead.api import Resource
    from fairlead.api.status import Condition

__all__ = ["can_be_ready", "failed", "line", "missing", "ready", "state", "told"]

_ANSWER: Final = (InferenceGraph, InferenceService, TrainedModel)
_READY: Final = "Ready"
_STOPPED: Final = "Stopped"
"""The condition that is False of whatever runs."""
_ENDS: Final = ("InvalidSpec", "BlockedByFailedLoad")
_LATEST_EVENTS: Final = 8


def can_be_ready(kind: type[Resource]) -> bool:
    """Whether objects of a kind say in their status that they are ready."""
    return issubclass(kind, _ANSWER)


def state(resource: Resource) -> ResourceStatus | None:
    """The status of an object; None where there is none yet, or it is about an older spec."""
    status: Any = getattr(resource, "status", None)
    if not isinstance(status, ResourceStatus):
        return None
    seen, generation = status.observed_generation, resource.metadata.generation
    return None if seen is not None and generation is not None and seen < generation else status


def ready(status: ResourceStatus | None) -> bool:
    """Whether the object answers."""
    return status is not None and any(each.type == _READY and each.status == "True" for each in status.conditions or ())


def failed(status: ResourceStatus | None) -> str | None:
    """Why the object does not become ready as it is declared; None where it still may."""
    if not isinstance(status, InferenceServiceStatus) or status.model_status is None:
        return None
    if status.model_status.transition_status not in _ENDS:
        return None
    failure = status.model_status.last_failure_info
    said = [failure.reason, failure.message] if failure is not None else []
    return ": ".join(each for each in (status.model_status.transition_status, *said) if each)


def missing(status: ResourceStatus | None) -> tuple[Condition, ...]:
    """The conditions that do not hold; ``Ready`` itself only where it is the only one."""
    every = status.conditions or () if status is not None else ()
    found = [each for each in every if each.status != "True" and each.type != _STOPPED]
    return tuple([each for each in found if each.type != _READY] or found)


def line(event: Mapping[str, Any]) -> str:
    """An event in one line."""
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    message = " ".join(str(event.get("message") or "").split())
    return f"{event.get('type', '')} {event.get('reason', '')}{times}: {message}".strip()


def told(status: ResourceStatus | None, events: Sequence[str]) -> str:
    """What there is to say of an object that is not ready, in lines."""
    lines = [f"  {_condition(each)}" for each in missing(status)]
    if not lines:
        lines = ["  There is no status of this spec. Does an operator run in the cluster?"]
    lines += [f"  {each}" for each in events[-_LATEST_EVENTS:]]
    return "\n".join(lines)


def _condition(condition: Condition) -> str:
    """A condition in one line."""
    reason = f" ({condition.reason})" if condition.reason else ""
    message = f": {' '.join(condition.message.split())}" if condition.message else ""
    return f"{condition.type} is {condition.status}{reason}{message}"
