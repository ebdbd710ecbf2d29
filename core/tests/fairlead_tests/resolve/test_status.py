"""Conditions, addresses and components: what the status says of a service."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead.resolve import status
from fairlead.resolve.observation import ComponentObservation, Ingress
from fairlead.resolve.service import ComponentKind
from fairlead.resolve.status import Unresolved
from fairlead_tests.resolve.observing import (
    AT,
    LATER,
    component,
    condition,
    observation,
    replica,
    revision,
    rolled_out,
    service,
    states,
    words,
)

TRANSFORMER, EXPLAINER = ComponentKind.TRANSFORMER, ComponentKind.EXPLAINER
CRASHED = replica("failed", reason="CrashLoopBackOff", message="iris.pkl: no such file.", exit_code=1)
UP = rolled_out()


def test_a_service_that_answers_is_ready_in_all_its_parts() -> None:
    found = status.derive(service(), observation(), None, AT)
    assert words(found) == {
        "IngressReady": ("True", None),
        "LatestDeploymentReady": ("True", None),
        "PredictorConfigurationReady": ("True", None),
        "PredictorReady": ("True", None),
        "PredictorRouteReady": ("True", None),
        "Ready": ("True", None),
        "RoutesReady": ("True", None),
        "Stopped": ("False", None),
    }


def test_conditions_are_in_the_order_of_their_types() -> None:
    found = status.derive(service(TRANSFORMER, EXPLAINER, canaries=[("x", 5)]), None, None, AT)
    kinds = [each.type for each in found.conditions or ()]
    assert kinds == sorted(kinds)
    assert {"ExplainerRoutesReady", "TransformerRouteReady", "CanaryPredictorReady"} <= set(kinds)


def test_a_service_of_the_mode_standard_has_no_conditions_of_knatives() -> None:
    found = status.derive(service(mode="Standard"), observation(), None, AT)
    assert list(words(found)) == ["IngressReady", "PredictorReady", "Ready", "Stopped"]
    assert found.deployment_mode == "Standard"


def test_the_manifest_says_what_kserve_says_and_nothing_is_null() -> None:
    found = status.derive(service(), observation(), None, AT)
    manifest = found.model_dump(by_alias=True, exclude_unset=True)
    assert manifest.pop("conditions")[0] == {"type": "IngressReady", "status": "True", "lastTransitionTime": AT}
    assert manifest == {
        "observedGeneration": 3,
        "url": "http://iris-default.localhost:8080",
        "address": {"url": "http://iris.default.svc"},
        "deploymentMode": "Knative",
        "components": {
            "predictor": {
                "latestReadyRevision": "iris-predictor-00001",
                "latestCreatedRevision": "iris-predictor-00001",
                "latestRolledoutRevision": "iris-predictor-00001",
                "traffic": [{"revisionName": "iris-predictor-00001", "latestRevision": True, "percent": 100}],
                "url": "http://iris-predictor-default.localhost",
                "restUrl": "http://iris-predictor-default.localhost",
            }
        },
        "modelStatus": {
            "transitionStatus": "UpToDate",
            "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
            "copies": {"failedCopies": 0, "totalCopies": 1},
        },
        "clusterServingRuntimeName": "sklearn",
    }


def test_the_runtime_is_named_by_its_kind() -> None:
    found = status.derive(service(runtime_kind="ServingRuntime"), observation(), None, AT)
    assert (found.serving_runtime_name, found.cluster_serving_runtime_name) == ("sklearn", None)


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    starting = observation(component(revision(1, replica("starting"))))
    first = status.derive(service(), starting, None, AT)
    same = status.derive(service(), observation(component(revision(1, replica("fetching")))), first, LATER)
    assert condition(same, "Ready").last_transition_time == AT
    assert (condition(first, "Ready").reason, condition(same, "Ready").reason) == ("Starting", "Fetching")
    ready = status.derive(service(), observation(), same, LATER)
    assert condition(ready, "Ready").last_transition_time == LATER
    assert condition(ready, "Stopped").last_transition_time == AT


def test_a_status_that_is_derived_again_is_the_same() -> None:
    first = status.derive(service(TRANSFORMER), observation(component(revision(1, CRASHED))), None, AT)
    again = status.derive(service(TRANSFORMER), observation(component(revision(1, CRASHED))), first, LATER)
    assert again == first


def test_nothing_is_known_before_anything_was_observed() -> None:
    found = status.derive(service(), None, None, AT)
    assert words(found, "Ready", "PredictorReady", "IngressReady") == dict.fromkeys(
        ("Ready", "PredictorReady", "IngressReady"), ("Unknown", "NotObserved")
    )
    assert (found.url, found.components, found.observed_generation) == (None, None, None)


def test_traffic_and_revisions_of_a_canary_are_those_that_kubectl_prints() -> None:
    split = component(
        revision(2, replica()), revision(1, replica()), traffic=[(2, 20), (1, 80)], previous_rolled_out="gone"
    )
    found = (status.derive(service(), observation(split), None, AT).components or {})["predictor"]
    assert [each.model_dump(exclude_none=True) for each in found.traffic or ()] == [
        {"revision_name": "iris-predictor-00002", "latest_revision": True, "percent": 20},
        {"revision_name": "iris-predictor-00001", "latest_revision": False, "percent": 80, "tag": "prev"},
    ]
    assert found.latest_rolledout_revision == "iris-predictor-00001"
    assert found.previous_rolledout_revision == "gone"


@pytest.mark.parametrize("kind", [TRANSFORMER, EXPLAINER])
def test_a_service_whose_transformer_or_explainer_fails_is_not_ready(kind: ComponentKind) -> None:
    name = f"iris-{kind}"
    failing = component(revision(1, CRASHED, of=name), of=name)
    found = status.derive(service(kind), observation(**{kind.value: failing}), None, AT)
    assert words(found, "Ready", "PredictorReady") == {
        "Ready": ("False", "CrashLoopBackOff"),
        "PredictorReady": ("True", None),
    }
    assert states(found) == ("UpToDate", "Loaded", "Loaded")


def test_a_component_that_nobody_has_seen_yet_is_unknown() -> None:
    found = status.derive(service(TRANSFORMER), observation(), None, AT)
    assert words(found, "TransformerReady", "Ready") == dict.fromkeys(
        ("TransformerReady", "Ready"), ("Unknown", "NotObserved")
    )


def test_a_gateway_that_does_not_route_takes_readiness_and_addresses_away() -> None:
    away = Ingress(ready=False, reason="PortInUse", message="Port 8080 is taken. Choose another with --port.")
    found = status.derive(service(), observation(ingress=away), None, AT)
    assert words(found, "Ready", "IngressReady", "PredictorRouteReady") == dict.fromkeys(
        ("Ready", "IngressReady", "PredictorRouteReady"), ("False", "PortInUse")
    )
    assert (found.url, found.address) == (None, None)


def test_a_component_that_is_on_its_way_tells_why_and_not_the_gateway_that_waits_for_it() -> None:
    waiting = Ingress(ready=False, reason="NotReady", message="No revision is ready to take requests yet.")
    found = status.derive(
        service(), observation(component(revision(1, replica("fetching"))), ingress=waiting), None, AT
    )
    assert words(found, "Ready", "IngressReady") == {
        "Ready": ("Unknown", "Fetching"),
        "IngressReady": ("False", "NotReady"),
    }


def test_a_gateway_that_is_still_at_it_is_unknown() -> None:
    found = status.derive(service(), observation(ingress=Ingress(ready=False)), None, AT)
    assert words(found, "IngressReady") == {"IngressReady": ("Unknown", "NotRouted")}


def test_a_ready_revision_whose_traffic_is_not_decided_yet_is_unknown() -> None:
    found = status.derive(service(), observation(component(revision(1, replica()))), None, AT)
    assert words(found, "PredictorReady") == {"PredictorReady": ("Unknown", "NoTraffic")}


def test_a_service_that_is_stopped_says_nothing_else() -> None:
    before = status.derive(service(canaries=[("x", 5)]), observation(), None, AT)
    found = status.derive(service(TRANSFORMER, canaries=[("x", 5)], stopped=True), observation(), before, LATER)
    stopped = ("CanaryPredictorReady", "IngressReady", "PredictorReady", "Ready", "TransformerReady")
    assert words(found) == {**dict.fromkeys(stopped, ("False", "Stopped")), "Stopped": ("True", None)}
    assert (found.url, found.components, found.model_status, found.canary_statuses) == (None, None, None, None)
    assert (found.deployment_mode, found.observed_generation) == ("Knative", 3)
    again = status.derive(service(), observation(), found, LATER)
    assert words(again, "Ready", "Stopped") == {"Ready": ("True", None), "Stopped": ("False", None)}


def test_replicas_that_the_machine_has_no_room_for_are_a_condition() -> None:
    limited = dataclasses.replace(UP, limited="2 of 5 replicas: the machine has 2 cores.")
    found = status.derive(service(), observation(limited, canaries={"x": limited}), None, AT)
    told = condition(found, "ReplicasLimited")
    assert (told.status, told.reason, told.severity) == ("True", "MachineLimit", "Warning")
    assert told.message == (
        "predictor: 2 of 5 replicas: the machine has 2 cores. canary x: 2 of 5 replicas: the machine has 2 cores."
    )
    assert words(found, "Ready") == {"Ready": ("True", None)}
    assert "ReplicasLimited" not in words(status.derive(service(), observation(), found, LATER))


@pytest.mark.parametrize(
    ("condition_word", "reason"),
    [
        ("NoSupportingRuntime", "NoSupportingRuntime"),
        ("RuntimeDisabled", "RuntimeDisabled"),
        ("InvalidGPUAllocation", "InvalidPredictorSpec"),
    ],
)
def test_a_spec_that_nothing_can_run_is_invalid(condition_word: str, reason: str) -> None:
    wrong = Unresolved(name="iris", namespace="default", condition=condition_word, message="No.", mode="Standard")
    found = status.derive(wrong, None, None, AT)
    assert words(found, "PredictorReady", "Ready") == dict.fromkeys(
        ("PredictorReady", "Ready"), ("False", condition_word)
    )
    assert states(found) == ("InvalidSpec", "Pending", "FailedToLoad")
    assert found.model_status is not None
    assert found.model_status.last_failure_info is not None
    info = found.model_status.last_failure_info
    assert (info.reason, info.message, info.time) == (reason, "No.", AT)
    assert status.derive(wrong, None, found, LATER) == found


def test_what_runs_is_told_while_a_new_spec_cannot_be_run() -> None:
    wrong = Unresolved(name="iris", namespace="default", condition="NoSupportingRuntime", message="No.")
    found = status.derive(wrong, observation(), status.derive(service(), observation(), None, AT), LATER)
    assert states(found) == ("InvalidSpec", "Loaded", "FailedToLoad")
    assert (found.components or {})["predictor"].url == "http://iris-predictor-default.localhost"
    assert found.url == "http://iris-default.localhost:8080"
    healed = status.derive(
        service(), observation(component(revision(1, replica("starting", restarts=1)))), found, LATER
    )
    assert words(healed, "PredictorReady") == {"PredictorReady": ("False", "Restarting")}


def canary_observation(*stages: str, message: str = "") -> ComponentObservation:
    name = "iris-x-predictor"
    return component(revision(1, *(replica(stage, message=message) for stage in stages), of=name), of=name)


def test_canaries_have_a_status_each_with_that_of_their_models() -> None:
    both = {"x": canary_observation("ready"), "y": canary_observation("failed", message="No memory left.")}
    found = status.derive(service(canaries=[("x", 20), ("y", 5)]), observation(canaries=both), None, AT)
    assert [(each.name, each.ready, each.traffic_percent) for each in found.canary_statuses or ()] == [
        ("x", True, 20),
        ("y", False, 5),
    ]
    transitions = [each.model_status.transition_status for each in found.canary_statuses or () if each.model_status]
    assert transitions == ["UpToDate", "BlockedByFailedLoad"]
    told = condition(found, "CanaryPredictorReady")
    assert (told.status, told.reason, told.message) == (
        "False",
        "CanariesNotReady",
        "Not ready: y (No memory left).",
    )
    assert words(found, "Ready") == {"Ready": ("True", None)}


def test_canaries_that_all_answer_are_ready_and_the_condition_goes_with_them() -> None:
    seen = observation(canaries={"x": canary_observation("ready")})
    found = status.derive(service(canaries=[("x", 20)]), seen, None, AT)
    assert words(found, "CanaryPredictorReady") == {"CanaryPredictorReady": ("True", "AllCanariesReady")}
    assert "CanaryPredictorReady" not in words(status.derive(service(), observation(), found, LATER))


def test_a_canary_that_was_not_seen_yet_is_not_ready() -> None:
    found = status.derive(service(canaries=[("x", 20)]), observation(), None, AT)
    assert condition(found, "CanaryPredictorReady").message == "Not ready: x (it has not answered yet)."
