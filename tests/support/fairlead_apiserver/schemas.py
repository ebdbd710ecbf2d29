"""What fields a kind has: one form for Kubernetes' own schemas and for those of CustomResourceDefinitions."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

__all__ = ["VERSION", "Node", "built_in", "definitions", "structural"]

VERSION: Final = "1.34.0"
"""The Kubernetes whose schemas are used."""

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_EITHER: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_REFERENCE: Final = "#/$defs/"
_OPEN: Final = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
)


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """What is known of a value.

    ``type`` is one of JSON Schema's, ``quantity``, ``int-or-string``, or empty for any value. ``raw`` is the schema of
    a CustomResourceDefinition, for the rules that only they have.
    """

    type: str = ""
    properties: dict[str, Node] = dataclasses.field(default_factory=dict)
    additional: Node | None = None
    items: Node | None = None
    required: tuple[str, ...] = ()
    preserve: bool = False
    embedded: bool = False
    nullable: bool = False
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    atomic: bool = False
    merge_key: str = ""
    strategy: tuple[str, ...] = ()
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaulted: bool = False

    def child(self, name: str) -> Node:
        """What is known of a field or an entry."""
        return self.properties.get(name) or self.additional or _ANY

    @property
    def item(self) -> Node:
        """What is known of the items of a list."""
        return self.items or _ANY

    def keys(self, item: Any) -> dict[str, Any] | None:
        """What tells an item of a list from the others; None where it lacks a key."""
        if not isinstance(item, dict):
            return None
        found = {}
        for key in self.map_keys:
            if key in item:
                found[key] = item[key]
            elif key == "protocol":
                found[key] = "TCP"
            elif "default" in self.item.child(key).raw:
                found[key] = self.item.child(key).raw["default"]
        return found or None


_ANY: Final = Node(preserve=True)


@functools.cache
def definitions() -> dict[str, Any]:
    """The schemas of everything in Kubernetes' own API, by name."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local"
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    return found


@functools.cache
def kinds() -> dict[tuple[str, str, str], str]:
    """The name of the schema of each group, version and kind."""
    found: dict[tuple[str, str, str], str] = {}
    for name, schema in definitions().items():
        for each in schema.get("x-kubernetes-group-version-kind", ()):
            found.setdefault((each["group"], each["version"], each["kind"]), name)
    return found


@functools.cache
def built_in(group: str, version: str, kind: str) -> Node:
    """What fields a kind of Kubernetes' own has."""
    return _named(kinds()[group, version, kind])


_NAMED: Final[dict[str, Node]] = {}


def _named(name: str) -> Node:
    if name in _NAMED:
        return _NAMED[name]
    node = _NAMED[name] = Node()
    if name == _QUANTITY:
        node.type = "quantity"
    elif name == _EITHER:
        node.type = "int-or-string"
    elif name in _OPEN:
        node.preserve = True
    else:
        _fill(node, definitions()[name])
    return node


def _node(schema: Mapping[str, Any]) -> Node:
    reference = schema.get("$ref", "")
    extras = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if reference:
        node = _named(reference.removeprefix(_REFERENCE))
        if not extras:
            return node
        node = dataclasses.replace(node)
        _extend(node, extras)
        return node
    node = Node()
    _fill(node, schema)
    return node


def _fill(node: Node, schema: Mapping[str, Any]) -> None:
    kinds_of = schema.get("type", "")
    node.type = kinds_of if isinstance(kinds_of, str) else next((each for each in kinds_of if each != "null"), "")
    for key, value in schema.get("properties", {}).items():
        node.properties[key] = _node(value)
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        node.additional = _node(more)
    if "items" in schema:
        node.items = _node(schema["items"])
    node.required = tuple(schema.get("required", ()))
    _extend(node, schema)
    if node.type == "object" and not node.properties and node.additional is None and "properties" not in schema:
        node.preserve = True


def _extend(node: Node, schema: Mapping[str, Any]) -> None:
    node.list_type = schema.get("x-kubernetes-list-type", node.list_type)
    node.map_keys = tuple(schema.get("x-kubernetes-list-map-keys", node.map_keys))
    node.atomic = schema.get("x-kubernetes-map-type", "") == "atomic" or node.atomic
    node.merge_key = schema.get("x-kubernetes-patch-merge-key", node.merge_key)
    if strategy := schema.get("x-kubernetes-patch-strategy"):
        node.strategy = tuple(strategy.split(","))


def structural(schema: Mapping[str, Any]) -> Node:
    """What fields a kind has that a CustomResourceDefinition defines."""
    node = _structural(schema)
    return _with_meta(node)


def _structural(schema: Mapping[str, Any]) -> Node:
    node = Node(raw=schema)
    node.type = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        node.type = "int-or-string"
    node.properties = {key: _structural(value) for key, value in schema.get("properties", {}).items()}
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        node.additional = _structural(more)
    elif more is True:
        node.additional = _ANY
    if "items" in schema:
        node.items = _structural(schema["items"])
    node.required = tuple(schema.get("required", ()))
    node.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    node.nullable = bool(schema.get("nullable"))
    node.defaulted = "default" in schema or any(each.defaulted for each in node.properties.values())
    _extend(node, schema)
    if schema.get("x-kubernetes-embedded-resource"):
        node.embedded = True
        return _with_meta(node)
    return node


def _with_meta(node: Node) -> Node:
    text = Node(type="string")
    meta = {"apiVersion": text, "kind": text, "metadata": _named(_META)}
    return dataclasses.replace(node, properties={**node.properties, **meta})
