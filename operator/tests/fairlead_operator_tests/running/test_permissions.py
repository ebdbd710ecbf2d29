"""The operator as the ServiceAccount of its manifests: no request of a service's life is denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_apiserver import ApiServer, Cluster, foreign
from fairlead_operator.cluster.kinds import BY_KIND
from fairlead_operator_tests.manifests import folders, permissions
from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.operating import operating
from fairlead_operator_tests.running.services import Services, isvc, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead_apiserver.requests import Record

HOME: Final = permissions.ACCOUNT[0]
USER: Final = ":".join(("system:serviceaccount", *permissions.ACCOUNT))
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "default": {"webhooks": True, "webhook_port": 0, "webhook_url": "https://localhost:{port}"},
    "without-webhooks": {"webhooks": False},
    "namespaced": {"webhooks": False, "namespaces": ("models",)},
}


@pytest.fixture(params=OPTIONS)
def overlay(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def services(server: ApiServer, overlay: str, tmp_path: Any) -> Iterator[Services]:
    """A namespace of a cluster in which the manifests are applied, and the operator runs as their account."""
    cluster = Cluster(server.kubeconfig(tmp_path / "admin"))
    for kind in ("HTTPRoute", "ScaledObject", "OpenTelemetryCollector"):
        cluster.install(foreign.definition(kind))
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}})
    folders.apply(cluster, overlay)
    cluster.create(runtime("tests-sklearn"))
    found = Services(cluster, "models")
    kubeconfig = server.kubeconfig(tmp_path / "operator", user=USER)
    with operating(kubeconfig, namespace=HOME, elects=True, **OPTIONS[overlay]):
        yield found


def test_every_flow_of_a_service_is_permitted(services: Services, server: ApiServer) -> None:
    services.configure(
        ingress={"enableGatewayApi": True, "kserveIngressGateway": "gateways/main"},
        storageInitializer={"caBundleConfigMapName": "authorities"},
    )
    authorities = {"metadata": {"name": "authorities", "namespace": HOME}, "data": {"cabundle.crt": "authority"}}
    services.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", **authorities})
    services.declare(isvc("iris", minReplicas=2))
    services.declare(shapes.scaled("keda", "keda", shapes.PROMETHEUS))
    services.declare(shapes.scaled("collected", "keda", shapes.POD_METRIC))
    for name in ("iris", "keda", "collected"):
        services.roll_out(f"{name}-predictor")
        services.condition(name, "PredictorReady", "True")
    services.appears("ScaledObject", "keda-predictor")
    services.appears("HTTPRoute", "iris")
    services.change("iris", {"metadata": {"finalizers": ["inferenceservice.finalizers"]}})
    services.annotate("iris", autoscalerClass="none")
    services.disappears("HorizontalPodAutoscaler", "iris-predictor")
    services.annotate("iris", autoscalerClass="hpa")
    services.appears("HorizontalPodAutoscaler", "iris-predictor")
    services.annotate("keda", stop="true")
    services.disappears("Deployment", "keda-predictor")
    services.disappears("ScaledObject", "keda-predictor")
    services.delete("InferenceService", "iris")
    services.disappears("InferenceService", "iris")
    assert denied(server) == []


def denied(server: ApiServer) -> list[Record]:
    """What the operator asked for and may not do, but for webhooks of another installation, which it may not know."""
    refused = [each for each in server.requests if each.user == USER and each.code in (401, 403)]
    return [each for each in refused if not each.resource.endswith("webhookconfigurations")]


def test_nothing_is_asked_for_that_the_operator_has_no_kind_for(services: Services, server: ApiServer) -> None:
    services.declare(isvc("iris"))
    services.appears("HorizontalPodAutoscaler", "iris-predictor")
    known = {each.plural for each in BY_KIND.values()} | {"namespaces"}
    assert {each.resource for each in server.requests if each.user == USER} <= known
