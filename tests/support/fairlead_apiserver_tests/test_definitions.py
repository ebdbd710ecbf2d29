from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fairlead_apiserver import foreign
from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import GROUP, Manifest, definition, widget

CRD = "apiextensions.k8s.io/v1", "CustomResourceDefinition"


@pytest.fixture
def gadgets(cluster: Cluster) -> Iterator[Manifest]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    given = definition("gadgets", schema)
    with cluster.installed(given):
        yield given


def gadget(namespace: str, **spec: Any) -> Manifest:
    return {"apiVersion": GROUP, "kind": "Gadget", "metadata": {"name": "one", "namespace": namespace}, "spec": spec}


def test_a_definition_is_established(cluster: Cluster, gadgets: Manifest) -> None:
    found = cluster.read(*CRD, gadgets["metadata"]["name"])
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions["NamesAccepted"] == conditions["Established"] == "True"
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["spec"]["names"]["listKind"] == "GadgetList"


def test_the_list_of_a_defined_kind_says_the_kind_of_every_object(
    cluster: Cluster, namespace: str, gadgets: Manifest
) -> None:
    cluster.create(gadget(namespace))
    found = cluster.request("GET", cluster.path(GROUP, "Gadget", namespace))
    assert (found["kind"], found["items"][0]["kind"]) == ("GadgetList", "Gadget")


