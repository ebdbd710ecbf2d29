"""Readiness: from the stages of replicas to whether a component, and the service, answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead.resolve import status
from fairlead_tests.resolve.observing import (
    AT,
    LATER,
    component,
    condition,
    observation,
    replica,
    revision,
    service,
    states,
    words,
)

if TYPE_CHECKING:
    from fairlead.resolve.observation import ReplicaObservation

CRASHED = replica("failed", reason="CrashLoopBackOff", message="iris.pkl: no such file.", exit_code=1)


@pytest.mark.parametrize(
    ("stage", "reason"), [("pending", "Pending"), ("fetching", "Fetching"), ("starting", "Starting")]
)
def test_a_replica_on_its_way_is_neither_ready_nor_a_failure(stage: str, reason: str) -> None:
    found = status.derive(service(), observation(component(revision(1, replica(stage)))), None, AT)
    assert words(found, "PredictorReady", "Ready") == dict.fromkeys(("PredictorReady", "Ready"), ("Unknown", reason))


def test_what_a_replica_says_of_its_way_is_told() -> None:
    making = replica("starting", message="An environment with scikit-learn 1.4 is being made.")
    found = status.derive(service(), observation(component(revision(1, making))), None, AT)
    assert condition(found, "Ready").message == "An environment with scikit-learn 1.4 is being made."


def test_a_model_that_does_not_load_shows_its_reason_and_message_at_the_top() -> None:
    found = status.derive(service(), observation(component(revision(1, CRASHED))), None, AT)
    ready = condition(found, "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "CrashLoopBackOff", "iris.pkl: no such file.")
    assert words(found, "LatestDeploymentReady", "RoutesReady") == {
        "LatestDeploymentReady": ("False", "CrashLoopBackOff"),
        "RoutesReady": ("Unknown", "NoTraffic"),
    }


def test_a_revision_that_cannot_run_here_says_so_without_a_replica() -> None:
    blocked = revision(1, desired=1, reason="ImageNeeded", message="Install podman or docker.")
    found = status.derive(service(), observation(component(blocked)), None, AT)
    assert words(found, "PredictorReady") == {"PredictorReady": ("False", "ImageNeeded")}


def test_attempts_to_start_again_do_not_make_a_failure_flap() -> None:
    first = status.derive(service(), observation(component(revision(1, CRASHED))), None, AT)
    again = replica("starting", exit_code=1, restarts=1)
    second = status.derive(service(), observation(component(revision(1, again))), first, LATER)
    assert second == first.model_copy()


def test_a_revision_that_may_take_traffic_and_only_crashes_does_not_count_as_ready() -> None:
    again = replica("starting", exit_code=1, restarts=4)
    crashing = component(revision(1, again, ready=True), traffic=[(1, 100)])
    found = status.derive(service(), observation(crashing), None, AT)
    assert words(found, "Ready") == {"Ready": ("False", "Restarting")}
    assert states(found) == ("InProgress", "FailedToLoad", "Pending")


def test_a_crash_that_nobody_saw_is_told_by_the_restart() -> None:
    before = status.derive(service(), observation(), None, AT)
    again = replica("starting", exit_code=-9, restarts=1)
    found = status.derive(service(), observation(component(revision(1, again), traffic=[(1, 100)])), before, LATER)
    assert condition(found, "Ready").reason == "Restarting"
    assert "exit code -9" in (condition(found, "Ready").message or "")


def test_a_service_at_zero_that_has_answered_is_ready() -> None:
    at_zero = component(revision(1, ready=True), traffic=[(1, 100)])
    found = status.derive(service(), observation(at_zero), None, AT)
    assert words(found, "Ready", "LatestDeploymentReady") == dict.fromkeys(
        ("Ready", "LatestDeploymentReady"), ("True", None)
    )


def test_a_service_that_wakes_stays_ready() -> None:
    at_zero = status.derive(service(), observation(component(revision(1, ready=True), traffic=[(1, 100)])), None, AT)
    for stage in ("pending", "fetching", "starting"):
        waking = component(revision(1, replica(stage)), traffic=[(1, 100)])
        found = status.derive(service(), observation(waking), at_zero, LATER)
        assert words(found, "Ready", "PredictorConfigurationReady") == dict.fromkeys(
            ("Ready", "PredictorConfigurationReady"), ("True", None)
        )
        assert states(found) == ("UpToDate", "Loading", "Loaded")


def test_a_service_that_fails_as_it_wakes_is_not_ready() -> None:
    at_zero = status.derive(service(), observation(component(revision(1, ready=True), traffic=[(1, 100)])), None, AT)
    found = status.derive(service(), observation(component(revision(1, CRASHED), traffic=[(1, 100)])), at_zero, LATER)
    assert words(found, "Ready") == {"Ready": ("False", "CrashLoopBackOff")}


def test_a_service_whose_model_cannot_be_fetched_as_it_wakes_is_not_ready_between_attempts_either() -> None:
    told: dict[str, Any] = {"reason": "FetchFailed", "message": "No such bucket.", "fetch_failed": True}
    first = component(revision(1, replica("failed", **told), ready=True), traffic=[(1, 100)])
    before = status.derive(service(), observation(first), None, AT)
    again = component(revision(1, replica("fetching", **told), ready=True), traffic=[(1, 100)])
    found = status.derive(service(), observation(again), before, LATER)
    assert words(found, "Ready") == words(before, "Ready") == {"Ready": ("False", "FetchFailed")}
    assert found == before


def test_a_service_that_began_at_zero_is_not_ready_before_it_has_answered() -> None:
    asleep = component(revision(1, ready=True, answered=False), traffic=[(1, 100)])
    found = status.derive(service(), observation(asleep), None, AT)
    assert words(found, "Ready") == {"Ready": ("Unknown", "NotYetAnswered")}
    assert states(found) == ("InProgress", "Pending", "Pending")
    assert found.url == "http://iris-default.localhost:8080"
    waking = component(revision(1, replica("starting"), ready=True, answered=False), traffic=[(1, 100)])
    second = status.derive(service(), observation(waking), found, LATER)
    assert words(second, "Ready") == {"Ready": ("Unknown", "Starting")}


def test_a_replica_that_answers_no_more_makes_the_service_unready() -> None:
    before = status.derive(service(), observation(), None, AT)
    hung = component(revision(1, replica("unready")), traffic=[(1, 100)])
    found = status.derive(service(), observation(hung), before, LATER)
    assert words(found, "Ready") == {"Ready": ("False", "RuntimeUnhealthy")}
    assert (found.components or {})["predictor"].url is None


def test_one_bad_replica_among_good_ones_does_not_take_readiness_away() -> None:
    mixed = component(
        revision(1, replica(name="a"), replica("failed", "b", 2.0, message="Killed.")), traffic=[(1, 100)]
    )
    found = status.derive(service(), observation(mixed), None, AT)
    assert words(found, "Ready") == {"Ready": ("True", None)}
    assert found.model_status is not None
    assert found.model_status.copies is not None
    assert found.model_status.copies.failed_copies == 1
    assert found.model_status.last_failure_info is not None


@pytest.mark.parametrize("mode", ["Knative", "Standard"])
def test_a_new_revision_that_fails_leaves_the_service_ready_and_is_told(mode: str) -> None:
    rollout = component(revision(2, CRASHED), revision(1, replica()), traffic=[(1, 100)])
    found = status.derive(service(mode=mode), observation(rollout), None, AT)
    assert words(found, "Ready", "PredictorReady") == {
        "Ready": ("True", None),
        "PredictorReady": ("True", "LatestRevisionFailed"),
    }
    told = "iris-predictor-00002 does not answer: iris.pkl: no such file."
    assert condition(found, "PredictorReady").message == told
    assert states(found) == ("BlockedByFailedLoad", "Loaded", "FailedToLoad")
    if mode == "Knative":
        assert words(found, "PredictorConfigurationReady", "LatestDeploymentReady", "RoutesReady") == {
            "PredictorConfigurationReady": ("False", "CrashLoopBackOff"),
            "LatestDeploymentReady": ("False", "CrashLoopBackOff"),
            "RoutesReady": ("True", None),
        }


def test_a_canary_with_a_share_that_fails_makes_the_service_unready() -> None:
    split = component(revision(2, CRASHED), revision(1, replica()), traffic=[(2, 20), (1, 80)])
    found = status.derive(service(), observation(split), None, AT)
    assert words(found, "Ready") == {"Ready": ("False", "CrashLoopBackOff")}


def test_a_canary_without_traffic_that_fails_does_not() -> None:
    pinned = component(revision(2, CRASHED), revision(1, replica()), traffic=[(2, 0), (1, 100)])
    found = status.derive(service(), observation(pinned), None, AT)
    assert words(found, "Ready") == {"Ready": ("True", None)}


SILENT: Final[dict[str, Any]] = {
    "silent": True,
    "reason": "NotAnswering",
    "message": "The last 3 requests had no answer within 5 s.",
}


@pytest.mark.parametrize("replicas", [[], [replica()], [replica("starting")]])
def test_a_revision_that_leaves_requests_without_an_answer_is_not_ready_whatever_its_replicas_say(
    replicas: list[ReplicaObservation],
) -> None:
    before = status.derive(service(), observation(), None, AT)
    mute = component(revision(1, *replicas, ready=True, **SILENT), traffic=[(1, 100)])
    found = status.derive(service(), observation(mute), before, LATER)
    assert words(found, "Ready", "LatestDeploymentReady") == dict.fromkeys(
        ("Ready", "LatestDeploymentReady"), ("False", "NotAnswering")
    )
    assert condition(found, "Ready").message == "The last 3 requests had no answer within 5 s."
    assert (found.components or {})["predictor"].url is None
    again = status.derive(service(), observation(), found, LATER)
    assert words(again, "Ready") == {"Ready": ("True", None)}


def test_a_revision_that_leaves_requests_without_an_answer_and_says_no_more_is_not_ready_either() -> None:
    mute = component(revision(1, replica(), silent=True), traffic=[(1, 100)])
    found = status.derive(service(), observation(mute), None, AT)
    assert words(found, "Ready") == {"Ready": ("False", "NotAnswering")}
    assert "no answer" in (condition(found, "Ready").message or "")
