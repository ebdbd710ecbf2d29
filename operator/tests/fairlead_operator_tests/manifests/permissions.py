"""What the manifests permit the operator to ask of the API server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["ACCOUNT", "Rule", "allowed", "rules"]

ACCOUNT: Final = ("fairlead", "fairlead-operator")
"""Namespace and name of the operator's ServiceAccount."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a role that is bound to the operator.

    Attributes:
        groups: the API groups; empty for the core's.
        resources: the resources, with their subresource behind a slash.
        verbs: what may be done.
        names: the objects; empty for all.
        namespace: where; None for everywhere, and for objects that are in no namespace.
        role: the role that it is of.
    """

    groups: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]
    names: frozenset[str]
    namespace: str | None
    role: str


def rules(manifests: Iterable[Mapping[str, Any]], account: tuple[str, str] = ACCOUNT) -> list[Rule]:
    """The rules that hold for a ServiceAccount, by the roles and bindings among objects.

    Args:
        manifests: the objects.
        account: namespace and name of the account.
    """
    objects = list(manifests)
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each["rules"]
        for each in objects
        if each["kind"] in ("Role", "ClusterRole")
    }
    found: list[Rule] = []
    for each in objects:
        if each["kind"] in ("RoleBinding", "ClusterRoleBinding") and _is_bound(each, account):
            namespace = each["metadata"].get("namespace")
            kind, name = each["roleRef"]["kind"], each["roleRef"]["name"]
            granted = roles[kind, namespace if kind == "Role" else None, name]
            found += [_rule(rule, namespace, name) for rule in granted]
    return found


def allowed(
    known: Iterable[Rule], verb: str, group: str, resource: str, name: str | None = None, namespace: str | None = None
) -> bool:
    """Whether a request is permitted, as the API server judges it.

    Args:
        known: the rules.
        verb: what is done: get, list, watch, create, update, patch, delete.
        group: the API group; empty for the core's.
        resource: the resource, such as ``deployments`` or ``deployments/scale``.
        name: the object; None where the request names none: then a rule with names does not permit it.
        namespace: where; None for all namespaces, and for objects that are in none.
    """
    return any(
        group in each.groups
        and resource in each.resources
        and verb in each.verbs
        and (not each.names or name in each.names)
        and each.namespace in (None, namespace)
        for each in known
    )


def _is_bound(binding: Mapping[str, Any], account: tuple[str, str]) -> bool:
    return any(
        (each["kind"], each.get("namespace"), each["name"]) == ("ServiceAccount", *account)
        for each in binding["subjects"]
    )


def _rule(rule: Mapping[str, Any], namespace: str | None, role: str) -> Rule:
    return Rule(
        frozenset(rule["apiGroups"]),
        frozenset(rule["resources"]),
        frozenset(rule["verbs"]),
        frozenset(rule.get("resourceNames", ())),
        namespace,
        role,
    )
