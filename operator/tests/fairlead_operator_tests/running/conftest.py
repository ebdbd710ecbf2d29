"""An operator that runs in the cluster of the tests, and what they declare."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any, Final, Protocol

import pytest
from kopf.testing import KopfRunner

from fairlead_apiserver import ApiServer, Cluster, foreign
from fairlead_operator_tests.running.operating import Alone, operating, prepare
from fairlead_operator_tests.running.services import Services

FOREIGN: Final = ("HTTPRoute", "ScaledObject", "OpenTelemetryCollector")


class Operate(Protocol):
    """Runs an operator while a block is worked through."""

    def __call__(self, **options: Any) -> contextlib.AbstractContextManager[KopfRunner]: ...


@pytest.fixture(scope="session")
def prepared_cluster(clusters: Cluster) -> Cluster:
    """The cluster with the kinds, the operator's namespace and a runtime."""
    return prepare(clusters)


@pytest.fixture(scope="session")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A server in memory in whose cluster no operator runs."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("other operators run in a real cluster, and it cannot be told to fail")
    with ApiServer() as server:
        folder = tmp_path_factory.mktemp("alone")
        yield Alone(server, prepare(Cluster(server.kubeconfig(folder / "kubeconfig"))), folder)


@pytest.fixture
def alone(lonely: Alone) -> Iterator[Alone]:
    """The same for one test, which has all operators in it itself."""
    with lonely.cluster.namespace() as namespace:
        lonely.server.requests.clear()
        yield dataclasses.replace(lonely, namespace=namespace)
        lonely.server.heal()


@pytest.fixture
def operate(prepared_cluster: Cluster) -> Operate:
    """Runs operators of a test's own."""

    def run(**options: Any) -> contextlib.AbstractContextManager[KopfRunner]:
        return operating(prepared_cluster.kubeconfig, **options)

    return run


@pytest.fixture(scope="session")
def operator(prepared_cluster: Cluster) -> Iterator[KopfRunner]:
    """The operator of all tests that do not need one of their own."""
    with operating(prepared_cluster.kubeconfig) as runner:
        yield runner


@pytest.fixture
def services(operator: KopfRunner, prepared_cluster: Cluster, namespace: str) -> Services:
    """What a test declares in its namespace, while an operator runs."""
    return Services(prepared_cluster, namespace)


@pytest.fixture(scope="session")
def foreign_kinds(prepared_cluster: Cluster) -> Cluster:
    """The cluster with the kinds of the Gateway API, KEDA and OpenTelemetry that services come to."""
    for kind in FOREIGN:
        prepared_cluster.install(foreign.definition(kind))
    return prepared_cluster


@pytest.fixture
def gateway(foreign_kinds: Cluster, services: Services) -> Services:
    """The same as `services`, in a namespace whose services come to HTTPRoutes."""
    services.configure(ingress={"enableGatewayApi": True, "kserveIngressGateway": "gateways/main"})
    return services
