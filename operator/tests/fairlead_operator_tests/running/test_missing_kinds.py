"""Kinds of others that a cluster may lack: told with a remedy, and made up for once they are served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fairlead_apiserver import foreign
from fairlead_apiserver.cluster import Cluster
from fairlead_apiserver.server import ApiServer
from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.operating import operating, prepare
from fairlead_operator_tests.running.services import Services, isvc

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def server(memory: ApiServer | None) -> Iterator[ApiServer]:
    """A server with the kinds of Kubernetes alone."""
    if memory is None:
        pytest.skip("kinds of others are there for all tests of a real cluster")
    with ApiServer() as it:
        yield it


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path) -> Cluster:
    """Its cluster, with the kinds of services."""
    return prepare(Cluster(server.kubeconfig(tmp_path / "kubeconfig")))


@pytest.fixture
def bare(cluster: Cluster, namespace: str) -> Iterator[Services]:
    """A namespace of that cluster, where an operator works."""
    with operating(cluster.kubeconfig):
        yield Services(cluster, namespace)


@pytest.mark.parametrize("kind", ["HTTPRoute", "ScaledObject"])
def test_a_kind_that_the_cluster_lacks_is_told_and_used_once_it_is_there(bare: Services, kind: str) -> None:
    services = bare
    services.configure(ingress={"enableGatewayApi": kind == "HTTPRoute", "kserveIngressGateway": "gateways/main"})
    manifest = shapes.scaled("iris", "keda", shapes.MEMORY) if kind == "ScaledObject" else isvc("iris")
    services.declare(manifest)
    condition, reason, remedy = {
        "HTTPRoute": ("IngressReady", "GatewayAPINotInstalled", "Install the definitions of the Gateway API"),
        "ScaledObject": ("AutoscalerReady", "KedaNotInstalled", "Install KEDA"),
    }[kind]
    said = services.condition("iris", condition, "False", reason)
    assert remedy in said["message"]
    services.roll_out("iris-predictor")
    services.condition("iris", "PredictorReady", "True")
    services.cluster.install(foreign.definition(kind))
    services.appears(kind, "iris-predictor")
    if kind == "HTTPRoute":
        services.cluster.eventually(lambda: not services.names("Ingress"))
        for each in ("iris", "iris-predictor"):
            services.follow(each)
    services.condition("iris", "Ready", "True")
    services.status("iris", lambda each: "AutoscalerReady" not in {it["type"] for it in each["conditions"]})
    services.change("iris", {"spec": {"predictor": {"timeout": 9, "maxReplicas": 7}}})
    services.becomes(kind, "iris-predictor", lambda each: each["metadata"]["generation"] > 1)
    services.delete(kind, "iris-predictor")
    services.appears(kind, "iris-predictor")
