"""modelStatus: what became of the model, by the newest replica of the revision that the spec asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead.resolve import status
from fairlead_tests.resolve.observing import (
    AT,
    LATER,
    component,
    observation,
    replica,
    revision,
    rolled_out,
    service,
    states,
)

if TYPE_CHECKING:
    from fairlead.api.status import FailureInfo, InferenceServiceStatus
    from fairlead.resolve.observation import ComponentObservation

NAME = "iris-predictor-00001"


def derived(
    predictor: ComponentObservation, previous: InferenceServiceStatus | None = None, now: str = AT
) -> InferenceServiceStatus:
    return status.derive(service(), observation(predictor), previous, now)


def failure(found: InferenceServiceStatus) -> FailureInfo:
    assert found.model_status is not None
    assert found.model_status.last_failure_info is not None
    return found.model_status.last_failure_info


def copies(found: InferenceServiceStatus) -> tuple[int, int | None]:
    assert found.model_status is not None
    assert found.model_status.copies is not None
    return found.model_status.copies.failed_copies, found.model_status.copies.total_copies


@pytest.mark.parametrize(
    ("stage", "target"), [("pending", "Pending"), ("fetching", "Loading"), ("starting", "Pending")]
)
def test_a_first_replica_on_its_way_is_in_progress(stage: str, target: str) -> None:
    found = derived(component(revision(1, replica(stage))))
    assert states(found) == ("InProgress", "Pending", target)


def test_no_replica_yet_is_pending() -> None:
    assert states(derived(component(revision(1, desired=1)))) == ("InProgress", "Pending", "Pending")
    assert states(derived(component())) == ("InProgress", "Pending", "Pending")


def test_a_revision_that_answers_is_loaded_and_up_to_date() -> None:
    found = derived(rolled_out())
    assert states(found) == ("UpToDate", "Loaded", "Loaded")
    assert copies(found) == (0, 1)


def test_a_revision_that_needs_more_replicas_is_loaded_and_in_progress() -> None:
    found = derived(component(revision(1, replica(), desired=2, ready=False)))
    assert states(found) == ("InProgress", "Pending", "Loaded")


@pytest.mark.parametrize("fetch_failed", [True, False])
def test_a_model_that_cannot_be_fetched_or_loaded_blocks_with_its_reason(fetch_failed: bool) -> None:
    crashed = replica("failed", "r7", message="No such bucket.", exit_code=2, fetch_failed=fetch_failed)
    found = derived(component(revision(1, crashed)))
    assert states(found) == ("BlockedByFailedLoad", "Pending", "FailedToLoad")
    assert failure(found).model_dump(exclude_none=True) == {
        "location": "r7",
        "reason": "ModelLoadFailed",
        "message": "No such bucket.",
        "model_revision_name": "iris-predictor-00001",
        "time": AT,
        "exit_code": 2,
    }
    assert copies(found) == (1, 0)


def test_a_failure_keeps_its_time_until_it_is_another() -> None:
    crashed = component(revision(1, replica("failed", message="No such bucket.")))
    first = derived(crashed)
    assert failure(derived(crashed, first, LATER)).time == AT
    other = component(revision(1, replica("failed", message="Out of memory.")))
    assert failure(derived(other, first, LATER)).time == LATER


@pytest.mark.parametrize("stage", ["pending", "fetching", "starting"])
def test_a_failure_stands_while_it_is_tried_again(stage: str) -> None:
    first = derived(component(revision(1, replica("failed", message="No.", exit_code=1))))
    again = derived(component(revision(1, replica(stage, restarts=1, exit_code=1))), first, LATER)
    assert states(again)[0::2] == ("BlockedByFailedLoad", "FailedToLoad")
    assert failure(again) == failure(first)
    gone = derived(component(revision(1, desired=1)), again, LATER)
    assert failure(gone) == failure(first)


def test_a_failure_is_forgotten_when_the_model_loads() -> None:
    first = derived(component(revision(1, replica("failed", message="No."))))
    healed = derived(rolled_out(), first, LATER)
    assert healed.model_status is not None
    assert healed.model_status.last_failure_info is None


def test_the_failure_of_an_earlier_revision_says_nothing_of_the_next() -> None:
    first = derived(component(revision(1, replica("failed", message="No."))))
    found = derived(component(revision(2, replica("starting"))), first, LATER)
    assert found.model_status is not None
    assert found.model_status.last_failure_info is None
    assert states(found) == ("InProgress", "Pending", "Pending")


def test_a_new_replica_of_a_revision_that_failed_is_in_progress_and_the_failure_is_still_told() -> None:
    first = derived(component(revision(1, replica("failed", message="No."))))
    found = derived(component(revision(1, replica("fetching", "r2", 5.0), replica("stopping"))), first, LATER)
    assert states(found) == ("InProgress", "Pending", "Loading")
    assert failure(found).message == "No."


def test_only_the_newest_replica_decides() -> None:
    old, new = replica("failed", "a", 1.0, message="No."), replica("fetching", "b", 2.0)
    assert states(derived(component(revision(1, old, new))))[2] == "Loading"
    tied = replica("failed", "c", 2.0, message="No.")
    assert states(derived(component(revision(1, tied, new))))[2] == "Loading"


def test_what_answers_is_told_beside_what_is_to_answer() -> None:
    rollout = component(revision(2, replica("fetching")), revision(1, replica()), traffic=[(1, 100)])
    found = derived(rollout)
    assert states(found) == ("InProgress", "Loaded", "Loading")
    assert copies(found) == (0, 1)


def test_a_model_at_zero_stands_by() -> None:
    found = derived(component(revision(1, ready=True), traffic=[(1, 100)]))
    assert states(found) == ("UpToDate", "Standby", "Standby")
    assert copies(found) == (0, 0)


def test_a_model_that_drains_to_zero_stands_by_already() -> None:
    found = derived(component(revision(1, replica("stopping"), ready=True, desired=0), traffic=[(1, 100)]))
    assert states(found) == ("UpToDate", "Standby", "Standby")


def test_a_replica_that_answers_no_more_is_unhealthy() -> None:
    found = derived(component(revision(1, replica("unready")), traffic=[(1, 100)]))
    assert states(found) == ("BlockedByFailedLoad", "FailedToLoad", "FailedToLoad")
    assert failure(found).reason == "RuntimeUnhealthy"


@pytest.mark.parametrize(("word", "reason"), [("ImageNeeded", "RuntimeUnhealthy"), ("ModelLoadFailed",) * 2])
def test_a_revision_that_cannot_run_here_blocks(word: str, reason: str) -> None:
    found = derived(component(revision(1, desired=1, reason=word, message="Install podman.")))
    assert states(found) == ("BlockedByFailedLoad", "Pending", "FailedToLoad")
    assert (failure(found).reason, failure(found).message) == (reason, "Install podman.")


def test_an_attempt_after_a_failure_is_in_progress_until_it_loads_however_often_it_is_looked_at() -> None:
    first = derived(component(revision(1, replica("unready")), traffic=[(1, 100)]))
    attempt = component(revision(1, replica("starting", "r2", 5.0)), traffic=[(1, 100)], latest_ready=NAME)
    second = derived(attempt, first, LATER)
    assert states(second) == ("InProgress", "Loading", "Pending")
    assert failure(second) == failure(first)
    assert derived(attempt, second, LATER) == second


def test_the_failure_of_another_revision_does_not_hold_back_one_that_wakes() -> None:
    first = derived(component(revision(2, replica("failed", message="No."))))
    waking = component(revision(1, replica("starting")), traffic=[(1, 100)], latest_ready=NAME)
    second = derived(waking, first, LATER)
    assert states(second) == ("UpToDate", "Loading", "Loaded")
    assert second.model_status is not None
    assert second.model_status.last_failure_info is None
    assert derived(waking, second, LATER) == second


def test_a_model_that_began_at_zero_is_in_progress_until_it_first_loads() -> None:
    waking = component(revision(1, replica("starting"), ready=True, answered=False), traffic=[(1, 100)])
    assert states(derived(waking)) == ("InProgress", "Loading", "Pending")


def test_a_model_that_leaves_requests_without_an_answer_has_failed() -> None:
    told = {"reason": "NotAnswering", "message": "The last 3 requests had no answer within 5 s."}
    ready = [replica(), replica(name="r2"), replica("stopping", "r3")]
    found = derived(component(revision(1, *ready, silent=True, **told), traffic=[(1, 100)]), derived(rolled_out()))
    assert states(found) == ("BlockedByFailedLoad", "FailedToLoad", "FailedToLoad")
    assert copies(found) == (2, 0)
    assert (failure(found).reason, failure(found).message) == ("RuntimeUnhealthy", told["message"])
    at_zero = derived(component(revision(1, ready=True, silent=True, **told), traffic=[(1, 100)]), found)
    assert states(at_zero) == ("BlockedByFailedLoad", "FailedToLoad", "FailedToLoad")


def test_a_failed_model_is_not_woken_while_its_revision_cannot_answer() -> None:
    waking = revision(1, replica("starting"), ready=True, silent=True, reason="NotAnswering", message="No answer.")
    found = derived(component(waking, traffic=[(1, 100)]), derived(rolled_out()))
    assert states(found)[0] == "BlockedByFailedLoad"
