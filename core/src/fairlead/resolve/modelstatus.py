"""What became of the model: KServe's state machine, with replicas in the place of pods.

The newest replica of the revision that the spec asks for decides, so that the status does not flap with the others.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, Literal, get_args

from fairlead.api.status import FailureInfo, ModelCopies, ModelState, ModelStates, ModelStatus
from fairlead.resolve import readiness
from fairlead.resolve.observation import ReplicaStage

if TYPE_CHECKING:
    from fairlead.resolve.observation import ComponentObservation, ReplicaObservation, RevisionObservation

__all__ = ["FailureReason", "failed", "invalid", "model_status"]

FailureReason = Literal[
    "ModelLoadFailed",
    "RuntimeUnhealthy",
    "RuntimeDisabled",
    "NoSupportingRuntime",
    "RuntimeNotRecognized",
    "InvalidPredictorSpec",
]
_REASONS: Final[tuple[FailureReason, ...]] = get_args(FailureReason)
_Transition = Literal["", "UpToDate", "InProgress", "BlockedByFailedLoad", "InvalidSpec"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Outcome:
    """Where the revision that the spec asks for has come to, and what went wrong on the way."""

    transition: _Transition
    target: ModelState
    failure: FailureInfo | None = None


def model_status(observed: ComponentObservation | None, previous: ModelStatus | None, now: str) -> ModelStatus:
    """What became of the model of a predictor.

    Args:
        observed: what there is of the predictor; None for nothing.
        previous: the status before: a failure that goes on keeps its time, and stays while it is tried again.
        now: the time of a failure that is new.
    """
    latest = None if observed is None else readiness.revision_named(observed, observed.latest_created)
    if observed is None or latest is None:
        outcome, ready, broken = _Outcome("InProgress", "Pending"), 0, 0
    else:
        outcome = _outcome(latest, previous, was_ready=latest.name == observed.latest_ready)
        ready = sum(_loaded(each) for each in observed.revisions)
        broken = _broken(latest)
    return ModelStatus(
        transition_status=outcome.transition,
        states=ModelStates(active_model_state=_active(observed), target_model_state=outcome.target),
        last_failure_info=_dated(outcome, latest, previous, now),
        copies=ModelCopies(failed_copies=broken, total_copies=ready),
    )


def invalid(
    condition: str, message: str, observed: ComponentObservation | None, previous: ModelStatus | None, now: str
) -> ModelStatus:
    """What became of the model where the spec cannot be run: what is there may go on answering.

    Args:
        condition: why, in one word.
        message: why, in sentences.
        observed: what there is of the predictor; None for nothing.
        previous: the status before.
        now: the time of a failure that is new.
    """
    known: FailureReason = next((each for each in _REASONS if each == condition), "InvalidPredictorSpec")
    failure = FailureInfo(reason=known, message=message)
    status = model_status(observed, previous, now)
    return status.model_copy(
        update={
            "transition_status": "InvalidSpec",
            "states": ModelStates(active_model_state=_active(observed), target_model_state="FailedToLoad"),
            "last_failure_info": _with_time(failure, previous, now),
        }
    )


def failed(status: ModelStatus | None) -> bool:
    """Whether the revision that the spec asks for is known not to load."""
    return status is not None and status.transition_status == "BlockedByFailedLoad"


def _outcome(latest: RevisionObservation, previous: ModelStatus | None, *, was_ready: bool) -> _Outcome:
    replicas = readiness.newest_first(latest)
    if readiness.answers(latest):
        return _running(latest, replicas)
    if hindered := readiness.hindrance(latest):
        reason: FailureReason = next((each for each in _REASONS if each == hindered.reason), "RuntimeUnhealthy")
        failure = FailureInfo(reason=reason, message=hindered.message or None)
        return _Outcome("BlockedByFailedLoad", "FailedToLoad", failure)
    wakes = was_ready and latest.answered and not _failing(previous, latest.name)
    if wakes and replicas and all(map(readiness.coming, replicas)):
        return _running(latest, replicas)
    if not replicas or readiness.retried(replicas[0]):
        # Between two attempts of what failed, and while one is made, the failure stands.
        if failed(previous) and _failure_of(previous, latest.name):
            return _Outcome("BlockedByFailedLoad", "FailedToLoad", _failure_of(previous, latest.name))
        return _Outcome("InProgress", "Pending")
    newest = replicas[0]
    match newest.stage:
        case ReplicaStage.FAILED | ReplicaStage.UNREADY:
            return _Outcome("BlockedByFailedLoad", "FailedToLoad", _failure(newest))
        case ReplicaStage.FETCHING:
            return _Outcome("InProgress", "Loading")
        case ReplicaStage.READY:
            return _Outcome("InProgress", "Loaded")
        case _:
            return _Outcome("InProgress", "Pending")


def _running(latest: RevisionObservation, replicas: list[ReplicaObservation]) -> _Outcome:
    """Where a revision that may take traffic is: loaded, on its way from zero, or at zero until somebody asks."""
    wrong = next((each for each in replicas if each.stage in (ReplicaStage.FAILED, ReplicaStage.UNREADY)), None)
    failure = None if wrong is None else _failure(wrong)
    if replicas or latest.desired:
        return _Outcome("UpToDate", "Loaded", failure)
    return _Outcome("UpToDate", "Standby")


def _active(observed: ComponentObservation | None) -> ModelState:
    """The state of what has the traffic."""
    shares = () if observed is None else observed.traffic
    serving = {each.revision for each in shares if each.percent}
    revisions = [each for each in (observed.revisions if observed else ()) if each.name in serving]
    replicas = [replica for each in revisions for replica in readiness.newest_first(each)]
    if any(map(_loaded, revisions)):
        return "Loaded"
    if any(readiness.coming(each) for each in replicas):
        return "Loading"
    if revisions and not replicas and all(map(readiness.answers, revisions)):
        return "Standby"
    return "FailedToLoad" if replicas or any(each.silent for each in revisions) else "Pending"


def _loaded(revision: RevisionObservation) -> int:
    """How many of its replicas answer; none where its requests get no answer, whatever its replicas say."""
    ready = sum(each.stage is ReplicaStage.READY for each in readiness.newest_first(revision))
    return 0 if revision.silent else ready


def _broken(revision: RevisionObservation) -> int:
    """How many of its replicas do not answer although they should."""
    replicas = readiness.newest_first(revision)
    mute = [each for each in replicas if revision.silent and each.stage is ReplicaStage.READY]
    return len(mute) + sum(map(readiness.faulty, replicas))


def _failure(replica: ReplicaObservation) -> FailureInfo:
    unhealthy = replica.stage is ReplicaStage.UNREADY
    return FailureInfo(
        location=replica.name,
        reason="RuntimeUnhealthy" if unhealthy else "ModelLoadFailed",
        message=replica.message or replica.reason or None,
        exit_code=replica.exit_code,
    )


def _failure_of(previous: ModelStatus | None, revision: str) -> FailureInfo | None:
    """The failure that was told before, where it is about this revision."""
    info = None if previous is None else previous.last_failure_info
    return info if info is not None and info.model_revision_name == revision else None


def _failing(previous: ModelStatus | None, revision: str) -> bool:
    """Whether this revision has failed, and has not loaded since: also while another attempt is in progress."""
    over = previous is None or previous.transition_status == "UpToDate"
    return not over and _failure_of(previous, revision) is not None


def _dated(
    outcome: _Outcome, latest: RevisionObservation | None, previous: ModelStatus | None, now: str
) -> FailureInfo | None:
    if outcome.failure is not None and latest is not None:
        failure = outcome.failure.model_copy(update={"model_revision_name": latest.name})
        return _with_time(failure, previous, now)
    # While it is tried once more the reason of the last failure helps; once it runs it misleads.
    return _failure_of(previous, latest.name) if latest is not None and outcome.transition == "InProgress" else None


def _with_time(failure: FailureInfo, previous: ModelStatus | None, now: str) -> FailureInfo:
    before = None if previous is None else previous.last_failure_info
    if before is not None and before.time and _timeless(before) == _timeless(failure):
        return failure.model_copy(update={"time": before.time})
    return failure.model_copy(update={"time": now})


def _timeless(failure: FailureInfo) -> dict[str, object]:
    return failure.model_dump(exclude={"time"})
