"""The manifests, applied to an API server: it takes them as they are, and holds the operator to its roles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import pytest

from fairlead_apiserver import ApiServer, Cluster
from fairlead_apiserver.cluster import Refused
from fairlead_operator_tests.manifests import folders, permissions

APPLY: Final = "application/apply-patch+yaml"
USER: Final = ":".join(("system:serviceaccount", *permissions.ACCOUNT))
IRIS: Final = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "iris", "namespace": "default"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/iris"}}},
}
LEASE: Final = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "fairlead-operator", "namespace": "fairlead"},
    "spec": {"holderIdentity": "one"},
}


@dataclasses.dataclass(frozen=True)
class Installed:
    """A server with everything that is applied by default.

    Attributes:
        admin: its administrator.
        operator: the operator's account.
        warnings: what the server said of the manifests.
    """

    admin: Cluster
    operator: Cluster
    warnings: list[str]


def apply(cluster: Cluster, manifest: dict[str, Any]) -> list[str]:
    """Apply an object as ``kubectl apply --server-side`` does."""
    metadata = manifest["metadata"]
    path = cluster.path(manifest["apiVersion"], manifest["kind"], metadata.get("namespace"), metadata["name"])
    query = {"fieldManager": "kubectl", "fieldValidation": "Strict"}
    cluster.request("PATCH", path, manifest, query=query, content=APPLY)
    return cluster.warnings


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("kubeconfig")
    with ApiServer() as server:
        admin = Cluster(server.kubeconfig(folder / "admin"))
        told = [text for each in folders.objects(folders.OVERLAYS["default"]) for text in apply(admin, each)]
        told += [text for each in folders.objects(folders.OVERLAYS["runtimes"]) for text in apply(admin, each)]
        admin.create(IRIS)
        yield Installed(admin, Cluster(server.kubeconfig(folder / "operator", USER)), told)


def refused(cluster: Cluster, method: str, path: str, data: Any = None, **query: str) -> bool:
    """Whether the server says that this user may not."""
    content = APPLY if method == "PATCH" and "fieldManager" in query else "application/merge-patch+json"
    try:
        cluster.request(method, path, data, query=query, content="application/json" if method == "POST" else content)
    except Refused as error:
        if error.code not in (403, 404):
            raise
        return error.code == 403
    return False


def test_an_api_server_takes_every_manifest_without_a_word(installed: Installed) -> None:
    assert installed.warnings == []
    names = {
        each["metadata"]["name"] for each in installed.admin.list("serving.kserve.io/v1alpha1", "ClusterServingRuntime")
    }
    assert {"fairlead-sklearn", "kserve-tritonserver"} <= names


@pytest.mark.parametrize(
    "path",
    [
        "/apis/serving.kserve.io/v1beta1/inferenceservices",
        "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes",
        "/apis/apps/v1/deployments",
        "/api/v1/services",
        "/api/v1/pods",
        "/api/v1/namespaces/default/serviceaccounts/default",
        "/api/v1/namespaces/fairlead/configmaps/inferenceservice-config",
        "/api/v1/namespaces/fairlead/configmaps/authorities",
        "/api/v1/namespaces/fairlead/secrets/fairlead-webhooks",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ],
)
def test_the_operator_may_read(installed: Installed, path: str) -> None:
    assert not refused(installed.operator, "GET", path)


def test_the_operator_may_list_the_configuration_alone(installed: Installed) -> None:
    assert not refused(
        installed.operator, "GET", "/api/v1/configmaps", fieldSelector="metadata.name=inferenceservice-config"
    )
    assert refused(installed.operator, "GET", "/api/v1/configmaps")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/secrets",
        "/api/v1/namespaces/default/secrets/storage-config",
        "/api/v1/namespaces/fairlead/secrets",
        "/api/v1/namespaces/default/configmaps/of-a-user",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    ],
)
def test_the_operator_may_not_read(installed: Installed, path: str) -> None:
    assert refused(installed.operator, "GET", path)


def test_the_operator_writes_the_status_of_a_service_and_neither_makes_nor_deletes_one(installed: Installed) -> None:
    path = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"
    assert not refused(installed.operator, "PATCH", f"{path}/iris/status", {"status": {"url": "http://iris"}})
    assert refused(installed.operator, "POST", path, {**IRIS, "metadata": {"name": "second", "namespace": "default"}})
    assert refused(installed.operator, "DELETE", f"{path}/iris")


def test_the_operator_holds_its_lease_and_no_other(installed: Installed) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/fairlead/leases"
    made = installed.operator.request("POST", path, LEASE)
    installed.operator.request("PUT", f"{path}/fairlead-operator", {**made, "spec": {"holderIdentity": "two"}})
    assert refused(installed.operator, "GET", f"{path}/another")
    assert refused(
        installed.operator, "POST", path.replace("/fairlead/", "/default/"), {**LEASE, "metadata": {"name": "x"}}
    )


def test_the_operator_applies_what_a_service_comes_to_and_deletes_it(installed: Installed) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris-predictor", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "isvc.iris-predictor"}},
    }
    path = "/api/v1/namespaces/default/services/iris-predictor"
    assert not refused(installed.operator, "PATCH", path, service, fieldManager="fairlead-operator")
    assert not refused(installed.operator, "DELETE", path)
