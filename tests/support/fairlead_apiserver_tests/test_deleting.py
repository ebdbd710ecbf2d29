from __future__ import annotations

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import GROUP, Manifest, config, widget

pytestmark = pytest.mark.usefixtures("widgets")

WAIT = "tests.fairlead.dev/wait"


def dependent(owner: Manifest, name: str = "dependent", **more: bool) -> Manifest:
    given = config(owner["metadata"]["namespace"], name)
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    given["metadata"]["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"], **more}]
    return given


def waiting(namespace: str) -> Manifest:
    given = widget(namespace)
    given["metadata"]["finalizers"] = [WAIT]
    return given


def test_a_deleted_object_is_gone(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(config(namespace))
    answer = cluster.delete("v1", "ConfigMap", "one", namespace)
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "one", "kind": "configmaps", "uid": created["metadata"]["uid"]}
    assert cluster.get("v1", "ConfigMap", "one", namespace) is None


def test_what_is_not_there_cannot_be_deleted(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster.delete("v1", "ConfigMap", "one", namespace)
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_an_object_with_a_finalizer_stays_until_it_is_taken_out(cluster: Cluster, namespace: str) -> None:
    cluster.create(waiting(namespace))
    answer = cluster.delete(GROUP, "Widget", "one", namespace)
    assert answer["metadata"]["deletionTimestamp"]
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
    assert answer["metadata"]["generation"] == 2
    assert cluster.get(GROUP, "Widget", "one", namespace) is not None
    cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, namespace)
    assert cluster.get(GROUP, "Widget", "one", namespace) is None


def test_a_second_deletion_changes_nothing(cluster: Cluster, namespace: str) -> None:
    cluster.create(waiting(namespace))
    cluster.delete(GROUP, "Widget", "one", namespace)
    first = cluster.read(GROUP, "Widget", "one", namespace)
    cluster.delete(GROUP, "Widget", "one", namespace)
    assert cluster.read(GROUP, "Widget", "one", namespace) == first
    cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, namespace)


def test_what_is_being_deleted_takes_no_new_finalizer(cluster: Cluster, namespace: str) -> None:
    cluster.create(waiting(namespace))
    cluster.delete(GROUP, "Widget", "one", namespace)
    patch = {"metadata": {"finalizers": [WAIT, "tests.fairlead.dev/other"]}}
    with pytest.raises(Refused, match="no new finalizers can be added if the object is being deleted") as refused:
        cluster.patch(GROUP, "Widget", "one", patch, namespace)
    assert refused.value.code == 422
    cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, namespace)


def test_what_is_being_deleted_can_be_changed(cluster: Cluster, namespace: str) -> None:
    cluster.create(waiting(namespace))
    cluster.delete(GROUP, "Widget", "one", namespace)
    assert cluster.patch_status(GROUP, "Widget", "one", {"phase": "Leaving"}, namespace)["status"]
    patch = {"metadata": {"deletionTimestamp": None}, "spec": {"size": 1}}
    changed = cluster.patch(GROUP, "Widget", "one", patch, namespace)
    assert changed["metadata"]["deletionTimestamp"]
    assert changed["spec"]["size"] == 1
    cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, namespace)


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_a_deletion_can_name_the_object_that_it_means(cluster: Cluster, namespace: str, field: str) -> None:
    created = cluster.create(config(namespace))
    with pytest.raises(Refused, match=r"in the precondition \(17\) does not match") as refused:
        cluster.delete("v1", "ConfigMap", "one", namespace, preconditions={field: "17"})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    wanted = {field: created["metadata"][field]}
    assert cluster.delete("v1", "ConfigMap", "one", namespace, preconditions=wanted)["status"] == "Success"


def test_what_depends_on_a_deleted_object_is_collected(cluster: Cluster, namespace: str) -> None:
    owner = cluster.create(widget(namespace))
    cluster.create(dependent(owner))
    cluster.create(dependent(cluster.read("v1", "ConfigMap", "dependent", namespace), "far"))
    cluster.delete(GROUP, "Widget", "one", namespace, propagationPolicy="Background")
    for name in ("dependent", "far"):
        cluster.eventually(lambda name=name: cluster.get("v1", "ConfigMap", name, namespace) is None)  # type: ignore[misc]


def test_what_depends_on_nothing_that_is_there_is_collected(cluster: Cluster, namespace: str) -> None:
    owner = cluster.create(widget(namespace))
    cluster.delete(GROUP, "Widget", "one", namespace)
    cluster.create(widget(namespace))
    cluster.create(dependent(owner))
    cluster.eventually(lambda: cluster.get("v1", "ConfigMap", "dependent", namespace) is None)


