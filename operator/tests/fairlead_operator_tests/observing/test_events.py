"""Events: what a change of status comes to, and how the same thing is told again."""

from __future__ import annotations

from typing import Any, Final

import kubernetes_validate
import pytest

from fairlead.resolve import status as statuses
from fairlead.resolve.observation import Ingress
from fairlead_operator import events
from fairlead_operator.desired.model import Problem
from fairlead_operator.events import Occurrence
from fairlead_operator_tests.desired import services
from fairlead_operator_tests.golden import VERSION
from fairlead_operator_tests.observing.objects import AT, LATER, PROGRESSING, deployment, derived, pod, waiting

YES = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
NO = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
READY = derived(deployment(available=YES, ready=1))
SERVICE: Final[dict[str, Any]] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "iris", "namespace": "models", "uid": "u-1", "resourceVersion": "7"},
}


def told(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(each.type, each.reason) for each in events.of_change("iris", before, after)]


def test_a_service_that_becomes_ready_says_so_once() -> None:
    assert told(None, READY) == [("Normal", "RevisionReady"), ("Normal", "InferenceServiceReady")]
    assert told(READY, READY) == []


def test_a_service_that_starts_says_nothing() -> None:
    assert told(None, derived(deployment(available=NO, progressing=PROGRESSING))) == []


def test_a_service_that_is_not_ready_lists_the_conditions_that_are_false() -> None:
    crashed = pod(containers=[waiting("kserve-container", "ErrImagePull", "manifest unknown")])
    failing = derived(
        deployment(available=NO),
        pods={"iris-predictor": (crashed,)},
        before=READY,
        routes=Ingress(ready=False, reason="NotAccepted", message="No gateway."),
        problems=(Problem("AutoscalerReady", "KedaNotInstalled", "Install KEDA."),),
    )
    *_, last = events.of_change("iris", READY, failing)
    assert (last.type, last.reason) == ("Warning", "InferenceServiceNotReady")
    assert "PredictorReady (ErrImagePull: manifest unknown." in last.message
    assert "IngressReady (NotAccepted: No gateway.)" in last.message
    assert "AutoscalerReady" not in last.message
    assert told(READY, failing)[0] == ("Warning", "KedaNotInstalled")


def test_a_failure_of_another_reason_is_told_again() -> None:
    first = derived(deployment(available=NO))
    second = derived(deployment(available=("False", "Other", "Another reason.")), before=first)
    assert told(first, second) == [("Warning", "InferenceServiceNotReady")]


def test_a_new_revision_is_told_by_its_name_and_traffic_that_moves_to_it() -> None:
    found = events.of_change("iris", READY, derived(deployment(revision=2, available=YES, ready=1), before=READY))
    assert [(each.reason, each.about) for each in found] == [
        ("RevisionReady", "iris-predictor-00002"),
        ("TrafficChanged", "predictor"),
    ]


def test_a_service_that_is_stopped_says_so_and_is_no_failure() -> None:
    text = services.isvc(annotations={"serving.kserve.io/stop": "true"})
    stopped = statuses.derive(services.resolved(text), None, READY, LATER)
    assert told(READY, stopped) == [("Normal", "InferenceServiceStopped")]


@pytest.mark.parametrize("message", ["The Deployment was refused.", "x" * 5000])
def test_an_event_is_an_object_that_an_api_server_takes(message: str) -> None:
    found = events.manifest(SERVICE, Occurrence("UpdateFailed", message, "Warning"), AT)
    kubernetes_validate.validate(found, VERSION, strict=True)
    assert len(found["message"]) <= 1024
    assert found["involvedObject"]["uid"] == "u-1"


def test_the_same_thing_has_the_same_name_whatever_it_says_and_counts_up() -> None:
    first = events.manifest(SERVICE, Occurrence("InternalError", "One.", "Warning"), AT)
    again = events.manifest(SERVICE, Occurrence("InternalError", "Two.", "Warning"), LATER)
    other = events.manifest(SERVICE, Occurrence("RevisionReady", "Three.", about="iris-predictor-00002"), LATER)
    assert first["metadata"]["name"] == again["metadata"]["name"] != other["metadata"]["name"]
    assert events.repeated(first, again) == {"count": 2, "lastTimestamp": LATER, "message": "Two."}


def test_an_event_of_another_object_of_that_name_is_another() -> None:
    renewed = {**SERVICE, "metadata": {**SERVICE["metadata"], "uid": "u-2"}}
    names = {
        events.manifest(each, Occurrence("InternalError", "x"), AT)["metadata"]["name"] for each in (SERVICE, renewed)
    }
    assert len(names) == 2


def test_the_longest_name_of_a_service_makes_a_name_of_an_event() -> None:
    long = {**SERVICE, "metadata": {**SERVICE["metadata"], "name": "a" * 253}}
    assert len(events.manifest(long, Occurrence("InternalError", "x"), AT)["metadata"]["name"]) <= 253
