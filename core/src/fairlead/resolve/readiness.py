"""Whether a revision, and a component, answers: from what was observed of its replicas.

A component answers when every revision that has a part of its traffic does. One at zero replicas answers when it has
answered before, because a request starts a replica. Whether the newest revision made it is another question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead.resolve import conditions
from fairlead.resolve.conditions import Verdict
from fairlead.resolve.observation import ReplicaStage

if TYPE_CHECKING:
    from fairlead.resolve.observation import ComponentObservation, ReplicaObservation, RevisionObservation

__all__ = [
    "BEGINNING",
    "NOT_OBSERVED",
    "answers",
    "coming",
    "component",
    "faulty",
    "hindrance",
    "newest_first",
    "retried",
    "revision",
    "revision_named",
]

BEGINNING: Final = frozenset({ReplicaStage.PENDING, ReplicaStage.FETCHING, ReplicaStage.STARTING})
"""The stages of a replica on its way to its first answer."""

NOT_OBSERVED: Final = Verdict("Unknown", "NotObserved", "Nothing of it is there yet.")

_WAITS: Final = {
    ReplicaStage.PENDING: ("Pending", "A replica is to be started."),
    ReplicaStage.FETCHING: ("Fetching", "The model is being fetched."),
    ReplicaStage.STARTING: ("Starting", "A replica has been started, and has not answered a sample yet."),
    ReplicaStage.READY: ("MinimumReplicasUnavailable", "Fewer replicas than asked for are ready."),
}


def revision_named(observed: ComponentObservation, name: str | None) -> RevisionObservation | None:
    """The revision of a component that has this name; None where it has none."""
    return next((each for each in observed.revisions if each.name == name), None)


def newest_first(revision: RevisionObservation) -> list[ReplicaObservation]:
    """The replicas of a revision but those that are told to end: the newest first, then by name."""
    alive = [each for each in revision.replicas if each.stage is not ReplicaStage.STOPPING]
    return sorted(alive, key=lambda each: (-each.created_at, each.name))


def retried(replica: ReplicaObservation) -> bool:
    """Whether it is on its way for another time, after its process ended or its model could not be fetched."""
    failed = replica.restarts > 0 or replica.exit_code is not None or replica.fetch_failed
    return replica.stage in BEGINNING and failed


def coming(replica: ReplicaObservation) -> bool:
    """Whether it is on its way to its first answer, and nothing has failed on the way."""
    return replica.stage in BEGINNING and not retried(replica)


def faulty(replica: ReplicaObservation) -> bool:
    """Whether something is wrong with it now, or was and is being tried again."""
    return replica.stage in (ReplicaStage.FAILED, ReplicaStage.UNREADY) or retried(replica)


def answers(observed: RevisionObservation) -> bool:
    """Whether a revision answers when it is asked.

    It may take traffic, and has a replica that is ready, or has answered before and has none that failed. One whose
    replicas are ready and leave requests without an answer does not.
    """
    replicas = newest_first(observed)
    sound = observed.answered and not any(map(faulty, replicas))
    return (
        observed.ready and not observed.silent and (sound or any(each.stage is ReplicaStage.READY for each in replicas))
    )


def hindrance(observed: RevisionObservation) -> Verdict | None:
    """Why a revision does not answer whatever its replicas do; None where that depends on them."""
    if observed.silent:
        told = observed.message or "Requests to it get no answer, although its replicas are ready."
        return Verdict("False", observed.reason or "NotAnswering", told)
    return Verdict("False", observed.reason, observed.message) if observed.reason else None


def revision(observed: RevisionObservation, before: Verdict | None = None) -> Verdict:
    """Whether a revision answers.

    Args:
        observed: what there is of it.
        before: what was last said of it, or of the component whose traffic it has. While its replicas come up after
            the revision was at zero, or are tried again, what was true before stays true, and what was false false:
            a condition does not flap with each attempt. Where no request waits for a replica, what was true is not.
    """
    if answers(observed):
        return conditions.TRUE
    if hindered := hindrance(observed):
        return hindered
    replicas = newest_first(observed)
    if wrong := next((each for each in replicas if faulty(each)), None):
        return _fault(wrong, before)
    ruled = observed.verdict
    if ruled is None and before is not None and before.holds and all(map(coming, replicas)):
        return before
    status: Final = "False" if ruled is not None and ruled.status == "False" else "Unknown"
    if replicas and (status == "Unknown" or replicas[0].reason):
        word, message = _WAITS[replicas[0].stage]
        return Verdict(status, replicas[0].reason or word, replicas[0].message or message)
    if ruled is not None:
        return ruled
    if observed.desired:
        return Verdict("Unknown", *_WAITS[ReplicaStage.PENDING])
    return Verdict("Unknown", "NotYetAnswered", "It has no replicas, and none has answered yet. A request starts one.")


def _fault(replica: ReplicaObservation, before: Verdict | None) -> Verdict:
    if replica.reason or replica.message:
        return Verdict("False", replica.reason or _word(replica), replica.message)
    if retried(replica):
        if before is not None and before.status == "False":
            return before
        code = "" if replica.exit_code is None else f" with exit code {replica.exit_code}"
        message = f"{replica.name} ended{code}, and is being started again (restart {replica.restarts})."
        return Verdict("False", "Restarting", message)
    deed = "does not answer any more" if replica.stage is ReplicaStage.UNREADY else "did not start"
    return Verdict("False", _word(replica), f"{replica.name} {deed}.")


def _word(replica: ReplicaObservation) -> str:
    return "RuntimeUnhealthy" if replica.stage is ReplicaStage.UNREADY else "ModelLoadFailed"


def component(observed: ComponentObservation | None, before: Verdict | None = None) -> Verdict:
    """Whether a component answers; where it does and its latest revision fails, why that fails.

    Args:
        observed: what there is of it; None for nothing.
        before: what was last said of it.
    """
    if observed is None:
        return NOT_OBSERVED
    latest = revision_named(observed, observed.latest_created)
    serving = [revision_named(observed, each.revision) for each in observed.traffic if each.percent]
    if not serving:
        return NOT_OBSERVED if latest is None else _not_serving(latest, before)
    verdict = conditions.both(*(NOT_OBSERVED if each is None else revision(each, before) for each in serving))
    if not verdict.holds or latest is None or latest in serving:
        return verdict
    newest = revision(latest)
    if newest.status == "False":
        return Verdict("True", "LatestRevisionFailed", f"{latest.name} does not answer: {newest.message}")
    return conditions.TRUE


def _not_serving(latest: RevisionObservation, before: Verdict | None) -> Verdict:
    """What a component without traffic is: it may be ready, and its traffic not yet decided."""
    verdict = revision(latest, before if before is not None and not before.holds else None)
    return Verdict("Unknown", "NoTraffic", "It is ready, and gets no traffic yet.") if verdict.holds else verdict
