"""What a status says of what does not work, and that it keeps still.

What KServe tests, and where that is tested here:

- invalid storageUri: init container in a crash loop:
  test_a_model_that_cannot_be_fetched_is_told_with_its_message_and_code
- an init container's failure reaches the status: the same
- failure of a Deployment reaches PredictorReady: test_why_a_deployment_makes_no_pods_is_told_with_a_remedy
- CA bundle: no name, no source, no key, all there:
  test_authorities_are_copied_into_the_namespace_or_what_lacks_is_told
- event of NotReady lists what is False: test_the_event_of_a_service_that_is_not_ready_lists_what_is_wrong
- several pods, status stable over reconciles: test_a_status_keeps_still_while_pods_fail_in_different_ways
- restarts of main containers cause no storm: test_restarts_of_a_container_that_answers_write_nothing
- OCI advice by version of Kubernetes: fairlead_operator_tests.desired.test_storage
- pods to services by label: fairlead_operator_tests.engine.test_world
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running.services import HOME, SERVING, isvc

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster
    from fairlead_operator_tests.running.services import Services


def pods(services: Services) -> list[dict[str, Any]]:
    found = [each for each in services.list("Pod") if "deletionTimestamp" not in each["metadata"]]
    return sorted(found, key=lambda each: str(each["metadata"]["name"]))


def version(services: Services) -> str:
    found = services.get("InferenceService", "iris")
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def looked_at(services: Services) -> None:
    """Wait until all that was touched before has been looked at: services are, in the order in which they were."""
    name = f"later-{uuid.uuid4().hex[:6]}"
    services.declare(isvc(name))
    services.settled(name)


def test_a_model_that_cannot_be_fetched_is_told_with_its_message_and_code(services: Services) -> None:
    services.declare(isvc("iris", model={"storageUri": "s3://bucket/nowhere"}))
    services.roll_out("iris-predictor", ready=0)
    [pod] = pods(services)
    services.cluster.fail_pod(
        services.namespace,
        pod["metadata"]["name"],
        container="storage-initializer",
        waiting="CrashLoopBackOff",
        message="The bucket has no such object.",
        exit_code=3,
    )
    found = services.status("iris", lambda each: each["modelStatus"]["transitionStatus"] == "BlockedByFailedLoad")
    failure = found["modelStatus"]["lastFailureInfo"]
    assert (failure["reason"], failure["exitCode"]) == ("ModelLoadFailed", 3)
    assert "The bucket has no such object." in failure["message"]
    assert failure["location"] == pod["metadata"]["name"]
    assert found["modelStatus"]["states"]["targetModelState"] == "FailedToLoad"
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    assert "lastFailureInfo" not in services.settled("iris")["modelStatus"]


def test_an_image_that_cannot_be_pulled_is_told_with_a_remedy(services: Services) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor", ready=0)
    [pod] = pods(services)
    told = {"waiting": "ImagePullBackOff", "message": "Back-off pulling image", "container": "kserve-container"}
    services.cluster.fail_pod(services.namespace, pod["metadata"]["name"], **told)
    said = services.condition("iris", "PredictorReady", "False", "ImagePullBackOff")
    assert "imagePullSecrets" in said["message"]


def test_why_a_deployment_makes_no_pods_is_told_with_a_remedy(services: Services) -> None:
    services.declare(isvc("iris", serviceAccountName="nobody"))
    services.appears("Deployment", "iris-predictor")
    if not services.cluster.real:
        refused = 'pods "iris-predictor-" is forbidden: error looking up serviceaccount: "nobody" not found'
        condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
        status = {"observedGeneration": 1, "conditions": [condition]}
        services.cluster.patch_status("apps/v1", "Deployment", "iris-predictor", status, services.namespace)
    said = services.condition("iris", "PredictorReady", "False", "FailedCreate")
    assert "nobody" in said["message"]
    assert "Make the ServiceAccount" in said["message"]
    services.condition("iris", "Ready", "False")


def test_an_address_that_nobody_can_fetch_is_told_and_what_ran_before_goes_on(services: Services) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    before = services.appears("Deployment", "iris-predictor")["spec"]
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "ftp://bucket/model"}}}})
    found = services.status("iris", lambda each: each["modelStatus"]["transitionStatus"] == "InvalidSpec")
    assert "ftp" in found["modelStatus"]["lastFailureInfo"]["message"]
    assert found["modelStatus"]["states"]["activeModelState"] == "Loaded"
    assert found["components"]["predictor"]["traffic"][0]["percent"] == 100
    assert services.appears("Deployment", "iris-predictor")["spec"] == before
    services.condition("iris", "PredictorReady", "False", "UnsupportedStorageUri")
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "s3://bucket/model"}}}})
    services.status("iris", lambda each: each["modelStatus"]["transitionStatus"] == "UpToDate")


def test_a_service_in_another_mode_is_refused_with_a_remedy(services: Services) -> None:
    services.declare(isvc("iris", annotations={"serving.kserve.io/deploymentMode": "Serverless"}))
    said = services.condition("iris", "PredictorReady", "False", "UnsupportedDeploymentMode")
    assert "Set the annotation serving.kserve.io/deploymentMode: Standard." in said["message"]
    assert services.settled("iris")["deploymentMode"] == "Knative"
    assert not services.names("Deployment") | services.names("Service")


def test_the_event_of_a_service_that_is_not_ready_lists_what_is_wrong(services: Services) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.roll_out("iris-predictor", ready=0)
    services.condition("iris", "Ready", "False")

    def told() -> dict[str, dict[str, Any]]:
        events = {each["reason"]: each for each in services.list("Event")}
        assert events.keys() >= {"InferenceServiceReady", "InferenceServiceNotReady"}
        # It may have been written while the service started, and is then written anew.
        for kind in ("PredictorReady", "IngressReady"):
            assert kind in events["InferenceServiceNotReady"]["message"]
        return events

    event = services.cluster.eventually(told)["InferenceServiceNotReady"]
    assert event["type"] == "Warning"
    assert event["involvedObject"]["name"] == "iris"


def test_a_status_keeps_still_while_pods_fail_in_different_ways(services: Services) -> None:
    services.declare(isvc("iris", annotations={"serving.kserve.io/autoscalerClass": "none"}, minReplicas=3))
    services.roll_out("iris-predictor", ready=0)
    ways: tuple[dict[str, Any], ...] = (
        {"waiting": "CrashLoopBackOff"},
        {"exit_code": 7},
        {"container": "storage-initializer", "exit_code": 2},
    )
    for pod, how in zip(pods(services), ways, strict=True):
        services.cluster.fail_pod(services.namespace, pod["metadata"]["name"], **how)
    services.status("iris", lambda each: each["modelStatus"]["copies"]["failedCopies"] == 3)
    looked_at(services)
    before = version(services)
    for index, pod in enumerate(pods(services)):
        note = {"metadata": {"annotations": {"note": str(index)}}}
        services.patch("Pod", pod["metadata"]["name"], note)
        looked_at(services)
    assert version(services) == before


def test_restarts_of_a_container_that_answers_write_nothing(services: Services) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    looked_at(services)
    before = version(services)
    [pod] = [each for each in pods(services) if each["metadata"]["labels"]["app"] == "isvc.iris-predictor"]
    for count in range(1, 4):
        states = [{**each, "restartCount": count} for each in pod["status"]["containerStatuses"]]
        name = pod["metadata"]["name"]
        services.cluster.patch_status("v1", "Pod", name, {"containerStatuses": states}, services.namespace)
    looked_at(services)
    assert version(services) == before


@contextlib.contextmanager
def authorities(cluster: Cluster, data: dict[str, str] | None) -> Iterator[str]:
    """The name of a ConfigMap of the operator's, which may be there."""
    name = f"authorities-{uuid.uuid4().hex[:8]}"
    if data is not None:
        metadata = {"name": name, "namespace": HOME}
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    yield name
    if data is not None:
        cluster.delete("v1", "ConfigMap", name, HOME)


