"""Kubernetes events: what a change of status comes to, as objects whose repetition counts up instead of piling up."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from fairlead.api.status import Condition, InferenceServiceStatus
    from fairlead_operator.desired.model import Manifest

__all__ = ["REPORTER", "Occurrence", "manifest", "of_change", "repeated"]

REPORTER: Final = "fairlead-operator"
"""Who reports events."""

_MOST: Final = 1024
_LONGEST_NAME: Final = 200
_ADVISORY: Final = ("Ready", "Stopped")


@dataclasses.dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an InferenceService.

    Attributes:
        reason: what, in one word, such as ``InferenceServiceReady``.
        message: what, in sentences.
        type: ``Normal``, or ``Warning`` for what somebody should look at.
        about: what tells it from others of the same reason, such as the name of a revision.
    """

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
    about: str = ""


def of_change(
    name: str, before: InferenceServiceStatus | None, after: InferenceServiceStatus
) -> tuple[Occurrence, ...]:
    """What a change of the status of a service comes to.

    Args:
        name: the name of the service.
        before: the status before; None for none.
        after: the status after.
    """
    return (
        *_components(before, after),
        *_canaries(before, after),
        *_problems(before, after),
        *_ready(name, before, after),
    )


def manifest(service: Manifest, occurrence: Occurrence, now: str) -> Manifest:
    """The event of something that happened; the same thing at the same service has the same name.

    Args:
        service: the InferenceService.
        occurrence: what happened.
        now: the time, as RFC 3339 writes it.
    """
    metadata = service["metadata"]
    reference = {
        "apiVersion": service["apiVersion"],
        "kind": service["kind"],
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    identity = "\0".join((reference["uid"], occurrence.type, occurrence.reason, occurrence.about))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:_LONGEST_NAME]}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {key: value for key, value in reference.items() if value},
        "type": occurrence.type,
        "reason": occurrence.reason,
        "message": _cut(occurrence.message),
        "source": {"component": REPORTER},
        "reportingComponent": REPORTER,
        "reportingInstance": REPORTER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def repeated(known: Mapping[str, Any], event: Manifest) -> dict[str, Any]:
    """The merge patch that counts an event up which is there already, and brings its text up to date.

    Args:
        known: the event as the API server has it.
        event: what `manifest` made of what happened again.
    """
    last = event["lastTimestamp"]
    return {"count": int(known.get("count") or 1) + 1, "lastTimestamp": last, "message": event["message"]}


def _components(before: InferenceServiceStatus | None, after: InferenceServiceStatus) -> Iterator[Occurrence]:
    """Revisions that answer now, and traffic that goes elsewhere."""
    for name, each in (after.components or {}).items():
        known = ((before.components if before is not None else None) or {}).get(name)
        ready = each.latest_ready_revision
        if ready and (known is None or known.latest_ready_revision != ready):
            yield Occurrence("RevisionReady", f"Revision {ready} answers.", about=ready)
        moved = known is not None and bool(known.traffic) and known.traffic != each.traffic
        if each.traffic and moved:
            shares = " and ".join(f"{share.percent} % to {share.revision_name}" for share in each.traffic)
            yield Occurrence("TrafficChanged", f"Requests to the {name} go {shares}.", about=name)


def _canaries(before: InferenceServiceStatus | None, after: InferenceServiceStatus) -> Iterator[Occurrence]:
    known = {each.name for each in (before.canary_statuses if before is not None else None) or () if each.ready}
    for each in after.canary_statuses or ():
        if each.ready and each.name not in known:
            said = f"Canary {each.name} answers, and takes {each.traffic_percent} % of the requests."
            yield Occurrence("CanaryReady", said, about=each.name or "")


def _problems(before: InferenceServiceStatus | None, after: InferenceServiceStatus) -> Iterator[Occurrence]:
    """Conditions that warn without taking Ready away, the first time that they do, or for another reason."""
    known = {
        (each.type, each.status, each.reason) for each in (before.conditions if before is not None else None) or ()
    }
    for each in after.conditions or ():
        if each.severity == "Warning" and (each.type, each.status, each.reason) not in known:
            message = each.message or f"{each.type} is {each.status}."
            yield Occurrence(each.reason or each.type, message, "Warning", each.type)


def _ready(name: str, before: InferenceServiceStatus | None, after: InferenceServiceStatus) -> Iterator[Occurrence]:
    was, now = _condition(before, "Ready"), _condition(after, "Ready")
    stopped = _condition(after, "Stopped")
    if now is None or (was is not None and (was.status, was.reason) == (now.status, now.reason)):
        return
    if now.status == "True":
        if was is None or was.status != "True":
            yield Occurrence("InferenceServiceReady", f"InferenceService {name} is Ready.")
    elif stopped is not None and stopped.status == "True":
        yield Occurrence("InferenceServiceStopped", f"InferenceService {name} is stopped: {now.message}")
    elif now.status == "False" or (was is not None and was.status == "True"):
        wrong = [_shown(each) for each in after.conditions or () if _wrong(each)]
        message = f"InferenceService {name} is not Ready: {'; '.join(wrong) or _shown(now)}"
        yield Occurrence("InferenceServiceNotReady", message, "Warning")


def _wrong(condition: Condition) -> bool:
    return condition.status == "False" and condition.type not in _ADVISORY and condition.severity is None


def _shown(condition: Condition) -> str:
    said = ": ".join(each for each in (condition.reason, condition.message) if each)
    return f"{condition.type} ({said})" if said else condition.type


def _condition(status: InferenceServiceStatus | None, kind: str) -> Condition | None:
    return next((each for each in (status.conditions if status is not None else None) or () if each.type == kind), None)


def _cut(text: str) -> str:
    """A message as an API server takes it."""
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
