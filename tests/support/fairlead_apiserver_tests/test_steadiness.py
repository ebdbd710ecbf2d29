"""What an operator applies again and again: the second time nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_apiserver import foreign
from fairlead_apiserver_tests.manifests import APPS, Manifest, config, deployment, service, widget

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead_apiserver.cluster import Cluster


def rich(namespace: str) -> Manifest:
    given = deployment(namespace, replicas=0, paused=False, minReadySeconds=0)
    given["metadata"]["annotations"] = {"empty": ""}
    pod = given["spec"]["template"]["spec"]
    pod |= {"volumes": [{"name": "a", "emptyDir": {}}], "securityContext": {}, "hostNetwork": False, "tolerations": []}
    pod["containers"][0] |= {
        "args": ["--port", "8080"],
        "env": [{"name": "EMPTY", "value": ""}, {"name": "FULL", "value": "x"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "2048Mi"}, "requests": {"cpu": "0.5", "memory": "1Gi"}},
        "volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": False, "subPath": ""}],
        "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 8080, "protocol": "UDP"}],
        "readinessProbe": {"httpGet": {"port": "http"}, "initialDelaySeconds": 0},
        "securityContext": {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True},
    }
    return given


def autoscaler(namespace: str) -> Manifest:
    spec: dict[str, Any] = {"scaleTargetRef": {"apiVersion": APPS, "kind": "Deployment", "name": "one"}}
    metric = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "2048Mi"}}
    spec |= {"minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": metric}], "behavior": {}}
    return made("autoscaling/v2", "HorizontalPodAutoscaler", namespace, spec)


def budget(namespace: str) -> Manifest:
    spec = {"minAvailable": "50%", "selector": {"matchLabels": {"app": "one"}}}
    return made("policy/v1", "PodDisruptionBudget", namespace, spec)


def ingress(namespace: str) -> Manifest:
    backend = {"service": {"name": "one", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {"ingressClassName": "some", "rules": [{"host": "one.example", "http": {"paths": [path]}}]}
    return made("networking.k8s.io/v1", "Ingress", namespace, spec)


def policy(namespace: str) -> Manifest:
    spec = {"podSelector": {"matchLabels": {"app": "one"}}, "ingress": [{"ports": [{"port": 80}]}]}
    return made("networking.k8s.io/v1", "NetworkPolicy", namespace, spec)


def secret(namespace: str) -> Manifest:
    head = {"name": "one", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": head, "data": {"a": "YQ=="}}


def made(api_version: str, kind: str, namespace: str, spec: Manifest) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "one", "namespace": namespace}, "spec": spec}


def clean(given: Manifest) -> Manifest:
    """An object without what controllers write into it in between."""
    metadata = {
        key: value for key, value in given["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    metadata["annotations"] = {
        key: value for key, value in metadata.get("annotations", {}).items() if "kubernetes.io" not in key
    }
    return {**{key: value for key, value in given.items() if key != "status"}, "metadata": metadata}


def owners(given: Manifest) -> list[Manifest]:
    return [each for each in given["metadata"]["managedFields"] if each["manager"] == "tests"]


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize(
    "manifest",
    [rich, autoscaler, budget, ingress, policy, secret, service, config, widget],
    ids=lambda each: each.__name__,
)
def test_applying_the_same_again_changes_nothing(
    cluster: Cluster, namespace: str, manifest: Callable[[str], Manifest]
) -> None:
    first = cluster.apply(manifest(namespace))
    again = cluster.apply(manifest(namespace))
    assert clean(again) == clean(first)
    assert owners(again) == owners(first)


def test_a_deployment_is_stored_without_what_says_nothing(cluster: Cluster, namespace: str) -> None:
    found = cluster.apply(rich(namespace))
    assert {"paused", "minReadySeconds"}.isdisjoint(found["spec"])
    pod = found["spec"]["template"]["spec"]
    assert {"hostNetwork", "tolerations"}.isdisjoint(pod)
    assert pod["volumes"] == [{"name": "a", "emptyDir": {}}]
    container = pod["containers"][0]
    assert container["env"] == [{"name": "EMPTY"}, {"name": "FULL", "value": "x"}]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}
    assert container["volumeMounts"] == [{"name": "a", "mountPath": "/a"}]
    assert found["metadata"]["annotations"]["empty"] == ""


def test_an_annotation_counts_the_generation_of_a_deployment(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace, replicas=0)
    cluster.apply(given)
    given["metadata"]["annotations"] = {"note": "new"}
    assert cluster.apply(given)["metadata"]["generation"] == 2
    patch = {"metadata": {"annotations": {"by": "a controller"}, "labels": {"by": "nobody"}}}
    written = cluster.patch(APPS, "Deployment", "one", patch, namespace, below="status")
    assert written["metadata"]["generation"] == 2
    assert written["metadata"]["annotations"]["by"] == "a controller"
    assert "labels" not in written["metadata"]


def test_an_object_of_another_project_is_steady(cluster: Cluster, namespace: str) -> None:
    route = foreign.definition("HTTPRoute")
    if cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", route["metadata"]["name"]) is not None:
        pytest.skip("the cluster has it")
    with cluster.installed(route):
        rules = [{"matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "one", "port": 80, "weight": 1}]}]
        given = made("gateway.networking.k8s.io/v1", "HTTPRoute", namespace, {"rules": rules})
        first = cluster.apply(given)
        assert cluster.apply(given) == first
        given["spec"]["rules"][0]["backendRefs"].append({"name": "two", "port": 80})
        changed = cluster.apply(given)
        assert (changed["spec"], changed["metadata"]["generation"]) == (given["spec"], 2)
