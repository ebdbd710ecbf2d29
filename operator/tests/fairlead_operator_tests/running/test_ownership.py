"""Objects that are already there: those of KServe are taken over, those of others are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running.services import isvc, runtime

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

FINALIZER = "inferenceservice.finalizers"


def made_by_kserve(owner: dict[str, Any]) -> list[dict[str, Any]]:
    """What a controller of KServe has made for a predictor."""
    metadata = {
        "name": "iris-predictor",
        "labels": {
            "app": "isvc.iris-predictor",
            "component": "predictor",
            "serving.kserve.io/inferenceservice": "iris",
        },
        "annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": "s3://bucket/model"},
        "ownerReferences": [
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "name": "iris",
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    selector = {"app": "isvc.iris-predictor"}
    container = {
        "name": "kserve-container",
        "image": "kserve/sklearnserver:v0.15",
        "env": [{"name": "OLD", "value": "1"}],
    }
    template = {"metadata": {"labels": metadata["labels"]}, "spec": {"containers": [container]}}
    port = {"name": "iris-predictor", "port": 80, "targetPort": 8080, "protocol": "TCP"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-predictor"}
    specs = {
        ("apps/v1", "Deployment"): {"replicas": 4, "selector": {"matchLabels": selector}, "template": template},
        ("v1", "Service"): {"selector": selector, "ports": [port]},
        ("autoscaling/v2", "HorizontalPodAutoscaler"): {"maxReplicas": 4, "minReplicas": 4, "scaleTargetRef": target},
    }
    return [
        {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        for (version, kind), spec in specs.items()
    ]


def variables(deployment: dict[str, Any]) -> set[str]:
    return {each["name"] for each in deployment["spec"]["template"]["spec"]["containers"][0].get("env", ())}


@pytest.mark.parametrize("count", [4, 5])
def test_objects_that_kserve_made_for_a_service_are_taken_over(services: Services, count: int) -> None:
    owner = services.declare(isvc("iris", model={"runtime": "own"}, minReplicas=2, maxReplicas=9))
    services.condition("iris", "PredictorReady", "False", "RuntimeNotRecognized")
    made = [services.declare(each) for each in made_by_kserve(owner)]
    scale = {"spec": {"replicas": count}}  # 4 is what KServe has written itself
    services.cluster.patch("apps/v1", "Deployment", "iris-predictor", scale, services.namespace, below="scale")
    services.declare(runtime("own", kind="ServingRuntime"))
    found = services.becomes("Deployment", "iris-predictor", lambda each: "example/own:1" in str(each["spec"]))
    services.becomes("HorizontalPodAutoscaler", "iris-predictor", lambda each: each["spec"]["minReplicas"] == 2)
    for each in made:
        now = services.appears(each["kind"], "iris-predictor")
        assert now["metadata"]["uid"] == each["metadata"]["uid"]
        assert not [key for key in now["metadata"]["annotations"] if key.startswith("internal.")], now["metadata"]
    assert found["spec"]["replicas"] == count
    assert "OLD" not in variables(found)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")


def test_what_somebody_adds_to_an_object_stays(services: Services) -> None:
    services.declare(isvc("iris"))
    services.appears("Deployment", "iris-predictor")
    note = {"metadata": {"annotations": {"example.com/note": "theirs"}}}
    services.patch("Deployment", "iris-predictor", note)
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "s3://bucket/other"}}}})
    found = services.becomes("Deployment", "iris-predictor", lambda each: "s3://bucket/other" in str(each["spec"]))
    assert found["metadata"]["annotations"]["example.com/note"] == "theirs"


@pytest.mark.parametrize("kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "Ingress"])
def test_an_object_of_somebody_else_is_left_alone_and_told_with_a_remedy(services: Services, kind: str) -> None:
    theirs = next(each for each in foreign() if each["kind"] == kind)
    made = services.declare(theirs)
    services.declare(isvc("iris"))
    condition = {"HorizontalPodAutoscaler": "AutoscalerReady", "Ingress": "IngressReady"}.get(kind, "PredictorReady")
    said = services.condition("iris", condition, "False", "ObjectNotOwned")
    assert f"{kind} {theirs['metadata']['name']}" in said["message"]
    assert "Delete it, or give the InferenceService another name." in said["message"]
    found = services.appears(kind, theirs["metadata"]["name"])
    assert (found["metadata"]["uid"], found["spec"]) == (made["metadata"]["uid"], made["spec"])
    services.delete(kind, theirs["metadata"]["name"])
    services.annotate("iris", note="look again")
    services.becomes(kind, theirs["metadata"]["name"], lambda each: each["metadata"].get("ownerReferences"))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")


def foreign() -> list[dict[str, Any]]:
    """Objects with the names of a service's, which are of nobody."""
    selector = {"app": "theirs"}
    pod = {"containers": [{"name": "kserve-container", "image": "example/theirs:1"}]}
    template = {"metadata": {"labels": selector}, "spec": pod}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs"}
    backend = {"service": {"name": "theirs", "port": {"number": 80}}}
    found = (
        ("apps/v1", "Deployment", "iris-predictor", {"selector": {"matchLabels": selector}, "template": template}),
        ("v1", "Service", "iris-predictor", {"selector": selector, "ports": [{"port": 80}]}),
        ("autoscaling/v2", "HorizontalPodAutoscaler", "iris-predictor", {"maxReplicas": 3, "scaleTargetRef": target}),
        ("networking.k8s.io/v1", "Ingress", "iris", {"defaultBackend": backend}),
    )
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for version, kind, name, spec in found
    ]


def test_what_belonged_to_a_service_of_that_name_before_is_not_taken_for_its_own(services: Services) -> None:
    services.declare(isvc("iris"))
    before = services.appears("Deployment", "iris-predictor")["metadata"]["uid"]
    services.delete("InferenceService", "iris")
    services.disappears("InferenceService", "iris")
    services.declare(isvc("iris"))
    services.becomes("Deployment", "iris-predictor", lambda each: each["metadata"]["uid"] != before)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")


def test_a_service_of_kserve_is_let_go_of_its_finalizer_and_of_no_other(services: Services) -> None:
    manifest = isvc("iris")
    manifest["metadata"]["finalizers"] = [FINALIZER, "example.com/own"]
    services.declare(manifest)
    services.appears("Deployment", "iris-predictor")
    services.delete("InferenceService", "iris")
    services.becomes("InferenceService", "iris", lambda each: each["metadata"]["finalizers"] == ["example.com/own"])
    services.change("iris", {"metadata": {"finalizers": None}})
    services.disappears("InferenceService", "iris")
    services.disappears("Deployment", "iris-predictor")
