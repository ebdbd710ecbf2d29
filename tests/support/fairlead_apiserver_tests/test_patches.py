from __future__ import annotations

from typing import Any, Final

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import APPS, GROUP, config, deployment, widget

_JSON: Final = "application/json-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"


def test_a_merge_patch_changes_adds_and_removes(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace, data={"a": "1", "b": "2"}))
    given = cluster.patch("v1", "ConfigMap", "one", {"data": {"a": None, "b": "3", "c": "4"}}, namespace)
    assert given["data"] == {"b": "3", "c": "4"}


@pytest.mark.usefixtures("widgets")
def test_a_merge_patch_replaces_lists(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace, parts=[{"name": "a"}, {"name": "b"}]))
    given = cluster.patch(GROUP, "Widget", "one", {"spec": {"parts": [{"name": "c"}]}}, namespace)
    assert given["spec"]["parts"] == [{"name": "c"}]


def test_a_patch_of_a_version_that_is_past_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    old = cluster.create(config(namespace))["metadata"]["resourceVersion"]
    cluster.patch("v1", "ConfigMap", "one", {"data": {"key": "newer"}}, namespace)
    patch = {"metadata": {"resourceVersion": old}, "data": {"key": "older"}}
    with pytest.raises(Refused, match="the object has been modified") as refused:
        cluster.patch("v1", "ConfigMap", "one", patch, namespace)
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


def test_a_json_patch_is_done_step_by_step(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace, data={"a": "1", "b": "2"}))
    steps = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "9"},
        {"op": "move", "from": "/data/b", "path": "/data/d"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}},
        {"op": "copy", "from": "/data/d", "path": "/data/e"},
        {"op": "add", "path": "/metadata/annotations", "value": {"example.dev/note": "1"}},
        {"op": "replace", "path": "/metadata/annotations/example.dev~1note", "value": "2"},
    ]
    given = cluster.patch("v1", "ConfigMap", "one", steps, namespace, content=_JSON)
    assert given["data"] == {"a": "9", "d": "2", "e": "2"}
    assert given["metadata"]["labels"] == {"x": "y"}
    assert given["metadata"]["annotations"] == {"example.dev/note": "2"}


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/data/a", "value": "other"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/key", "value": "1"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused_as_a_whole(
    cluster: Cluster, namespace: str, step: dict[str, Any]
) -> None:
    cluster.create(config(namespace, data={"a": "1"}))
    steps = [{"op": "add", "path": "/data/b", "value": "2"}, step]
    with pytest.raises(Refused) as refused:
        cluster.patch("v1", "ConfigMap", "one", steps, namespace, content=_JSON)
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert cluster.read("v1", "ConfigMap", "one", namespace)["data"] == {"a": "1"}


def test_a_strategic_patch_finds_containers_by_name(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace, replicas=0))
    containers = [{"name": "main", "image": "other:1"}, {"name": "side", "image": "side:1"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    given = cluster.patch(APPS, "Deployment", "one", patch, namespace, content=_STRATEGIC)
    found = {each["name"]: each for each in given["spec"]["template"]["spec"]["containers"]}
    assert {name: each["image"] for name, each in found.items()} == {"main": "other:1", "side": "side:1"}
    assert found["main"]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]


def test_a_strategic_patch_takes_a_container_out(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace, replicas=0)
    given["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    cluster.create(given)
    containers = [{"name": "side", "$patch": "delete"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    given = cluster.patch(APPS, "Deployment", "one", patch, namespace, content=_STRATEGIC)
    assert [each["name"] for each in given["spec"]["template"]["spec"]["containers"]] == ["main"]


@pytest.mark.usefixtures("widgets")
def test_a_defined_kind_has_no_strategic_patch(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace))
    with pytest.raises(Refused) as refused:
        cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 1}}, namespace, content=_STRATEGIC)
    assert (refused.value.code, refused.value.reason) == (415, "UnsupportedMediaType")


def test_a_patch_of_what_is_not_there_is_not_found(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.patch("v1", "ConfigMap", "none", {"data": {}}, namespace)
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_a_patch_that_is_no_apply_cannot_be_forced(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace))
    with pytest.raises(Refused, match="force: Forbidden: may not be specified for non-apply patch") as refused:
        cluster.patch("v1", "ConfigMap", "one", {"data": {}}, namespace, force="true")
    assert refused.value.code == 422


@pytest.mark.parametrize("field", ["uid", "name"])
def test_a_patch_cannot_make_another_object_of_it(cluster: Cluster, namespace: str, field: str) -> None:
    cluster.create(config(namespace))
    with pytest.raises(Refused) as refused:
        cluster.patch("v1", "ConfigMap", "one", {"metadata": {field: "other"}}, namespace)
    assert refused.value.code in (400, 422)
