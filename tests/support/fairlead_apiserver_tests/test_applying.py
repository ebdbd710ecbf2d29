from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import APPS, GROUP, Manifest, config, deployment, service, widget

pytestmark = pytest.mark.usefixtures("widgets")


def owned(given: Manifest, manager: str) -> Manifest:
    found: Manifest = next(
        each["fieldsV1"] for each in given["metadata"]["managedFields"] if each["manager"] == manager
    )
    return found


def test_an_apply_creates_what_is_not_there(cluster: Cluster, namespace: str) -> None:
    given = cluster.apply(config(namespace), "first")
    entry = given["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("first", "Apply", "v1")
    assert entry["fieldsV1"] == {"f:data": {"f:key": {}}}


def test_an_apply_of_the_same_changes_nothing(cluster: Cluster, namespace: str) -> None:
    given = cluster.apply(deployment(namespace, replicas=0))
    uid = given["metadata"]["uid"]
    again = cluster.apply(deployment(namespace, replicas=0))
    assert (again["metadata"]["uid"], again["metadata"]["generation"]) == (uid, 1)
    for each in (given, again):
        # A controller writes the status and an annotation in between.
        for key in ("managedFields", "resourceVersion", "annotations"):
            each["metadata"].pop(key, None)
        each.pop("status", None)
    assert again == given


def test_an_apply_of_the_same_makes_no_version(cluster: Cluster, namespace: str) -> None:
    given = cluster.apply(service(namespace))
    assert cluster.apply(service(namespace)) == given
    given = cluster.apply(widget(namespace, size=1, parts=[{"name": "a"}]))
    assert cluster.apply(widget(namespace, size=1, parts=[{"name": "a"}])) == given


def test_an_apply_leaves_the_fields_of_others(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1), "first")
    given = cluster.apply(widget(namespace, colour="red"), "second")
    assert (given["spec"]["size"], given["spec"]["colour"]) == (1, "red")
    assert owned(given, "first") == {"f:spec": {"f:size": {}}}
    assert owned(given, "second") == {"f:spec": {"f:colour": {}}}


def test_a_field_that_is_applied_no_longer_is_removed(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config(namespace, data={"a": "1", "b": "2"}, labels={"x": "1"}))
    given = cluster.apply(config(namespace, data={"b": "2"}))
    assert given["data"] == {"b": "2"}
    assert "labels" not in given["metadata"]


def test_a_field_that_another_applies_too_stays(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1, colour="red"), "first")
    cluster.apply(widget(namespace, size=1), "second")
    given = cluster.apply(widget(namespace, colour="red"), "first")
    assert given["spec"]["size"] == 1
    given = cluster.apply(widget(namespace), "second")
    assert "size" not in given["spec"]


def test_a_default_comes_back_where_a_field_is_removed(cluster: Cluster, namespace: str) -> None:
    cluster.apply(deployment(namespace, replicas=0, revisionHistoryLimit=3))
    given = cluster.apply(deployment(namespace, replicas=0))
    assert given["spec"]["revisionHistoryLimit"] == 10


def test_the_field_of_another_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1), "first")
    with pytest.raises(Refused) as refused:
        cluster.apply(widget(namespace, size=2), "second")
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert str(refused.value) == 'Apply failed with 1 conflict: conflict with "first": .spec.size'
    assert refused.value.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "first"', "field": ".spec.size"}
    ]


def test_the_conflicts_with_several_are_told_together(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1, code="a"), "first")
    cluster.apply(widget(namespace, colour="red"), "second")
    with pytest.raises(Refused) as refused:
        cluster.apply(widget(namespace, size=2, code="b", colour="green"), "third")
    assert str(refused.value) == (
        'Apply failed with 3 conflicts: conflicts with "first":\n- .spec.code\n- .spec.size\n'
        'conflicts with "second":\n- .spec.colour'
    )


def test_the_same_value_is_no_conflict(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1), "first")
    given = cluster.apply(widget(namespace, size=1), "second")
    assert owned(given, "first") == owned(given, "second")


