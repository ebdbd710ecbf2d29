"""Objects that the suite is about."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["APPS", "GROUP", "WIDGETS", "config", "definition", "deployment", "service", "widget"]

APPS: Final = "apps/v1"
GROUP: Final = "tests.fairlead.dev/v1"

Manifest = dict[str, Any]


def config(namespace: str, name: str = "one", data: dict[str, str] | None = None, **metadata: Any) -> Manifest:
    """A ConfigMap."""
    head = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": data or {"key": "value"}}


def deployment(namespace: str, name: str = "one", **spec: Any) -> Manifest:
    """A Deployment of one container."""
    container = {"name": "main", "image": "registry.invalid/main:1", "ports": [{"containerPort": 8080}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": APPS,
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def service(namespace: str, name: str = "one", **spec: Any) -> Manifest:
    """A Service of one port."""
    wanted = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": wanted}


def widget(namespace: str, name: str = "one", **spec: Any) -> Manifest:
    """An object of a kind that is defined by the tests."""
    return {"apiVersion": GROUP, "kind": "Widget", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def definition(plural: str, schema: Manifest, **version: Any) -> Manifest:
    """The CustomResourceDefinition of a kind of version v1."""
    group, served = GROUP.split("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"plural": plural, "singular": plural[:-1], "kind": plural[:-1].capitalize()},
            "scope": "Namespaced",
            "versions": [
                {"name": served, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
            ],
        },
    }


def _object(**properties: Any) -> Manifest:
    return {"type": "object", "properties": properties}


_TEXT: Final[Manifest] = {"type": "string"}
_WHOLE: Final[Manifest] = {"type": "integer"}
_PART: Final = {**_object(name=_TEXT, size=_WHOLE, colour=_TEXT), "required": ["name"]}
WIDGETS: Final = definition(
    "widgets",
    _object(
        spec={
            **_object(
                size={"type": "integer", "minimum": 0, "maximum": 100},
                colour={"type": "string", "enum": ["red", "green"]},
                code={"type": "string", "pattern": "^[a-z]+$", "maxLength": 8},
                replicas={"type": "integer", "default": 1},
                shape={**_object(sides={"type": "integer", "default": 4}, name=_TEXT)},
                labels={"type": "object", "additionalProperties": _TEXT},
                words={"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
                steps={"type": "array", "items": _TEXT},
                parts={
                    "type": "array",
                    "items": _PART,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                port={"x-kubernetes-int-or-string": True},
                free={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                nothing={"type": "string", "nullable": True},
                fixed={
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed cannot be changed"}],
                },
                least=_WHOLE,
                most=_WHOLE,
            ),
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.least) || !has(self.most) || self.least <= self.most",
                    "message": "least is at most most",
                }
            ],
        },
        status=_object(phase=_TEXT, replicas=_WHOLE, selector=_TEXT, observedGeneration=_WHOLE),
    ),
    subresources={
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
)
