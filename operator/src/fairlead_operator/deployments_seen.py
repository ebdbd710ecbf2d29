"""Deployments and their pods as the revisions of a component.

What a Deployment's conditions come to is KServe's rule for Standard mode, in its order. Two things differ, because they
are told as on a laptop: a component that starts for the first time is not yet known to fail, and one of which an older
revision answers is ready, whatever becomes of the newer one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead.resolve.conditions import TRUE, Verdict
from fairlead.resolve.observation import (
    ComponentObservation,
    ReplicaObservation,
    ReplicaStage,
    RevisionObservation,
    Share,
)
from fairlead_operator import hindrances, pods_seen

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["HEAD", "WORKER", "Conditions", "answers", "available", "component", "conditions", "merged", "verdict"]

HEAD: Final = "predictor-container"
"""What messages about the head of a component over several nodes begin with."""

WORKER: Final = "worker-container"
"""What messages about its workers begin with."""

Conditions: TypeAlias = Mapping[str, Verdict]
"""What a Deployment says, by the type of the condition."""

_REVISION: Final = "deployment.kubernetes.io/revision"
_HASH: Final = "pod-template-hash"
_ROLLED_OUT: Final = "NewReplicaSetAvailable"
_QUOTED: Final = re.compile(r'"([^"]+)"')
_FAILURE: Final = "ReplicaFailure"
_WAITS: Final = Verdict("Unknown", "Pending", "Its Deployment says nothing of it yet.")


def answers(deployment: Manifest) -> bool:
    """Whether pods of a Deployment answer: one at least, however many there are to be.

    A change that its controller has not seen yet takes nothing away: the pods from before it are still there.
    """
    return int((deployment.get("status") or {}).get("availableReplicas") or 0) > 0


def available(deployment: Manifest, worker: Manifest | None = None) -> bool:
    """Whether a component takes requests: enough pods answer, on all of its nodes, or it is at zero on purpose."""
    return _available(_both(deployment, worker))


def component(
    deployment: Manifest,
    pods: Sequence[Manifest],
    worker: Manifest | None = None,
    workers: Sequence[Manifest] = (),
    *,
    canary: bool = False,
) -> ComponentObservation:
    """What there is of a component.

    Args:
        deployment: its Deployment; that of the head where it runs on several nodes.
        pods: the pods of that.
        worker: the Deployment of its workers, where it has one.
        workers: the pods of that.
        canary: whether one pod that answers is enough for it to take traffic.
    """
    said = _both(deployment, worker)
    serves = answers(deployment) if canary else _available(said)
    latest, older = _split(deployment, pods, said, serves=serves)
    beside = [] if worker is None else [_prefixed(pods_seen.replica(each)) for each in workers]
    beside = [each for each in beside if each.stage is not ReplicaStage.READY]  # a worker is no copy of the model
    newest, *others = _revisions(deployment, (*latest, *beside), older, said, serves=serves)
    traffic = _shares(newest, others[0] if others else None) if serves else ()
    behind = traffic and traffic[0].revision != newest.name
    limited = said.get(_FAILURE) if serves and not behind else None
    return ComponentObservation(
        latest_created=newest.name,
        latest_ready=newest.name if newest.ready else traffic[0].revision if traffic else None,
        latest_rolled_out=next((each.revision for each in traffic if each.percent == 100), None),
        revisions=(newest, *others),
        traffic=traffic,
        limited=_told(limited).message if limited is not None and limited.holds else "",
    )


def _revisions(
    deployment: Manifest,
    latest: tuple[ReplicaObservation, ...],
    older: tuple[ReplicaObservation, ...],
    said: Conditions,
    *,
    serves: bool,
) -> list[RevisionObservation]:
    """The latest revision, and what is left of those before it as one."""
    name, number, desired = deployment["metadata"]["name"], _number(deployment), _desired(deployment)
    rule = TRUE if serves else verdict(said)
    behind = serves and bool(older) and not _ready(latest)
    newest = RevisionObservation(
        name=_revision(name, number),
        desired=desired,
        replicas=latest,
        ready=serves and not behind,
        answered=not desired,
        verdict=_behind(said) if behind else rule,
    )
    if not older:
        return [newest]
    before = RevisionObservation(
        name=_revision(name, number - 1),
        desired=len(older),
        replicas=older,
        ready=serves,
        answered=False,
        verdict=rule,
    )
    return [newest, before]


# -- conditions -----------------------------------------------------------------------------------------


def conditions(deployment: Manifest) -> Conditions:
    """What a Deployment says of the spec that it has; where its controller has not seen that, only what goes on."""
    status = deployment.get("status") or {}
    found = {
        str(each.get("type")): Verdict(_status(each), str(each.get("reason") or ""), str(each.get("message") or ""))
        for each in status.get("conditions") or ()
    }
    if int(status.get("observedGeneration") or 0) < int(deployment["metadata"].get("generation") or 0):
        return {kind: each for kind, each in found.items() if kind == "Available" and each.holds}
    return found


def _both(deployment: Manifest, worker: Manifest | None) -> Conditions:
    said = conditions(deployment)
    return said if worker is None else merged(said, conditions(worker))


def merged(head: Conditions, worker: Conditions) -> Conditions:
    """What the Deployments of a head and of its workers say together: what both have to say, and any failure of one."""
    found = {}
    for kind in [*head, *(each for each in worker if each not in head)]:
        nothing = Verdict("False" if kind == _FAILURE else "Unknown")
        parts = {HEAD: head.get(kind, nothing), WORKER: worker.get(kind, nothing)}
        order = ("True", "Unknown", "False") if kind == _FAILURE else ("False", "Unknown", "True")
        # Where both make progress, one that is still under way decides: the whole is not rolled out yet.
        decisive = min(parts.values(), key=lambda each: (order.index(each.status), each.reason == _ROLLED_OUT))
        message = ", ".join(f"{name}: {each.message}" for name, each in parts.items() if each.message)
        found[kind] = Verdict(decisive.status, decisive.reason, message)
    return found


def verdict(said: Conditions) -> Verdict:
    """Whether a Deployment answers, by its conditions.

    What counts most is told first: replicas that cannot be made, a rollout that stands still, too few replicas, and
    then what holds. While it starts for the first time it is not known to fail.
    """
    available, progress, failure = (said.get(kind) for kind in ("Available", "Progressing", _FAILURE))
    if failure is not None and failure.holds:
        return _told(failure)
    if progress is not None and progress.status == "False" and progress.message:
        return _told(progress)
    if available is not None and available.status == "False":
        starts = progress is not None and progress.holds and progress.reason != _ROLLED_OUT
        return Verdict("Unknown", available.reason, available.message) if starts else _told(available)
    if _available(said):
        return TRUE
    return _WAITS if progress is None else Verdict("Unknown", progress.reason, progress.message)


def _told(condition: Verdict) -> Verdict:
    """That something does not hold, with what a condition says and a remedy."""
    return Verdict("False", condition.reason, hindrances.told(condition.message, condition.reason))


def _behind(said: Conditions) -> Verdict:
    """What is said of a new revision while an older one answers."""
    rule = verdict({kind: each for kind, each in said.items() if kind != "Available"})
    return _WAITS if rule.holds else rule


def _available(said: Conditions) -> bool:
    """Whether a Deployment is known to answer; where it does not say, a rollout that is done does."""
    found, progress = said.get("Available"), said.get("Progressing")
    if found is not None:
        return found.holds
    return progress is not None and progress.holds and progress.reason == _ROLLED_OUT


def _status(condition: Mapping[str, Any]) -> Any:
    status = condition.get("status")
    return status if status in ("True", "False") else "Unknown"


# -- pods -----------------------------------------------------------------------------------------------


def _split(
    deployment: Manifest, pods: Sequence[Manifest], said: Conditions, *, serves: bool
) -> tuple[tuple[ReplicaObservation, ...], tuple[ReplicaObservation, ...]]:
    """The replicas of the latest revision, and those of older ones.

    The Deployment counts, and pods say why: where it knows of more that are ready than pods are known, they count.
    """
    living = [each for each in pods if not pods_seen.finished(each)]
    newest = _newest_hash(deployment, living or pods, said)
    latest = [pods_seen.replica(each) for each in living if _hash(each) == newest]
    if not latest:  # what has ended tells why, until another is made
        latest = [pods_seen.replica(each) for each in pods if _hash(each) == newest]
    older = [pods_seen.replica(each) for each in living if _hash(each) != newest]
    status, desired = deployment.get("status") or {}, _desired(deployment)
    known = max(int(status.get("readyReplicas") or 0), int(serves))
    unseen = min(known, desired) - _ready(latest) - _ready(older)
    progress = said.get("Progressing")
    stands = progress is not None and progress.status == "False" and bool(progress.message)
    outdated = not int(status.get("updatedReplicas") or 0) and int(status.get("replicas") or 0) > 0
    into = older if serves and not latest and (stands or outdated) else latest
    into.extend(_unseen(deployment, unseen) if serves else ())
    return tuple(latest), tuple(older)


def _unseen(deployment: Manifest, count: int) -> list[ReplicaObservation]:
    name = deployment["metadata"]["name"]
    return [
        ReplicaObservation(name=f"{name}-unseen-{index}", stage=ReplicaStage.READY, created_at=0.0)
        for index in range(count)
    ]


def _ready(replicas: Sequence[ReplicaObservation]) -> int:
    return sum(each.stage is ReplicaStage.READY for each in replicas)


def _desired(deployment: Manifest) -> int:
    found = (deployment.get("spec") or {}).get("replicas")
    return 1 if found is None else int(found)


def _newest_hash(deployment: Manifest, pods: Sequence[Manifest], said: Conditions) -> str:
    """What the pods of the latest ReplicaSet are labelled: its Deployment names it, or the newest pod has it."""
    prefix = f"{deployment['metadata']['name']}-"
    progress = said.get("Progressing")
    for name in _QUOTED.findall(progress.message) if progress is not None else ():
        if name.startswith(prefix):
            return str(name.removeprefix(prefix))
    newest = max(pods, key=lambda each: pods_seen.seconds(each["metadata"].get("creationTimestamp")), default=None)
    return "" if newest is None else _hash(newest)


def _hash(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(_HASH, ""))


def _prefixed(replica: ReplicaObservation) -> ReplicaObservation:
    message = f"{WORKER}: {replica.message}" if replica.message else ""
    return dataclasses.replace(replica, message=message)


# -- revisions ------------------------------------------------------------------------------------------


def _number(deployment: Manifest) -> int:
    text = str((deployment["metadata"].get("annotations") or {}).get(_REVISION, "1"))
    return int(text) if text.isdecimal() else 1


def _revision(name: str, number: int) -> str:
    return f"{name}-{number:05d}"


def _shares(newest: RevisionObservation, before: RevisionObservation | None) -> tuple[Share, ...]:
    """The parts of the traffic: a Service gives every pod that is ready the same."""
    fresh, old = _ready(newest.replicas), 0 if before is None else _ready(before.replicas)
    if before is None or not old:
        return (Share(revision=newest.name, percent=100, latest=True),)
    percent = 100 * fresh // (fresh + old)
    rest = Share(revision=before.name, percent=100 - percent, latest=False, tag="prev" if percent else None)
    return (Share(revision=newest.name, percent=percent, latest=True), rest) if percent else (rest,)
