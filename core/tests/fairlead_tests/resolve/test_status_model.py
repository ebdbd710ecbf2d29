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
