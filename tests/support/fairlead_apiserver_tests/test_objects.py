from __future__ import annotations

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import APPS, GROUP, config, deployment, service, widget


def test_a_created_object_has_what_only_the_server_gives(cluster: Cluster, namespace: str) -> None:
    metadata = cluster.create(config(namespace))["metadata"]
    assert len(metadata["uid"]) == 36
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["creationTimestamp"].endswith("Z")
    assert "generation" not in metadata


def test_an_object_is_read_as_it_was_written(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(config(namespace))
    assert cluster.read("v1", "ConfigMap", "one", namespace) == created


def test_a_second_object_of_the_same_name_already_exists(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace))
    with pytest.raises(Refused, match=r'^deployments\.apps "one" already exists$') as refused:
        cluster.create(deployment(namespace))
    assert (refused.value.code, refused.value.reason) == (409, "AlreadyExists")
    assert refused.value.status["details"] == {"name": "one", "group": "apps", "kind": "deployments"}


def test_an_object_that_is_not_there_is_not_found(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match=r'^configmaps "none" not found$') as refused:
        cluster.read("v1", "ConfigMap", "none", namespace)
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")
    assert refused.value.status["details"] == {"name": "none", "kind": "configmaps"}


def test_a_kind_that_is_not_served_has_no_address(cluster: Cluster) -> None:
    with pytest.raises(Refused, match=r"could not find the requested resource|page not found") as refused:
        cluster.request("GET", "/apis/nothing.example/v1/namespaces/default/things")
    assert refused.value.code == 404


def test_an_object_needs_its_namespace(cluster: Cluster) -> None:
    with pytest.raises(Refused, match=r'^namespaces "nowhere" not found$') as refused:
        cluster.create(config("nowhere"))
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_the_namespace_of_an_object_is_that_of_its_address(cluster: Cluster, namespace: str) -> None:
    path = cluster.path("v1", "ConfigMap", namespace)
    with pytest.raises(Refused, match="namespace of the provided object does not match") as refused:
        cluster.request("POST", path, config("default"))
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_the_name_of_an_object_is_that_of_its_address(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace))
    path = cluster.path("v1", "ConfigMap", namespace, "one")
    with pytest.raises(Refused, match=r"the name of the object \(two\) does not match the name on the URL \(one\)"):
        cluster.request("PUT", path, config(namespace, "two"))


def test_an_object_without_a_namespace_lies_in_that_of_its_address(cluster: Cluster, namespace: str) -> None:
    given = config(namespace)
    del given["metadata"]["namespace"]
    created = cluster.request("POST", cluster.path("v1", "ConfigMap", namespace), given)
    assert created["metadata"]["namespace"] == namespace


def test_a_name_is_made_up_where_only_its_beginning_is_given(cluster: Cluster, namespace: str) -> None:
    given = config(namespace, generateName="made-")
    del given["metadata"]["name"]
    path = cluster.path("v1", "ConfigMap", namespace)
    names = {cluster.request("POST", path, given)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "x" * 254])
