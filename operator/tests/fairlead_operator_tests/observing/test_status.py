"""What is written of a status: the difference and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.api.status import InferenceServiceStatus
from fairlead_operator import status
from fairlead_operator_tests.observing.objects import LATER, deployment, derived

MODE = "serving.kserve.io/deploymentMode"
YES = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
READY = derived(deployment(available=YES, ready=1))


def stored(found: InferenceServiceStatus) -> dict[str, Any]:
    return found.model_dump(by_alias=True, exclude_none=True)


def merged(target: Any, patch: Any) -> Any:
    """What an API server makes of a merge patch."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merged(target.get(key), value)
    return target


def test_a_status_that_is_the_same_is_not_written() -> None:
    assert status.changed(stored(READY), READY) is None


def test_a_first_status_is_written_whole() -> None:
    assert status.changed({}, READY) == {"status": stored(READY)}


@pytest.mark.parametrize(
    "after",
    [
        derived(deployment(available=("False", "MinimumReplicasUnavailable", "No.")), before=READY),
        derived(),
        InferenceServiceStatus(deployment_mode="Standard"),
    ],
)
def test_the_patch_makes_one_status_of_the_other(after: InferenceServiceStatus) -> None:
    patch = status.changed(stored(READY), after)
    assert patch is not None
    assert merged({"status": stored(READY)}, patch)["status"] == stored(after)


def test_what_is_gone_is_null_and_what_others_wrote_stays() -> None:
    before = {**stored(READY), "annotations": {"theirs": "1"}, "theirField": 7}
    patch = status.changed(before, InferenceServiceStatus(deployment_mode="Standard"))
    assert patch is not None
    assert patch["status"]["components"] is None
    assert not {"annotations", "theirField", "deploymentMode"} & set(patch["status"])


def test_conditions_are_written_as_a_whole_because_they_are_a_list() -> None:
    after = derived(deployment(available=("False", "X", "No.")), before=READY)
    patch = status.changed(stored(READY), after)
    assert patch is not None
    times = {each["type"]: each["lastTransitionTime"] for each in patch["status"]["conditions"]}
    assert times["PredictorReady"] == LATER
    assert times["Stopped"] != LATER


@pytest.mark.parametrize(
    ("annotations", "running", "expected"),
    [
        ({}, None, None),
        ({MODE: "RawDeployment"}, None, "RawDeployment"),
        ({MODE: "Standard"}, "Knative", "Standard"),
        ({"other": "x"}, "Standard", "Standard"),
        ({}, "Serverless", "Serverless"),
        ({}, {"no": "text"}, None),
    ],
)
def test_a_service_that_names_no_mode_keeps_the_one_that_it_runs_in(
    annotations: dict[str, str], running: Any, expected: str | None
) -> None:
    declared = {"metadata": {"name": "iris", "annotations": annotations}, "status": {"deploymentMode": running}}
    kept = status.sticky(declared)
    assert kept["metadata"]["annotations"] == annotations | ({MODE: expected} if expected else {})
    assert declared["metadata"]["annotations"] == annotations
