from __future__ import annotations

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import config


@pytest.fixture
def space(cluster: Cluster, namespace: str) -> str:
    for name, labels in {"a": {"tier": "web", "zone": "1"}, "b": {"tier": "data"}, "c": {"zone": "2"}, "d": {}}.items():
        cluster.create(config(namespace, name, labels={**labels, "mine": "yes"}))
    return namespace


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=web", "a"),
        ("tier==web", "a"),
        ("tier!=web", "bcd"),
        ("tier in (web,data)", "ab"),
        ("tier notin (web, data)", "cd"),
        ("tier", "ab"),
        ("!tier", "cd"),
        ("tier,zone", "a"),
        ("tier=web,zone!=1", ""),
        ("zone in (1,2),!tier", "c"),
        ("tier=", ""),
    ],
)
def test_objects_are_selected_by_labels(cluster: Cluster, space: str, selector: str, names: str) -> None:
    found = cluster.list("v1", "ConfigMap", space, labelSelector=f"mine,{selector}")
    assert "".join(each["metadata"]["name"] for each in found) == names


@pytest.mark.parametrize(
    ("selector", "names"), [("metadata.name=a", "a"), ("metadata.name!=a", "bcd"), ("metadata.name=none", "")]
)
def test_objects_are_selected_by_name(cluster: Cluster, space: str, selector: str, names: str) -> None:
    found = cluster.list("v1", "ConfigMap", space, labelSelector="mine", fieldSelector=selector)
    assert "".join(each["metadata"]["name"] for each in found) == names


def test_objects_are_selected_by_namespace(cluster: Cluster, space: str) -> None:
    found = cluster.list("v1", "ConfigMap", labelSelector="mine", fieldSelector=f"metadata.namespace={space}")
    assert len(found) == 4


def test_a_field_that_cannot_be_selected_by_is_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match=r"field label not supported: data|is not a known field selector") as refused:
        cluster.list("v1", "ConfigMap", namespace, fieldSelector="data=x")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_a_label_selector_that_cannot_be_read_is_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="unable to parse requirement") as refused:
        cluster.list("v1", "ConfigMap", namespace, labelSelector="a in b")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_a_list_has_a_version_and_a_kind(cluster: Cluster, space: str) -> None:
    found = cluster.request("GET", cluster.path("v1", "ConfigMap", space))
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    newest = max(int(each["metadata"]["resourceVersion"]) for each in found["items"])
    assert int(found["metadata"]["resourceVersion"]) >= newest
    assert "kind" not in found["items"][0]


def test_a_long_list_comes_in_pages(cluster: Cluster, space: str) -> None:
    path = cluster.path("v1", "ConfigMap", space)
    query = {"limit": 3, "labelSelector": "mine"}
    first = cluster.request("GET", path, query=query)
    token = first["metadata"]["continue"]
    cluster.delete("v1", "ConfigMap", "d", space)
    second = cluster.request("GET", path, query={**query, "continue": token})
    names = [each["metadata"]["name"] for page in (first, second) for each in page["items"]]
    assert names == ["a", "b", "c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


def test_a_page_says_how_many_are_left(cluster: Cluster, space: str) -> None:
    cluster.eventually(lambda: cluster.get("v1", "ConfigMap", "kube-root-ca.crt", space))
    found = cluster.request("GET", cluster.path("v1", "ConfigMap", space), query={"limit": 2})
    assert found["metadata"]["remainingItemCount"] == len(cluster.list("v1", "ConfigMap", space)) - 2


def test_objects_of_all_namespaces_are_listed_together(cluster: Cluster, space: str) -> None:
    with cluster.namespace() as other:
        cluster.create(config(other, "e", labels={"mine": "yes", "only": space}))
        cluster.patch("v1", "ConfigMap", "a", {"metadata": {"labels": {"only": space}}}, space)
        found = cluster.list("v1", "ConfigMap", labelSelector=f"only={space}")
        assert {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found} == {
            (space, "a"),
            (other, "e"),
        }


def test_the_objects_of_a_selector_are_deleted_together(cluster: Cluster, space: str) -> None:
    query = {"labelSelector": "tier"}
    cluster.request("DELETE", cluster.path("v1", "ConfigMap", space), query=query)
    found = cluster.list("v1", "ConfigMap", space, labelSelector="mine")
    assert [each["metadata"]["name"] for each in found] == ["c", "d"]