@pytest.mark.parametrize(
    ("data", "told"),
    [(None, "there is no such ConfigMap"), ({"other": "x"}, "has no cabundle.crt"), ({"cabundle.crt": "pem"}, "")],
)
def test_authorities_are_copied_into_the_namespace_or_what_lacks_is_told(
    services: Services, data: dict[str, str] | None, told: str
) -> None:
    with authorities(services.cluster, data) as name:
        services.configure(storageInitializer={"caBundleConfigMapName": name})
        services.declare(isvc("iris"))
        if told:
            said = services.condition("iris", "ConfigurationReady", "False", "NoAuthorities")
            assert told in said["message"]
            assert not services.get("ConfigMap", "global-ca-bundle")
        else:
            assert services.appears("ConfigMap", "global-ca-bundle")["data"] == data
            services.becomes("Deployment", "iris-predictor", lambda each: "global-ca-bundle" in str(each["spec"]))


def test_without_authorities_nothing_is_copied(services: Services) -> None:
    services.declare(isvc("iris"))
    services.settled("iris")
    assert not services.get("ConfigMap", "global-ca-bundle")


def test_a_status_of_somebody_else_is_kept_beside_ours(services: Services) -> None:
    services.declare(isvc("iris"))
    services.settled("iris")
    services.cluster.patch_status(SERVING, "InferenceService", "iris", {"annotations": {"a": "b"}}, services.namespace)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    assert services.settled("iris")["annotations"] == {"a": "b"}
