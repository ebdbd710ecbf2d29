"""What the operator may do: what it needs, and nothing that would harm whoever shares the cluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pytest

from fairlead_operator.cluster import kinds
from fairlead_operator_tests.manifests import folders, permissions
from fairlead_operator_tests.manifests.permissions import Rule

if TYPE_CHECKING:
    from fairlead_operator.cluster.kinds import Kind

RULES: Final = {
    name: permissions.rules(folders.objects(folders.OVERLAYS[name]))
    for name in ("default", "without-webhooks", "namespaced")
}
OWN: Final = "fairlead"
ADMISSION: Final = "admissionregistration.k8s.io"

every_overlay = pytest.mark.parametrize("overlay", RULES)
children = pytest.mark.parametrize("kind", kinds.CHILDREN, ids=lambda each: each.name)
allowed = functools.partial(permissions.allowed, RULES["default"])


def resource(kind: Kind) -> tuple[str, str]:
    return kind.group, kind.plural


@children
@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "patch", "delete"])
def test_what_a_service_comes_to_is_made_and_deleted(kind: Kind, verb: str) -> None:
    assert allowed(verb, *resource(kind), "iris-predictor", "models")


@children
def test_nothing_is_replaced_as_a_whole_or_deleted_in_bulk(kind: Kind) -> None:
    assert not any(allowed(verb, *resource(kind), None, "models") for verb in ("update", "deletecollection"))


@pytest.mark.parametrize("kind", kinds.DECLARED, ids=lambda each: each.name)
def test_what_users_declare_is_read_and_never_made_or_deleted(kind: Kind) -> None:
    assert all(allowed(verb, *resource(kind), "x") for verb in ("get", "list", "watch"))
    assert not any(allowed(verb, *resource(kind), "x") for verb in ("create", "update", "delete"))


@pytest.mark.parametrize(
    ("verb", "group", "name", "which", "namespace"),
    [
        ("patch", "serving.kserve.io", "inferenceservices", "iris", "models"),
        ("patch", "serving.kserve.io", "inferenceservices/status", "iris", "models"),
        ("update", "serving.kserve.io", "inferenceservices/finalizers", "iris", "models"),
        ("patch", "apps", "deployments/scale", "iris-predictor", "models"),
        ("list", "metrics.k8s.io", "pods", None, "models"),
        ("watch", "", "pods", None, None),
        ("get", "", "serviceaccounts", "default", "models"),
        ("watch", "", "configmaps", "inferenceservice-config", None),
        ("get", "", "configmaps", "inferenceservice-config", "models"),
        ("get", "", "configmaps", "global-ca-bundle", "models"),
        ("create", "", "configmaps", "global-ca-bundle", "models"),
        ("patch", "", "configmaps", "global-ca-bundle", "models"),
        ("get", "", "configmaps", "authorities", OWN),
        ("watch", "apiextensions.k8s.io", "customresourcedefinitions", None, None),
        ("list", "", "namespaces", None, None),
        ("create", "", "events", None, "models"),
        ("patch", "", "events", "iris.1", "models"),
        ("get", "", "events", "iris.1", "models"),
        ("create", "coordination.k8s.io", "leases", None, OWN),
        ("get", "coordination.k8s.io", "leases", "fairlead-operator", OWN),
        ("update", "coordination.k8s.io", "leases", "fairlead-operator", OWN),
        ("create", "", "secrets", None, OWN),
        ("get", "", "secrets", "fairlead-webhooks", OWN),
        ("update", "", "secrets", "fairlead-webhooks", OWN),
        ("create", ADMISSION, "validatingwebhookconfigurations", None, None),
        ("patch", ADMISSION, "mutatingwebhookconfigurations", "fairlead-operator", None),
        ("delete", ADMISSION, "validatingwebhookconfigurations", "fairlead-operator", None),
    ],
)
def test_the_operator_may(verb: str, group: str, name: str, which: str | None, namespace: str | None) -> None:
    assert allowed(verb, group, name, which, namespace)


@pytest.mark.parametrize(
    ("verb", "group", "name", "which", "namespace"),
    [
        ("get", "", "secrets", "storage-config", "models"),
        ("list", "", "secrets", None, None),
        ("list", "", "secrets", None, OWN),
        ("get", "", "secrets", "another", OWN),
        ("list", "", "configmaps", None, "models"),
        ("get", "", "configmaps", "of-a-user", "models"),
        ("patch", "", "configmaps", "of-a-user", "models"),
        ("patch", "", "configmaps", "inferenceservice-config", OWN),
        ("create", "", "pods", None, "models"),
        ("delete", "", "pods", "iris", "models"),
        ("create", "", "pods/exec", "iris", "models"),
        ("patch", "", "serviceaccounts", "default", "models"),
        ("create", "", "serviceaccounts/token", "default", "models"),
        ("delete", "", "namespaces", "models", None),
        ("patch", "apiextensions.k8s.io", "customresourcedefinitions", "x", None),
        ("get", "coordination.k8s.io", "leases", "another", OWN),
        ("update", "coordination.k8s.io", "leases", "fairlead-operator", "models"),
        ("get", ADMISSION, "validatingwebhookconfigurations", "of-another", None),
        ("patch", ADMISSION, "validatingwebhookconfigurations", "of-another", None),
        ("delete", ADMISSION, "validatingwebhookconfigurations", "of-another", None),
        ("create", "rbac.authorization.k8s.io", "rolebindings", None, "models"),
    ],
)
def test_the_operator_may_not(verb: str, group: str, name: str, which: str | None, namespace: str | None) -> None:
    assert not allowed(verb, group, name, which, namespace)


@every_overlay
def test_no_rule_is_for_everything(overlay: str) -> None:
    for rule in RULES[overlay]:
        assert "*" not in rule.groups | rule.resources | rule.verbs
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & rule.verbs


@every_overlay
def test_secrets_are_the_operators_own_certificate_alone(overlay: str) -> None:
    found = [rule for rule in RULES[overlay] if "secrets" in rule.resources]
    assert {rule.namespace for rule in found} <= {OWN}
    assert all(rule.names == {"fairlead-webhooks"} for rule in found if rule.verbs != {"create"})
    assert bool(found) is (overlay == "default")


def test_without_webhooks_the_cluster_is_told_of_none() -> None:
    assert not any(ADMISSION in rule.groups for name in ("without-webhooks", "namespaced") for rule in RULES[name])


def test_bound_to_one_namespace_it_works_there_and_nowhere_else() -> None:
    may = functools.partial(permissions.allowed, RULES["namespaced"])
    assert may("create", "apps", "deployments", None, "models")
    assert not may("create", "apps", "deployments", None, "others")
    assert not may("list", "apps", "deployments")
    assert may("list", "serving.kserve.io", "clusterservingruntimes")
    assert may("watch", "", "configmaps", "inferenceservice-config", OWN)
    everywhere: list[Rule] = [rule for rule in RULES["namespaced"] if rule.namespace is None]
    assert {verb for rule in everywhere for verb in rule.verbs} == {"get", "list", "watch"}


def test_a_rule_with_names_permits_no_request_without_one() -> None:
    rules = [Rule(frozenset({""}), frozenset({"secrets"}), frozenset({"get", "list"}), frozenset({"a"}), None, "r")]
    assert permissions.allowed(rules, "get", "", "secrets", "a", "x")
    assert not permissions.allowed(rules, "get", "", "secrets", "b", "x")
    assert not permissions.allowed(rules, "list", "", "secrets", None, "x")
