"""Kinds of other projects that an operator writes: their names, and a spec that may hold anything."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["KINDS", "defined", "definition"]

KINDS: Final = {
    "Gateway": ("gateway.networking.k8s.io", "v1", "gateways"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
    "OpenTelemetryCollector": ("opentelemetry.io", "v1beta1", "opentelemetrycollectors"),
    "ScaledObject": ("keda.sh", "v1alpha1", "scaledobjects"),
}
"""Group, version and plural of each kind."""


def definition(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    return defined(kind, *KINDS[kind])


def defined(kind: str, group: str, version: str, plural: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind that a test makes up."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": free, "status": free}}
    metadata: dict[str, Any] = {"name": f"{plural}.{group}"}
    if group.endswith(".k8s.io"):
        # The groups of Kubernetes itself are kept for who has leave to use them.
        metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