def test_a_kind_without_the_subresource_has_its_status_with_it(
    cluster: Cluster, namespace: str, gadgets: Manifest
) -> None:
    version = gadgets["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    cluster.apply(gadgets, force=True)
    cluster.eventually(lambda: cluster.create({**gadget(namespace), "status": {"a": 1}}, dryRun="All").get("status"))
    assert cluster.create({**gadget(namespace), "status": {"a": 1}})["status"] == {"a": 1}
    with pytest.raises(Refused) as refused:
        cluster.patch_status(GROUP, "Gadget", "one", {"a": 2}, namespace)
    assert refused.value.code == 404
    changed = cluster.patch(GROUP, "Gadget", "one", {"status": {"a": 2}}, namespace)
    assert changed["metadata"]["generation"] == 2


def test_a_changed_definition_is_served(cluster: Cluster, namespace: str, gadgets: Manifest) -> None:
    properties = gadgets["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["b"] = {"type": "string"}
    cluster.apply(gadgets, force=True)
    cluster.eventually(lambda: "b" in cluster.create(gadget(namespace, b="x"), dryRun="All")["spec"])


def test_the_objects_of_a_kind_go_with_its_definition(cluster: Cluster, namespace: str) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    given = definition("gizmos", schema)
    with cluster.installed(given):
        path = cluster.path(GROUP, "Gizmo", namespace)
        cluster.create({**gadget(namespace), "kind": "Gizmo"})

    def gone() -> bool:
        try:
            cluster.request("GET", path)
        except Refused as refused:
            return refused.code == 404
        return False

    cluster.eventually(gone)
    with cluster.installed(given):
        assert cluster.list(GROUP, "Gizmo", namespace) == []


def test_a_definition_has_the_name_of_its_kind(cluster: Cluster) -> None:
    given = definition("gadgets", {"type": "object"})
    given["metadata"]["name"] = "other.tests.fairlead.dev"
    with pytest.raises(Refused) as refused:
        cluster.create(given)
    assert refused.value.causes[0]["field"] == "metadata.name"


@pytest.mark.parametrize("name", sorted(foreign.KINDS))
def test_kinds_of_other_projects_can_be_installed(cluster: Cluster, namespace: str, name: str) -> None:
    given = foreign.definition(name)
    spec = given["spec"]
    if cluster.get(*CRD, given["metadata"]["name"]) is not None:
        pytest.skip("the cluster has it")
    with cluster.installed(given):
        made = {
            "apiVersion": f"{spec['group']}/{spec['versions'][0]['name']}",
            "kind": spec["names"]["kind"],
            "metadata": {"name": "one", "namespace": namespace},
            "spec": {"anything": ["goes"]},
        }
        assert cluster.create(made)["spec"] == made["spec"]


@pytest.mark.usefixtures("widgets")
class TestTheSchemaOfADefinition:
    @pytest.mark.parametrize(
        ("spec", "field", "reason", "text"),
        [
            ({"size": "big"}, "spec.size", "FieldValueTypeInvalid", 'must be of type integer: "string"'),
            ({"size": -1}, "spec.size", "FieldValueInvalid", "should be greater than or equal to 0"),
            ({"size": 101}, "spec.size", "FieldValueInvalid", "should be less than or equal to 100"),
            ({"colour": "blue"}, "spec.colour", "FieldValueNotSupported", 'supported values: "red", "green"'),
            ({"code": "A"}, "spec.code", "FieldValueInvalid", "should match '^[a-z]+$'"),
            ({"code": "a" * 9}, "spec.code", "FieldValueTooLong", "may not be more than 8"),
            ({"parts": [{"size": 1}]}, "spec.parts[0].name", "FieldValueRequired", "Required value"),
            ({"words": ["a", "a"]}, "spec.words[1]", "FieldValueDuplicate", 'Duplicate value: "a"'),
            ({"parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", "FieldValueDuplicate", "Duplicate value"),
            ({"least": 3, "most": 2}, "spec", "FieldValueInvalid", "least is at most most"),
            ({"port": True}, "spec.port", "FieldValueTypeInvalid", "must be of type integer,string"),
        ],
    )
    def test_names_what_is_wrong(
        self, cluster: Cluster, namespace: str, spec: Manifest, field: str, reason: str, text: str
    ) -> None:
        with pytest.raises(Refused, match=r'^Widget\.tests\.fairlead\.dev "one" is invalid: ') as refused:
            cluster.create(widget(namespace, **spec))
        assert (refused.value.code, refused.value.reason) == (422, "Invalid")
        cause = refused.value.causes[0]
        assert (cause["field"], cause["reason"]) == (field, reason)
        assert text in cause["message"]

    @pytest.mark.parametrize("port", [80, "http"])
    def test_has_values_of_two_types(self, cluster: Cluster, namespace: str, port: int | str) -> None:
        assert cluster.create(widget(namespace, port=port))["spec"]["port"] == port

    def test_gives_defaults(self, cluster: Cluster, namespace: str) -> None:
        assert cluster.create(widget(namespace))["spec"] == {"replicas": 1}
        changed = cluster.patch(GROUP, "Widget", "one", {"spec": {"shape": {}}}, namespace)
        assert changed["spec"]["shape"] == {"sides": 4}

    def test_takes_unknown_fields_out_with_a_warning(self, cluster: Cluster, namespace: str) -> None:
        created = cluster.create(widget(namespace, unheard=1, shape={"unheard": 2}))
        assert created["spec"] == {"replicas": 1, "shape": {"sides": 4}}
        assert cluster.warnings == ['unknown field "spec.shape.unheard"', 'unknown field "spec.unheard"']

    def test_refuses_unknown_fields_where_that_is_asked_for(self, cluster: Cluster, namespace: str) -> None:
        with pytest.raises(Refused, match=r'strict decoding error: unknown field "spec\.unheard"') as refused:
            cluster.create(widget(namespace, unheard=1), fieldValidation="Strict")
        assert (refused.value.code, refused.value.reason) == (400, "BadRequest")

    def test_keeps_unknown_fields_where_it_says_so(self, cluster: Cluster, namespace: str) -> None:
        free = {"any": [{"thing": 1}], "none": None}
        assert cluster.create(widget(namespace, free=free))["spec"]["free"] == free

    def test_keeps_null_only_where_it_may_be(self, cluster: Cluster, namespace: str) -> None:
        created = cluster.create(widget(namespace, size=None, nothing=None, replicas=None))
        assert created["spec"] == {"nothing": None, "replicas": 1}

    def test_compares_with_what_was_there(self, cluster: Cluster, namespace: str) -> None:
        cluster.create(widget(namespace, fixed="a"))
        with pytest.raises(Refused, match="fixed cannot be changed") as refused:
            cluster.patch(GROUP, "Widget", "one", {"spec": {"fixed": "b"}}, namespace)
        assert refused.value.causes[0]["field"] == "spec.fixed"
        assert (
            cluster.patch(GROUP, "Widget", "one", {"spec": {"fixed": "a", "size": 1}}, namespace)["spec"]["size"] == 1
        )
