from __future__ import annotations

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import APPS, GROUP, config, deployment, widget

pytestmark = pytest.mark.usefixtures("widgets")


def test_a_new_object_is_of_the_first_generation(cluster: Cluster, namespace: str) -> None:
    assert cluster.create(widget(namespace))["metadata"]["generation"] == 1


def test_what_is_wanted_counts_the_generation(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace, size=1))
    changed = cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 2}}, namespace)
    assert changed["metadata"]["generation"] == 2


def test_metadata_does_not_count_the_generation(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace))
    patch = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["tests.fairlead.dev/x"]}}
    assert cluster.patch(GROUP, "Widget", "one", patch, namespace)["metadata"]["generation"] == 1
    cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, namespace)


def test_the_status_does_not_count_the_generation(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(widget(namespace))
    changed = cluster.patch_status(GROUP, "Widget", "one", {"phase": "Ready"}, namespace)
    assert changed["metadata"]["generation"] == 1
    assert changed["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]


def test_a_write_that_changes_nothing_is_none(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(widget(namespace, size=1))
    patched = cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 1}}, namespace)
    assert patched == created
    assert cluster.update(created) == created


def test_a_status_that_changes_nothing_is_not_written(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace))
    first = cluster.patch_status(GROUP, "Widget", "one", {"phase": "Ready"}, namespace)
    assert cluster.patch_status(GROUP, "Widget", "one", {"phase": "Ready"}, namespace) == first


def test_versions_only_grow(cluster: Cluster, namespace: str) -> None:
    made = [cluster.create(config(namespace, name)) for name in ("one", "two", "three")]
    versions = [int(each["metadata"]["resourceVersion"]) for each in made]
    assert versions == sorted(set(versions))


def test_the_status_is_not_written_with_the_object(cluster: Cluster, namespace: str) -> None:
    created = cluster.create({**widget(namespace), "status": {"phase": "Made"}})
    assert "status" not in created
    cluster.patch_status(GROUP, "Widget", "one", {"phase": "Ready"}, namespace)
    changed = cluster.patch(GROUP, "Widget", "one", {"status": {"phase": "Lost"}, "spec": {"size": 3}}, namespace)
    assert changed["status"] == {"phase": "Ready"}
    assert changed["spec"]["size"] == 3


def test_the_object_is_not_written_with_the_status(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(widget(namespace, size=1))
    given = {**created, "spec": {"size": 9}, "status": {"phase": "Ready"}}
    given["metadata"] = {**created["metadata"], "labels": {"lost": "yes"}}
    written = cluster.update(given, "status")
    assert (written["spec"]["size"], written["status"]) == (1, {"phase": "Ready"})
    assert "labels" not in written["metadata"]


def test_the_status_of_a_version_that_is_past_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(widget(namespace))
    cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 2}}, namespace)
    with pytest.raises(Refused) as refused:
        cluster.update({**created, "status": {"phase": "Ready"}}, "status")
    assert refused.value.code == 409


def test_a_deployment_has_its_status_apart(cluster: Cluster, namespace: str) -> None:
    created = cluster.create({**deployment(namespace, replicas=0), "status": {"replicas": 7}})
    assert created["status"] == {}
    changed = cluster.patch(APPS, "Deployment", "one", {"status": {"replicas": 7}}, namespace)
    assert changed.get("status", {}).get("replicas", 0) == 0


def test_a_deployment_counts_what_is_wanted(cluster: Cluster, namespace: str) -> None:
    assert cluster.create(deployment(namespace, replicas=0))["metadata"]["generation"] == 1
    changed = cluster.patch(APPS, "Deployment", "one", {"spec": {"paused": True}}, namespace)
    assert changed["metadata"]["generation"] == 2


def test_a_deployment_is_scaled_through_its_subresource(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace, replicas=0))
    path = cluster.path(APPS, "Deployment", namespace, "one", "scale")
    scale = cluster.request("GET", path)
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {})
    assert scale["status"]["selector"] == "app=one"
    changed = cluster.patch(APPS, "Deployment", "one", {"spec": {"replicas": 2}}, namespace, below="scale")
    assert changed["spec"] == {"replicas": 2}
    found = cluster.read(APPS, "Deployment", "one", namespace)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (2, 2)


def test_a_defined_kind_is_scaled_through_the_paths_of_its_definition(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace, replicas=3))
    cluster.patch_status(GROUP, "Widget", "one", {"replicas": 2, "selector": "app=one"}, namespace)
    scale = cluster.request("GET", cluster.path(GROUP, "Widget", namespace, "one", "scale"))
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "app=one"})
    scale["spec"]["replicas"] = 5
    path = cluster.path(GROUP, "Widget", namespace, "one", "scale")
    assert cluster.request("PUT", path, scale)["spec"] == {"replicas": 5}
    assert cluster.read(GROUP, "Widget", "one", namespace)["spec"]["replicas"] == 5


def test_a_kind_without_a_subresource_has_no_address_for_it(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace))
    with pytest.raises(Refused) as refused:
        cluster.request("GET", cluster.path("v1", "ConfigMap", namespace, "one", "status"))
    assert refused.value.code == 404
