"""An operator that runs in the cluster of the tests, and what they declare."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from kopf.testing import KopfRunner

from fairlead.api import crds
from fairlead.plugins import Plugins
from fairlead_apiserver import foreign
from fairlead_operator.catalogues import Installed
from fairlead_operator.options import Options
from fairlead_operator.process import prepared
from fairlead_operator_tests.running.services import HOME, Services, runtime

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster

FOREIGN: Final = ("HTTPRoute", "ScaledObject", "OpenTelemetryCollector")


class Operate(Protocol):
    """Runs an operator while a block is worked through."""

    def __call__(self, **options: Any) -> contextlib.AbstractContextManager[KopfRunner]: ...


@contextlib.contextmanager
def operating(kubeconfig: Path, **options: Any) -> Iterator[KopfRunner]:
    """An operator, run by kopf as its command would."""
    settled = {"elects": False, "webhooks": False, "namespace": HOME, **options}
    registry, settings = prepared(Options(kubeconfig=kubeconfig, **settled), Installed.discover(Plugins.discover()))
    settings.networking.error_backoffs = (0.1, 0.2, 0.5)
    arguments = ["run", "--all-namespaces", "--standalone", "--log-format=plain"]
    with KopfRunner(arguments, registry=registry, settings=settings, timeout=60) as runner:
        yield runner


@pytest.fixture(scope="session")
def prepared_cluster(clusters: Cluster) -> Cluster:
    """The cluster with the kinds, the operator's namespace and a runtime."""
    for each in crds.definitions():
        clusters.install(each)
    for each in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}, runtime("tests-sklearn")):
        clusters.apply(each, force=True)
    return clusters


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