def test_what_has_another_owner_stays(cluster: Cluster, namespace: str) -> None:
    first, second = cluster.create(widget(namespace, "one")), cluster.create(widget(namespace, "two"))
    given = dependent(first)
    given["metadata"]["ownerReferences"] += dependent(second)["metadata"]["ownerReferences"]
    cluster.create(given)
    cluster.delete(GROUP, "Widget", "one", namespace)

    def left() -> bool:
        owners = cluster.read("v1", "ConfigMap", "dependent", namespace)["metadata"]["ownerReferences"]
        return [each["name"] for each in owners] == ["two"]

    cluster.eventually(left)


def collector_has_caught_up(cluster: Cluster, namespace: str) -> None:
    """Wait until the collector knows of all ConfigMaps so far: it has collected a newer one."""
    owner = cluster.create(widget(namespace, "marker"))
    cluster.create(dependent(owner, "marker"))
    cluster.delete(GROUP, "Widget", "marker", namespace)
    cluster.eventually(lambda: cluster.get("v1", "ConfigMap", "marker", namespace) is None)


def test_dependents_can_be_kept(cluster: Cluster, namespace: str) -> None:
    owner = cluster.create(widget(namespace))
    cluster.create(dependent(owner))
    collector_has_caught_up(cluster, namespace)  # it keeps only what it knows of
    cluster.delete(GROUP, "Widget", "one", namespace, propagationPolicy="Orphan")
    cluster.eventually(lambda: cluster.get(GROUP, "Widget", "one", namespace) is None)
    assert "ownerReferences" not in cluster.read("v1", "ConfigMap", "dependent", namespace)["metadata"]


def test_an_owner_waits_in_the_foreground_for_what_depends_on_it(cluster: Cluster, namespace: str) -> None:
    owner = cluster.create(widget(namespace))
    given = dependent(owner, blockOwnerDeletion=True)
    given["metadata"]["finalizers"] = [WAIT]
    cluster.create(given)
    answer = cluster.delete(GROUP, "Widget", "one", namespace, propagationPolicy="Foreground")
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    cluster.eventually(
        lambda: "deletionTimestamp" in cluster.read("v1", "ConfigMap", "dependent", namespace)["metadata"]
    )
    assert cluster.get(GROUP, "Widget", "one", namespace) is not None
    cluster.patch("v1", "ConfigMap", "dependent", {"metadata": {"finalizers": None}}, namespace)
    cluster.eventually(lambda: cluster.get(GROUP, "Widget", "one", namespace) is None)


def test_an_object_has_at_most_one_controller(cluster: Cluster, namespace: str) -> None:
    first, second = cluster.create(widget(namespace, "one")), cluster.create(widget(namespace, "two"))
    given = dependent(first, controller=True)
    given["metadata"]["ownerReferences"] += dependent(second, controller=True)["metadata"]["ownerReferences"]
    with pytest.raises(Refused, match="Only one reference can have Controller set to true") as refused:
        cluster.create(given)
    assert refused.value.causes[0]["field"] == "metadata.ownerReferences"


def test_a_deleted_namespace_takes_along_what_lies_in_it(cluster: Cluster) -> None:
    with cluster.namespace() as name:
        cluster.create(waiting(name))
        cluster.create(config(name))
        answer = cluster.delete("v1", "Namespace", name)
        assert answer["status"]["phase"] == "Terminating"
        cluster.eventually(lambda: cluster.get("v1", "ConfigMap", "one", name) is None)
        with pytest.raises(Refused, match="because it is being terminated") as refused:
            cluster.create(config(name))
        assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
        assert refused.value.causes[0]["reason"] == "NamespaceTerminating"
        cluster.eventually(lambda: "deletionTimestamp" in cluster.read(GROUP, "Widget", "one", name)["metadata"])
        cluster.patch(GROUP, "Widget", "one", {"metadata": {"finalizers": None}}, name)
        cluster.eventually(lambda: cluster.get("v1", "Namespace", name) is None)


def test_a_namespace_carries_its_name_as_a_label(cluster: Cluster, namespace: str) -> None:
    found = cluster.read("v1", "Namespace", namespace)
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
    assert found["status"]["phase"] == "Active"
    cluster.eventually(lambda: cluster.get("v1", "ServiceAccount", "default", namespace))
