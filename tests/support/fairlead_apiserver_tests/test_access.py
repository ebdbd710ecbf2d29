from __future__ import annotations

from typing import Any

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import Manifest, config

RBAC = "rbac.authorization.k8s.io/v1"
ROBOT = "robot"


def grant(cluster: Cluster, namespace: str, user: str, *rules: Manifest) -> None:
    head = {"name": "one", "namespace": namespace}
    cluster.create({"apiVersion": RBAC, "kind": "Role", "metadata": head, "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": user, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"}
    given = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": head, "subjects": [subject], "roleRef": reference}
    cluster.create(given)


def ask(cluster: Cluster, namespace: str, method: str, path: str, data: Any = None) -> Any:
    user = f"system:serviceaccount:{namespace}:{ROBOT}"
    return cluster.request(method, path, data, headers={"Impersonate-User": user})


def test_who_has_no_role_may_do_nothing(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(cluster, namespace, "GET", cluster.path("v1", "ConfigMap", namespace))
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
    assert str(refused.value) == (
        f'configmaps is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource "configmaps" '
        f'in API group "" in the namespace "{namespace}"'
    )


def test_a_role_allows_what_it_names(cluster: Cluster, namespace: str) -> None:
    grant(cluster, namespace, ROBOT, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "create"]})
    path = cluster.path("v1", "ConfigMap", namespace)
    cluster.eventually(lambda: ask(cluster, namespace, "GET", path))
    assert ask(cluster, namespace, "POST", path, config(namespace))["metadata"]["uid"]
    with pytest.raises(Refused, match='cannot delete resource "configmaps"'):
        ask(cluster, namespace, "DELETE", f"{path}/one")
    with pytest.raises(Refused, match='cannot list resource "secrets"'):
        ask(cluster, namespace, "GET", cluster.path("v1", "Secret", namespace))
    with pytest.raises(Refused, match="at the cluster scope"):
        ask(cluster, namespace, "GET", "/api/v1/configmaps")


def test_a_role_allows_single_objects(cluster: Cluster, namespace: str) -> None:
    names = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["one"]}
    grant(cluster, namespace, ROBOT, names)
    for name in ("one", "two"):
        cluster.create(config(namespace, name))
    path = cluster.path("v1", "ConfigMap", namespace)
    assert cluster.eventually(lambda: ask(cluster, namespace, "GET", f"{path}/one"))
    with pytest.raises(Refused, match='"two" is forbidden'):
        ask(cluster, namespace, "GET", f"{path}/two")


def test_a_subresource_is_allowed_apart(cluster: Cluster, namespace: str) -> None:
    grant(cluster, namespace, ROBOT, {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]})
    path = cluster.path("apps/v1", "Deployment", namespace, "one")

    def found() -> bool:
        try:
            ask(cluster, namespace, "GET", f"{path}/scale")
        except Refused as refused:
            return refused.code == 404
        return False

    cluster.eventually(found)
    with pytest.raises(Refused, match='cannot get resource "deployments"'):
        ask(cluster, namespace, "GET", path)


def test_a_role_of_the_cluster_can_be_given_in_one_namespace(cluster: Cluster, namespace: str) -> None:
    name = f"tests-{namespace}"
    rule = {"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}
    cluster.create({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]})
    try:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        subject = {"kind": "ServiceAccount", "name": ROBOT, "namespace": namespace}
        head = {"name": "one", "namespace": namespace}
        binding = {"kind": "RoleBinding", "metadata": head, "subjects": [subject], "roleRef": reference}
        cluster.create({"apiVersion": RBAC, **binding})
        path = cluster.path("v1", "Secret", namespace)
        assert cluster.eventually(lambda: ask(cluster, namespace, "GET", path))
        with pytest.raises(Refused, match=r'cannot list resource "secrets" .* in the namespace "default"'):
            ask(cluster, namespace, "GET", cluster.path("v1", "Secret", "default"))
    finally:
        cluster.delete(RBAC, "ClusterRole", name)


def test_a_token_of_nobody_is_not_let_in(cluster: Cluster) -> None:
    with pytest.raises(Refused) as refused:
        cluster.request("GET", "/api/v1/namespaces", headers={"Authorization": "Bearer none"})
    assert (refused.value.code, refused.value.reason) == (401, "Unauthorized")
