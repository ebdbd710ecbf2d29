"""The latest revision of each component: whether it answers, why it does not, and what answers in its place."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from fairlead.resolve import readiness
from fairlead.resolve.observation import ReplicaStage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.local.deployment import Deployment
    from fairlead.local.service import Service
    from fairlead.local.track import Track
    from fairlead.resolve.conditions import Verdict

__all__ = ["Latest", "look"]

State: TypeAlias = Literal["ready", "coming", "failed", "stuck"]

_TRIES: Final = 3
"""Failures in a row after which it is not expected that another attempt helps."""
_BAD: Final = (ReplicaStage.FAILED, ReplicaStage.UNREADY)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The revision that is declared of one component.

    Attributes:
        component: the component, or the name of the canary.
        canary: whether it is one of ``spec.canary``.
        revision: its name.
        state: ``ready``; ``coming`` before its first answer; ``failed``, and tried again; ``stuck`` where each of its
            replicas has failed three times in a row, or is not tried again.
        before: the revisions that have the requests in its place; empty where nothing has, and where it has them.
        reason: why it does not answer, in one word; empty for one that does.
        message: why, in sentences.
        failures: how often it has failed in a row, as often as each of its replicas; 0 where it is not tried again.
    """

    component: str
    canary: bool
    revision: str
    state: State
    before: tuple[str, ...]
    reason: str
    message: str
    failures: int


def look(service: Service, now: float) -> tuple[Latest, ...]:
    """The latest revision of each component that is declared, and of each canary.

    A failure is told as an event where nothing else tells it: once for each revision and reason.
    """
    resolved = service.resolved
    if resolved is None or resolved.stopped or service.unresolved is not None or service.deleted:
        service.failing.clear()
        return ()
    found = tuple(_all(service))
    for each in found:
        told = service.failing.get(each.revision, {})
        if each.state in ("failed", "stuck") and each.reason not in told:
            service.failing.setdefault(each.revision, {})[each.reason] = each.message
            _tell(service, each, now)
    failing = [each.revision for each in found if each.state in ("failed", "stuck")]
    service.failing = {revision: service.failing[revision] for revision in failing}
    return found


def _all(service: Service) -> Iterator[Latest]:
    assert service.resolved is not None
    for kind, component in service.resolved.components.items():
        if (track := service.tracks.get(component.name)) is not None:
            answering = service.tracks.get(service.serving.get(kind, ""))
            shares = answering.shares if answering is not None else ()
            before = tuple(each.revision for each in shares if each.percent)
            yield _latest(service, track, kind.value, before, reached=answering is track)
    for canary in service.resolved.canaries:
        if (track := service.tracks.get(canary.component.name)) is not None:
            yield dataclasses.replace(_latest(service, track, canary.name, (), reached=True), canary=True)


def _latest(service: Service, track: Track, component: str, before: tuple[str, ...], *, reached: bool) -> Latest:
    name = track.ledger.latest_created or ""
    deployment = track.deployments.get(name)
    verdict = readiness.NOT_OBSERVED if deployment is None else readiness.revision(deployment.observation())
    reached = reached and track.ledger.latest_ready == name
    reason, message = _failure(service, name, deployment, verdict)
    state: State = "ready" if reached else "coming"
    if reason:
        state = "stuck" if deployment is not None and _stuck(deployment) else "failed"
    elif not reached:
        reason, message = verdict.reason, verdict.message
    others = () if name in before else before
    return Latest(
        component=component,
        canary=False,
        revision=name,
        state=state,
        before=others,
        reason=reason,
        message=message,
        failures=0 if deployment is None else _failures(deployment),
    )


def _failure(service: Service, revision: str, deployment: Deployment | None, verdict: Verdict) -> tuple[str, str]:
    """Why a revision fails; while it is tried again, why it failed last. Empty words where it does not."""
    if deployment is None or verdict.holds:
        return "", ""
    seen = [each.observation for each in deployment.replicas]
    if verdict.status == "False" and (deployment.silent or any(each.stage in _BAD for each in seen)):
        return verdict.reason, verdict.message
    known = service.failing.get(revision, {})
    return next(reversed(known.items()), ("", ""))


def _stuck(deployment: Deployment) -> bool:
    if not deployment.replicas:
        return deployment.desired == 0  # it was let go, and no request will come that starts it
    return all(each.failures >= _TRIES and not each.ready for each in deployment.replicas)


def _failures(deployment: Deployment) -> int:
    least = min((each.failures for each in deployment.replicas), default=math.inf)
    return 0 if math.isinf(least) else int(least)


def _tell(service: Service, latest: Latest, now: float) -> None:
    """An event of a failure that does not show in whether the service is Ready."""
    why = f"{latest.reason}: {latest.message}".removesuffix(": ")
    if latest.canary:
        service.events.warning(now, "CanaryFailed", f"Canary {latest.component} does not answer: {why}")
    elif latest.before:
        others = " and ".join(latest.before)
        go_on = "goes on" if len(latest.before) == 1 else "go on"
        said = f"Revision {latest.revision} does not answer, and {others} {go_on} answering: {why}"
        service.events.warning(now, "RevisionFailed", said)
