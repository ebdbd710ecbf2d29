"""Deployments, pods and routes: what the status of a service in Standard mode comes to."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.resolve import status
from fairlead.resolve.observation import Ingress
from fairlead_operator import deployments_seen
from fairlead_operator.desired.model import Problem
from fairlead_operator.observing import Seen, observe, ready
from fairlead_operator_tests.desired import services
from fairlead_operator_tests.observing.objects import (
    AT,
    LATER,
    PROGRESSING,
    ROLLED_OUT,
    condition,
    deployment,
    derived,
    pod,
    running,
    waiting,
    words,
)

YES = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
NO = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
STANDS = ("False", "ProgressDeadlineExceeded", 'ReplicaSet "iris-predictor-new" has timed out progressing.')
QUOTA = (
    "True",
    "FailedCreate",
    'pods "x" is forbidden: exceeded quota: gpu, requested: gpu=1, used: gpu=2, limited: gpu=2',
)
HEALTHY = deployment(available=YES, progressing=ROLLED_OUT, ready=1)
PREDICTOR = "iris-predictor"


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"available": YES}, ("True", "")),
        ({"progressing": ROLLED_OUT}, ("True", "")),
        ({"available": YES, "progressing": PROGRESSING}, ("True", "")),
        ({"progressing": PROGRESSING}, ("Unknown", "ReplicaSetUpdated")),
        ({"available": NO, "progressing": PROGRESSING}, ("Unknown", "MinimumReplicasUnavailable")),
        ({"available": NO, "progressing": ROLLED_OUT}, ("False", "MinimumReplicasUnavailable")),
        ({"available": NO}, ("False", "MinimumReplicasUnavailable")),
        ({"available": NO, "progressing": STANDS}, ("False", "ProgressDeadlineExceeded")),
        ({"available": YES, "progressing": STANDS}, ("False", "ProgressDeadlineExceeded")),
        ({"available": YES, "progressing": ("False", "Paused", "")}, ("True", "")),
        ({"available": NO, "progressing": PROGRESSING, "failure": QUOTA}, ("False", "FailedCreate")),
        ({}, ("Unknown", "Pending")),
    ],
)
def test_the_conditions_of_a_deployment_are_weighed_in_their_order(
    conditions: dict[str, Any], expected: tuple[str, str]
) -> None:
    found = deployments_seen.verdict(deployments_seen.conditions(deployment(**conditions)))
    assert (found.status, found.reason) == expected


def test_a_service_whose_deployment_answers_is_ready_although_no_pod_is_known() -> None:
    found = derived(HEALTHY)
    assert words(found, "PredictorReady", "Ready") == dict.fromkeys(("PredictorReady", "Ready"), ("True", None))
    assert found.deployment_mode == "Standard"
    assert found.observed_generation == 4
    assert found.model_status.transition_status == "UpToDate"
    assert found.model_status.states.active_model_state == "Loaded"
    assert found.model_status.copies.total_copies == 1
    assert found.components["predictor"].latest_ready_revision == "iris-predictor-00001"


def test_conditions_alone_are_enough_to_be_ready() -> None:
    bare = deployment(available=YES)
    bare["status"] = {"observedGeneration": 1, "conditions": bare["status"]["conditions"]}
    assert derived(bare).model_status.transition_status == "UpToDate"


def test_nothing_is_known_of_a_service_without_a_deployment() -> None:
    assert words(derived(), "PredictorReady") == {"PredictorReady": ("Unknown", "NotObserved")}


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ((), ("Unknown", "MinimumReplicasUnavailable")),
        ((pod(),), ("Unknown", "Pending")),
        ((pod(init=[running("storage-initializer")]),), ("Unknown", "Fetching")),
        ((pod(containers=[running()]),), ("Unknown", "Starting")),
        ((pod(containers=[waiting("kserve-container", "ImagePullBackOff", "x")]),), ("False", "ImagePullBackOff")),
    ],
)
def test_a_service_that_starts_says_how_far_it_is_and_fails_with_its_pods(
    pods: tuple[dict[str, Any], ...], expected: tuple[str, str]
) -> None:
    found = derived(deployment(available=NO, progressing=PROGRESSING), pods={PREDICTOR: pods})
    assert words(found, "Ready") == {"Ready": expected}


def test_a_deployment_that_stands_still_says_why_at_the_top() -> None:
    found = derived(deployment(available=NO, progressing=STANDS), pods={PREDICTOR: (pod(containers=[running()]),)})
    assert words(found, "PredictorReady", "Ready")["Ready"] == ("False", "ProgressDeadlineExceeded")
    assert "timed out progressing" in condition(found, "Ready").message


def test_pods_that_a_quota_forbids_reach_the_status_with_a_remedy() -> None:
    found = derived(deployment(available=NO, progressing=PROGRESSING, failure=QUOTA))
    assert words(found, "Ready") == {"Ready": ("False", "FailedCreate")}
    assert condition(found, "Ready").message.endswith(
        "Raise the ResourceQuota of the namespace, or ask for less in resources."
    )


def test_replicas_that_a_quota_forbids_beside_those_that_answer_are_a_limit_and_no_failure() -> None:
    found = derived(deployment(available=YES, progressing=ROLLED_OUT, failure=QUOTA, ready=2, replicas=3))
    assert words(found, "Ready", "ReplicasLimited") == {
        "Ready": ("True", None),
        "ReplicasLimited": ("True", "MachineLimit"),
    }


def test_a_service_that_loses_its_pods_is_not_ready_although_others_are_on_their_way() -> None:
    before = derived(HEALTHY)
    lost = deployment(available=NO, progressing=ROLLED_OUT)
    found = derived(lost, pods={PREDICTOR: (pod(containers=[running()]),)}, before=before)
    assert words(found, "Ready") == {"Ready": ("False", "MinimumReplicasUnavailable")}
    assert found.model_status.transition_status == "InProgress"


def test_a_model_that_cannot_be_fetched_is_told_with_its_exit_code_and_the_time_of_the_first_failure() -> None:
    lost = {"reason": "Error", "exitCode": 1, "message": "There is nothing at s3://models/iris."}
    crashing = pod(init=[waiting("storage-initializer", "CrashLoopBackOff", ended=lost)])
    starting = deployment(available=NO, progressing=PROGRESSING)
    first = derived(starting, pods={PREDICTOR: (crashing,)})
    again = derived(starting, pods={PREDICTOR: (crashing,)}, before=first)
    info = again.model_status.last_failure_info
    assert again == first
    assert again.model_status.transition_status == "BlockedByFailedLoad"
    assert (info.reason, info.message, info.exit_code) == ("ModelLoadFailed", lost["message"], 1)
    assert (info.location, info.model_revision_name, info.time) == (
        "iris-predictor-new-a",
        "iris-predictor-00001",
        AT,
    )


def test_the_newest_pod_decides_and_others_do_not_make_the_status_flap() -> None:
    old = pod("a", created=AT, containers=[waiting("kserve-container", "CrashLoopBackOff", "x")])
    new = pod("b", created=LATER, init=[running("storage-initializer")])
    starting = deployment(available=NO, progressing=PROGRESSING, replicas=2)
    assert derived(starting, pods={PREDICTOR: (old, new)}) == derived(starting, pods={PREDICTOR: (new, old)})


def test_pods_that_ended_for_good_do_not_count_beside_those_that_live() -> None:
    gone = pod("a", phase="Failed", reason="Evicted", message="Low on memory.")
    found = derived(HEALTHY, pods={PREDICTOR: (gone, pod("b", ready=LATER))})
    assert found.model_status.last_failure_info is None
    assert found.model_status.copies.failed_copies == 0


# -- rollouts --------------------------------------------------------------------------------------------

OLD = pod("iris-predictor-old-a", of="old", ready=AT)


def test_during_a_rollout_the_older_revision_answers_and_the_traffic_is_what_its_pods_take() -> None:
    rolling = deployment(revision=3, available=YES, progressing=PROGRESSING, ready=1)
    found = derived(rolling, pods={PREDICTOR: (pod(created=LATER, containers=[running()]), OLD)})
    assert words(found, "Ready") == {"Ready": ("True", None)}
    predictor = found.components["predictor"]
    assert (predictor.latest_created_revision, predictor.latest_ready_revision) == (
        "iris-predictor-00003",
        "iris-predictor-00002",
    )
    assert found.model_status.transition_status == "InProgress"
    both = derived(rolling, pods={PREDICTOR: (pod(created=LATER, ready=LATER), OLD)})
    assert [each.percent for each in both.components["predictor"].traffic] == [50, 50]


def test_a_rollout_that_fails_leaves_the_service_ready_and_says_so() -> None:
    failing = deployment(revision=3, available=YES, progressing=STANDS, ready=1)
    crashed = pod(created=LATER, containers=[waiting("kserve-container", "ErrImagePull", "manifest unknown")])
    found = derived(failing, pods={PREDICTOR: (crashed, OLD)})
    assert words(found, "PredictorReady") == {"PredictorReady": ("True", "LatestRevisionFailed")}
    assert "manifest unknown" in condition(found, "PredictorReady").message
    assert found.model_status.transition_status == "BlockedByFailedLoad"


def test_a_rollout_that_fails_says_so_although_no_pod_is_known() -> None:
    found = derived(deployment(revision=3, available=YES, progressing=STANDS, ready=1))
    assert words(found, "PredictorReady") == {"PredictorReady": ("True", "LatestRevisionFailed")}


def test_a_deployment_that_its_controller_has_not_seen_says_nothing_of_failures() -> None:
    stale = deployment(generation=2, observed=1, available=YES, progressing=STANDS, failure=QUOTA, ready=1)
    assert words(derived(stale), "PredictorReady") == {"PredictorReady": ("True", None)}
    never = deployment(generation=1, observed=0, available=NO, progressing=STANDS)
    assert words(derived(never), "PredictorReady") == {"PredictorReady": ("Unknown", "Pending")}


def test_a_component_at_zero_replicas_is_on_standby() -> None:
    asleep = deployment(available=YES, progressing=ROLLED_OUT, replicas=0)
    found = derived(asleep)
    assert words(found, "Ready") == {"Ready": ("True", None)}
    assert found.model_status.states.active_model_state == "Standby"
    assert ready(services.resolved(services.isvc()), {("Deployment", PREDICTOR): asleep}) == {PREDICTOR}


# -- several nodes ---------------------------------------------------------------------------------------


def test_head_and_workers_are_ready_together_and_say_which_of_them_is_not() -> None:
    head = deployments_seen.conditions(HEALTHY)
    workers = deployments_seen.conditions(deployment("iris-predictor-worker", available=NO, progressing=ROLLED_OUT))
    both = deployments_seen.merged(head, workers)
    assert deployments_seen.merged(head, head)["Available"].holds
    assert both["Available"].status == "False"
    assert both["Available"].message == f"predictor-container: {YES[2]}, worker-container: {NO[2]}"
    assert both["Progressing"].reason == "NewReplicaSetAvailable"


def test_workers_that_start_beside_a_head_that_answers_are_not_known_to_fail() -> None:
    workers = deployments_seen.conditions(deployment("w", available=NO, progressing=PROGRESSING))
    found = deployments_seen.verdict(deployments_seen.merged(deployments_seen.conditions(HEALTHY), workers))
    assert found.status == "Unknown"


def test_workers_that_cannot_be_made_are_a_failure_of_the_whole() -> None:
    workers = deployments_seen.conditions(deployment("w", available=NO, progressing=PROGRESSING, failure=QUOTA))
    found = deployments_seen.verdict(deployments_seen.merged(deployments_seen.conditions(HEALTHY), workers))
    assert (found.status, found.reason) == ("False", "FailedCreate")


def test_a_worker_pod_that_fails_is_told_by_the_predictor() -> None:
    worker = deployment("iris-predictor-worker", available=NO, progressing=PROGRESSING)
    crashed = pod("w-1", containers=[waiting("worker-container", "ErrImagePull", "manifest unknown")])
    found = derived(HEALTHY, worker, pods={PREDICTOR: (pod(ready=LATER),), "iris-predictor-worker": (crashed,)})
    assert words(found, "PredictorReady") == {"PredictorReady": ("False", "ErrImagePull")}
    assert condition(found, "PredictorReady").message.startswith("worker-container: manifest unknown")


# -- beside the components -------------------------------------------------------------------------------

CANARY = """{predictor: {model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}}, canary: [{
  trafficPercent: 20, predictor: {name: v2, model: {modelFormat: {name: sklearn}, storageUri: 's3://models/v2'}}}]}"""


@pytest.mark.parametrize(("count", "answers"), [(0, False), (1, True)])
def test_a_canary_is_ready_with_its_first_pod(count: int, answers: bool) -> None:
    canary = deployment("iris-v2-predictor", available=NO, progressing=PROGRESSING, replicas=2, ready=count)
    text = services.isvc(CANARY, annotations={"serving.kserve.io/deploymentMode": "Standard"})
    found = derived(HEALTHY, canary, text=text)
    assert [(each.name, each.ready) for each in found.canary_statuses] == [("v2", answers)]
    assert words(found, "Ready") == {"Ready": ("True", None)}
    objects = {("Deployment", each["metadata"]["name"]): each for each in (HEALTHY, canary)}
    assert ready(services.resolved(text), objects) == {PREDICTOR, *(["iris-v2-predictor"] if answers else [])}


def test_problems_are_conditions_and_only_those_that_ready_asks_take_it_away() -> None:
    problems = (
        Problem("AutoscalerReady", "KedaNotInstalled", "Install KEDA."),
        Problem("ConfigurationReady", "InvalidConfiguration", "deploy: no JSON."),
        Problem("ConfigurationReady", "InvalidConfiguration", "ingress: no JSON."),
    )
    found = derived(HEALTHY, problems=problems)
    assert words(found, "Ready") == {"Ready": ("True", None)}
    assert condition(found, "ConfigurationReady").message == "deploy: no JSON. ingress: no JSON."
    assert condition(found, "AutoscalerReady").severity == "Warning"


def test_what_has_no_effect_is_told_and_takes_nothing_away() -> None:
    found = derived(HEALTHY, notes=("The annotation x has no effect.", "Its mode was Raw.", "Its mode was Raw."))
    advice = condition(found, "Advice")
    assert (advice.status, advice.severity) == ("True", "Info")
    assert advice.message == "The annotation x has no effect. Its mode was Raw."
    assert words(found, "Ready") == {"Ready": ("True", None)}
    assert "Advice" not in {each.type for each in derived(HEALTHY).conditions or ()}
    assert len(condition(derived(HEALTHY, notes=("x" * 9999,)), "Advice").message or "") == 4000


@pytest.mark.parametrize("kind", ["IngressReady", "PredictorReady"])
def test_a_problem_of_what_ready_asks_takes_it_away(kind: str) -> None:
    found = derived(HEALTHY, problems=(Problem(kind, "Missing", "Install it."),))
    assert words(found, kind, "Ready") == dict.fromkeys((kind, "Ready"), ("False", "Missing"))
    assert found.url is None or kind == "PredictorReady"


def test_routes_that_are_not_there_yet_take_ready_and_the_addresses_away() -> None:
    found = derived(HEALTHY, routes=Ingress(ready=False, reason="ParentStatusNotAvailable", message="Wait."))
    assert words(found, "Ready") == {"Ready": ("False", "ParentStatusNotAvailable")}
    assert found.url is None


def test_what_an_earlier_spec_made_is_told_of_beside_a_spec_that_cannot_be_run() -> None:
    wrong = status.Unresolved("iris", "models", "NoSupportingRuntime", "None serves it.", "Standard")
    named = deployment("iris-v1-predictor", available=YES, progressing=ROLLED_OUT, ready=1)
    worker = deployment("iris-v1-predictor-worker", available=YES, labels={"component": "predictor"})
    objects = {("Deployment", each["metadata"]["name"]): each for each in (worker, named)}
    before = derived(HEALTHY).model_copy(update={"url": "http://iris.example.com"})
    found = status.derive(wrong, observe(wrong, Seen(objects=objects)), before, AT)
    assert found.url == "http://iris.example.com"
    assert words(found, "IngressReady") == {"IngressReady": ("True", None)}
    assert found.components is not None
    assert found.components["predictor"].latest_ready_revision == "iris-v1-predictor-00001"
    assert condition(found, "PredictorReady").reason == "NoSupportingRuntime"