def test_force_takes_a_field_from_its_owner(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1, code="a"), "first")
    given = cluster.apply(widget(namespace, size=2), "second", force=True)
    assert given["spec"]["size"] == 2
    assert owned(given, "first") == {"f:spec": {"f:code": {}}}
    assert owned(given, "second") == {"f:spec": {"f:size": {}}}


def test_what_is_patched_belongs_to_who_patched(cluster: Cluster, namespace: str) -> None:
    cluster.apply(deployment(namespace, replicas=0), "first")
    cluster.patch(APPS, "Deployment", "one", {"spec": {"replicas": 1}}, namespace, fieldManager="scaler")
    with pytest.raises(
        Refused, match=r'^Apply failed with 1 conflict: conflict with "scaler" using apps/v1'
    ) as refused:
        cluster.apply(deployment(namespace, replicas=0), "first")
    assert refused.value.causes[0]["field"] == ".spec.replicas"


def test_a_field_that_was_given_up_stays_as_another_left_it(cluster: Cluster, namespace: str) -> None:
    cluster.apply(deployment(namespace, replicas=0), "first")
    cluster.patch(APPS, "Deployment", "one", {"spec": {"replicas": 2}}, namespace, fieldManager="scaler")
    assert cluster.apply(deployment(namespace), "first")["spec"]["replicas"] == 2


def test_what_is_created_belongs_to_who_created_it(cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace), fieldManager="maker")
    with pytest.raises(Refused, match=r'conflict with "maker" using v1: \.data\.key'):
        cluster.apply(config(namespace, data={"key": "other"}))


def test_the_manager_of_other_writes_is_the_head_of_the_agent(cluster: Cluster, namespace: str) -> None:
    given = cluster.create(config(namespace))
    entry = given["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("fairlead-tests", "Update")
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:key": {}}}


def test_the_items_of_a_list_with_keys_have_owners_of_their_own(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, parts=[{"name": "a", "size": 1}, {"name": "b", "size": 2}]), "first")
    given = cluster.apply(widget(namespace, parts=[{"name": "b", "colour": "x"}, {"name": "c"}]), "second")
    assert given["spec"]["parts"] == [
        {"name": "a", "size": 1},
        {"name": "b", "size": 2, "colour": "x"},
        {"name": "c"},
    ]
    assert owned(given, "second") == {
        "f:spec": {
            "f:parts": {
                'k:{"name":"b"}': {".": {}, "f:colour": {}, "f:name": {}},
                'k:{"name":"c"}': {".": {}, "f:name": {}},
            }
        }
    }
    given = cluster.apply(widget(namespace, parts=[{"name": "a", "size": 1}]), "first")
    assert given["spec"]["parts"] == [{"name": "a", "size": 1}, {"name": "b", "colour": "x"}, {"name": "c"}]


def test_a_conflict_names_the_item_of_a_list(cluster: Cluster, namespace: str) -> None:
    cluster.apply(deployment(namespace, replicas=0), "first")
    other = deployment(namespace, replicas=0)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    with pytest.raises(Refused) as refused:
        cluster.apply(other, "second")
    assert refused.value.causes[0]["field"] == '.spec.template.spec.containers[name="main"].image'


def test_a_container_of_another_manager_stays(cluster: Cluster, namespace: str) -> None:
    cluster.apply(deployment(namespace, replicas=0), "first")
    other = deployment(namespace, replicas=0)
    other["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "side:1"}]
    cluster.apply(other, "second")
    given = cluster.apply(deployment(namespace, replicas=0), "first")
    assert [each["name"] for each in given["spec"]["template"]["spec"]["containers"]] == ["main", "side"]


def test_ports_are_told_apart_by_number_and_protocol(cluster: Cluster, namespace: str) -> None:
    given = cluster.apply(service(namespace, ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]))
    ports = owned(given, "tests")["f:spec"]["f:ports"]
    assert set(ports) == {'k:{"port":80,"protocol":"TCP"}', 'k:{"port":81,"protocol":"TCP"}'}
    given = cluster.apply(service(namespace, ports=[{"port": 81, "name": "b"}]))
    assert [each["port"] for each in given["spec"]["ports"]] == [81]


