from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from fairlead_apiserver_tests.manifests import GROUP, config, widget

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster
    from fairlead_apiserver.server import ApiServer

pytestmark = pytest.mark.usefixtures("widgets")


def version(cluster: Cluster, namespace: str) -> str:
    found = cluster.request("GET", cluster.path(GROUP, "Widget", namespace))
    return str(found["metadata"]["resourceVersion"])


def test_a_watch_tells_what_became_of_objects(cluster: Cluster, namespace: str) -> None:
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=version(cluster, namespace)) as events:
        cluster.create(widget(namespace))
        changed = cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 1}}, namespace)
        cluster.delete(GROUP, "Widget", "one", namespace)
        found = list(itertools.islice(events, 3))
    assert [each["type"] for each in found] == ["ADDED", "MODIFIED", "DELETED"]
    assert found[1]["object"] == changed
    last = found[2]["object"]["metadata"]
    assert last["uid"] == changed["metadata"]["uid"]
    assert int(last["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])


def test_a_watch_without_a_version_begins_with_what_is_there(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace, "one"))
    cluster.create(widget(namespace, "two"))
    with cluster.watch(GROUP, "Widget", namespace) as events:
        found = list(itertools.islice(events, 2))
    assert [each["type"] for each in found] == ["ADDED", "ADDED"]
    assert {each["object"]["metadata"]["name"] for each in found} == {"one", "two"}


def test_a_watch_continues_from_a_version(cluster: Cluster, namespace: str) -> None:
    first = cluster.create(widget(namespace))
    cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 1}}, namespace)
    cluster.create(widget(namespace, "two"))
    since = first["metadata"]["resourceVersion"]
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since) as events:
        found = list(itertools.islice(events, 2))
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in found] == [
        ("MODIFIED", "one"),
        ("ADDED", "two"),
    ]


def test_a_change_out_of_the_selection_is_a_deletion(cluster: Cluster, namespace: str) -> None:
    since = version(cluster, namespace)
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since, labelSelector="on=yes") as events:
        cluster.create(widget(namespace))
        cluster.patch(GROUP, "Widget", "one", {"metadata": {"labels": {"on": "yes"}}}, namespace)
        cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 1}}, namespace)
        left = cluster.patch(GROUP, "Widget", "one", {"metadata": {"labels": {"on": "no"}}}, namespace)
        found = list(itertools.islice(events, 3))
    assert [each["type"] for each in found] == ["ADDED", "MODIFIED", "DELETED"]
    last = found[2]["object"]["metadata"]
    assert last["resourceVersion"] == left["metadata"]["resourceVersion"]
    assert last["labels"] == {"on": "yes"}


def test_a_watch_of_one_name_hears_of_no_other(cluster: Cluster, namespace: str) -> None:
    since = version(cluster, namespace)
    selector = "metadata.name=two"
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since, fieldSelector=selector) as events:
        cluster.create(widget(namespace, "one"))
        cluster.create(widget(namespace, "two"))
        assert next(events)["object"]["metadata"]["name"] == "two"


def test_a_watch_of_a_namespace_hears_of_no_other(cluster: Cluster, namespace: str) -> None:
    since = version(cluster, namespace)
    with (
        cluster.namespace() as other,
        cluster.watch(GROUP, "Widget", namespace, resourceVersion=since) as events,
    ):
        cluster.create(widget(other))
        cluster.create(widget(namespace))
        assert next(events)["object"]["metadata"]["namespace"] == namespace


def test_a_watch_ends_after_its_timeout(cluster: Cluster, namespace: str) -> None:
    since = version(cluster, namespace)
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since, timeoutSeconds=1) as events:
        assert list(events) == []


def test_a_watch_can_begin_with_a_list(cluster: Cluster, namespace: str) -> None:
    cluster.create(widget(namespace))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with cluster.watch(GROUP, "Widget", namespace, **query) as events:
        found = list(itertools.islice(events, 2))
    if "RequestWatchProgress" in found[0]["object"].get("message", ""):
        pytest.skip("the etcd of this server is too old")
    assert [each["type"] for each in found] == ["ADDED", "BOOKMARK"]
    mark = found[1]["object"]
    assert mark["kind"] == "Widget"
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["metadata"]["resourceVersion"]) > 0


def test_a_removed_object_is_heard_of_when_its_last_finalizer_goes(cluster: Cluster, namespace: str) -> None:
    given = widget(namespace)
    given["metadata"]["finalizers"] = ["tests.fairlead.dev/wait"]
    created = cluster.create(given)
    since = created["metadata"]["resourceVersion"]
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since) as events:
        cluster.delete(GROUP, "Widget", "one", namespace)
        assert next(events)["object"]["metadata"]["deletionTimestamp"]
        cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": []}}, namespace)
        assert next(item for item in events if item["type"] == "DELETED")


def test_a_watch_has_bookmarks(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    since = version(cluster, namespace)
    cluster.create(config(namespace))
    query = {"resourceVersion": since, "allowWatchBookmarks": "true", "timeoutSeconds": 1}
    with cluster.watch(GROUP, "Widget", namespace, **query) as events:
        last = list(events)[-1]
    assert last["type"] == "BOOKMARK"
    assert int(last["object"]["metadata"]["resourceVersion"]) >= int(since)


def test_a_watch_of_a_forgotten_version_says_that_it_is_gone(
    apiserver: ApiServer, cluster: Cluster, namespace: str
) -> None:
    since = version(cluster, namespace)
    apiserver.compact()
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=since) as events:
        found = list(events)
    assert [each["type"] for each in found] == ["ERROR"]
    assert (found[0]["object"]["code"], found[0]["object"]["reason"]) == (410, "Expired")
    assert "too old resource version" in found[0]["object"]["message"]


def test_a_cut_watch_ends(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    with cluster.watch(GROUP, "Widget", namespace, resourceVersion=version(cluster, namespace)) as events:
        apiserver.drop_watches()
        assert list(events) == []