def test_a_name_that_is_none_is_invalid(cluster: Cluster, namespace: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.create(config(namespace, name))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert refused.value.causes[0]["field"] == "metadata.name"
    assert refused.value.causes[0]["reason"] == "FieldValueInvalid"
    assert refused.value.status["details"]["kind"] == "ConfigMap"


def test_the_name_of_a_service_is_a_label(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match=r'^Service "x.*" is invalid: metadata.name: Invalid value: ') as refused:
        cluster.create(service(namespace, "x" * 64, selector={}))
    assert refused.value.code == 422


def test_a_label_has_at_most_63_characters(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.create(config(namespace, labels={"one": "x" * 64}))
    assert refused.value.causes[0]["field"] == "metadata.labels"


def test_an_object_of_another_kind_is_not_read(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.request("POST", cluster.path("v1", "ConfigMap", namespace), service(namespace))
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_an_object_of_another_version_is_not_read(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match=r"does not match the expected API version|no kind") as refused:
        cluster.request("POST", cluster.path("v1", "ConfigMap", namespace), {**config(namespace), "apiVersion": "v2"})
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_a_body_that_is_no_object_is_not_read(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.request("POST", cluster.path("v1", "ConfigMap", namespace), "text")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_an_update_replaces_the_whole_object(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(config(namespace, labels={"one": "1"}, data={"a": "1", "b": "2"}))
    del created["metadata"]["labels"]
    created["data"] = {"c": "3"}
    updated = cluster.update(created)
    assert updated["data"] == {"c": "3"}
    assert "labels" not in updated["metadata"]


@pytest.mark.usefixtures("widgets")
def test_an_update_changes_nothing_that_only_the_server_gives(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(widget(namespace))
    kept = {key: created["metadata"][key] for key in ("uid", "creationTimestamp", "generation")}
    changed = {**created["metadata"], "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 17}
    updated = cluster.update({**created, "metadata": changed})
    assert {key: updated["metadata"][key] for key in kept} == kept


def test_an_update_of_a_version_that_is_past_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(config(namespace))
    cluster.update({**created, "data": {"key": "newer"}})
    with pytest.raises(Refused) as refused:
        cluster.update({**created, "data": {"key": "older"}})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert str(refused.value) == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert cluster.read("v1", "ConfigMap", "one", namespace)["data"] == {"key": "newer"}


def test_an_update_without_a_version_is_written_over_what_is_there(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace))
    assert cluster.update(config(namespace, data={"key": "newer"}))["data"] == {"key": "newer"}


@pytest.mark.usefixtures("widgets")
def test_an_update_of_a_defined_kind_needs_a_version(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace))
    with pytest.raises(Refused, match="must be specified for an update") as refused:
        cluster.update(widget(namespace, size=1))
    assert refused.value.code == 422
    assert refused.value.causes[0]["field"] == "metadata.resourceVersion"


def test_an_update_of_another_object_of_the_same_name_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    first = cluster.create(config(namespace))
    cluster.delete("v1", "ConfigMap", "one", namespace)
    cluster.create(config(namespace))
    first["metadata"].pop("resourceVersion")
    with pytest.raises(Refused, match="UID in precondition") as refused:
        cluster.update(first)
    assert refused.value.code == 409


def test_an_update_of_what_is_not_there_is_not_found(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.update(config(namespace))
    assert refused.value.code == 404


def test_a_new_object_has_no_version_yet(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="resourceVersion should not be set on objects to be created"):
        cluster.create(config(namespace, resourceVersion="1"))


def test_a_dry_run_stores_nothing(cluster: Cluster, namespace: str) -> None:
    assert cluster.create(config(namespace), dryRun="All")["metadata"]["uid"]
    assert cluster.get("v1", "ConfigMap", "one", namespace) is None


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize(("api_version", "kind"), [(APPS, "Deployment"), (GROUP, "Widget"), ("v1", "Pod")])
def test_kinds_are_discovered(cluster: Cluster, api_version: str, kind: str) -> None:
    path = f"/apis/{api_version}" if "/" in api_version else "/api/v1"
    found = cluster.request("GET", path)
    assert found["groupVersion"] == api_version
    entries = {each["name"]: each for each in found["resources"] if each["kind"] == kind}
    plural = next(name for name in entries if "/" not in name)
    assert entries[plural]["namespaced"]
    assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= set(entries[plural]["verbs"])
    assert f"{plural}/status" in entries


def test_groups_are_discovered_with_their_versions(cluster: Cluster) -> None:
    groups = {each["name"]: each for each in cluster.request("GET", "/apis")["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert cluster.request("GET", "/apis/apps")["name"] == "apps"
    assert "v1" in cluster.request("GET", "/api")["versions"]


def test_the_server_says_its_version(cluster: Cluster) -> None:
    assert cluster.request("GET", "/version")["major"] == "1"