def test_a_set_is_owned_word_by_word(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, words=["a", "b"]), "first")
    cluster.apply(widget(namespace, words=["b", "c"]), "second")
    given = cluster.apply(widget(namespace, words=["b"]), "first")
    assert given["spec"]["words"] == ["b", "c"]
    assert owned(given, "first") == {"f:spec": {"f:words": {'v:"b"': {}}}}


def test_a_list_without_keys_has_one_owner(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, steps=["a", "b"]), "first")
    with pytest.raises(Refused, match=r'conflict with "first": \.spec\.steps'):
        cluster.apply(widget(namespace, steps=["a", "b", "c"]), "second")


def test_the_status_is_applied_apart(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace, size=1), "first")
    status = {**widget(namespace, size=9), "status": {"phase": "Ready"}}
    given = cluster.apply(status, "second", below="status")
    assert (given["spec"]["size"], given["status"]) == (1, {"phase": "Ready"})
    entry = next(each for each in given["metadata"]["managedFields"] if each["manager"] == "second")
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:phase": {}}})
    given = cluster.apply({**widget(namespace, size=1), "status": {"phase": "Lost"}}, "first")
    assert given["status"] == {"phase": "Ready"}


def test_an_apply_needs_a_manager(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="fieldManager: Required value: is required for apply patch") as refused:
        cluster.apply(config(namespace), "")
    assert refused.value.code == 422


def test_an_apply_has_no_managed_fields(cluster: Cluster, namespace: str) -> None:
    given = cluster.apply(config(namespace))
    with pytest.raises(Refused, match=r"metadata\.managedFields must be nil") as refused:
        cluster.apply(given)
    assert refused.value.code == 400


def test_an_apply_of_a_version_that_is_past_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    first = cluster.apply(config(namespace))["metadata"]["resourceVersion"]
    cluster.apply(config(namespace, data={"key": "newer"}))
    with pytest.raises(Refused, match="the object has been modified") as refused:
        cluster.apply(config(namespace, data={"key": "older"}, resourceVersion=first))
    assert refused.value.code == 409


def test_fields_are_handed_to_another_manager_by_writing_who_holds_them(cluster: Cluster, namespace: str) -> None:
    made = cluster.create(config(namespace, data={"mine": "1", "theirs": "2"}), fieldManager="maker")
    [entry] = made["metadata"]["managedFields"]
    heirs = {"metadata": {"managedFields": [{**entry, "manager": "heir", "operation": "Apply"}]}}
    cluster.patch("v1", "ConfigMap", "one", heirs, namespace)
    given = cluster.apply(config(namespace, data={"mine": "1"}), "heir")
    assert given["data"] == {"mine": "1"}
    assert [each["manager"] for each in given["metadata"]["managedFields"]] == ["heir"]


@pytest.mark.parametrize("made", [config, deployment, widget])
def test_an_apply_of_a_version_that_never_was_makes_an_object_and_changes_none(
    cluster: Cluster, namespace: str, made: Callable[..., Manifest]
) -> None:
    new = made(namespace)
    new["metadata"]["resourceVersion"] = "1"
    assert cluster.apply(new)["metadata"]["resourceVersion"] != "1"
    with pytest.raises(Refused, match="the object has been modified"):
        cluster.apply(new, "another")


@pytest.mark.parametrize("kind", ["widget", "deployment"])
def test_a_field_that_is_not_declared_is_not_applied(cluster: Cluster, namespace: str, kind: str) -> None:
    given = widget(namespace) if kind == "widget" else deployment(namespace)
    given["spec"]["unheard"] = 1
    with pytest.raises(Refused, match=r"\.spec\.unheard: field not declared in schema") as refused:
        cluster.apply(given)
    assert refused.value.code == 500


def test_annotations_of_others_stay(cluster: Cluster, namespace: str) -> None:
    cluster.apply(widget(namespace))
    patch = {"metadata": {"annotations": {"note": "kept"}}}
    cluster.patch(GROUP, "Widget", "one", patch, namespace)
    given = cluster.apply({**widget(namespace, size=2)})
    assert given["metadata"]["annotations"] == {"note": "kept"}
