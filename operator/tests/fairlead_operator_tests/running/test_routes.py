"""How requests come to services, and when they are said to.

What KServe tests, and where that is tested here:

- HTTPRoutes of a predictor, transformer, explainer: test_a_service_is_ready_once_the_gateway_follows_all_of_its_routes
- ingress creation disabled: test_where_somebody_else_routes_nothing_is_made_and_the_service_is_ready
- custom domainTemplate: test_hosts_are_what_the_template_says
- path-based routing: predictor, transformer, explainer: test_a_path_leads_to_what_is_asked_first
- Gateway API off: Ingress: test_without_the_gateway_api_there_is_an_ingress
- headless Service; with a custom port: test_a_service_without_an_address_is_asked_at_the_port_of_its_pods
- REST and gRPC on one host: test_both_protocols_are_asked_at_one_host
- cluster-local: test_a_service_for_the_cluster_alone_has_no_route
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

GATEWAY = {"enableGatewayApi": True, "kserveIngressGateway": "gateways/main"}


def backends(route: dict[str, Any]) -> list[list[str]]:
    return [[each["name"] for each in rule["backendRefs"]] for rule in route["spec"]["rules"]]


@pytest.mark.parametrize("more", [(), ("transformer",), ("explainer",), ("transformer", "explainer")])
def test_a_service_is_ready_once_the_gateway_follows_all_of_its_routes(
    gateway: Services, more: tuple[str, ...]
) -> None:
    manifest = isvc("iris")
    manifest["spec"].update({kind: shapes.custom() for kind in more})
    gateway.declare(manifest)
    for kind in ("predictor", *more):
        route = gateway.appears("HTTPRoute", f"iris-{kind}")
        assert route["spec"]["hostnames"] == [f"iris-{kind}-{gateway.namespace}.example.com"]
        assert backends(route) == [[f"iris-{kind}"]]
        gateway.condition("iris", "IngressReady", "False")
        gateway.roll_out(f"iris-{kind}")
        gateway.follow(f"iris-{kind}")
    gateway.condition("iris", "IngressReady", "False", "ParentStatusNotAvailable")
    top = gateway.appears("HTTPRoute", "iris")
    entry = "iris-transformer" if "transformer" in more else "iris-predictor"
    assert backends(top) == [*([["iris-explainer"]] if "explainer" in more else []), [entry]]
    assert top["spec"]["parentRefs"][0].items() >= {"namespace": "gateways", "name": "main"}.items()
    gateway.follow("iris")
    gateway.condition("iris", "Ready", "True")
    assert not gateway.names("Ingress")


def test_a_route_that_the_gateway_refuses_is_told_in_its_words(gateway: Services) -> None:
    gateway.declare(isvc("iris"))
    gateway.roll_out("iris-predictor")
    gateway.follow("iris-predictor", status="False", reason="NotAllowedByListeners", message="No listener lets it in.")
    gateway.follow("iris")
    said = gateway.condition("iris", "IngressReady", "False", "NotAllowedByListeners")
    assert "No listener lets it in." in said["message"]
    gateway.follow("iris-predictor")
    gateway.condition("iris", "Ready", "True")


def test_a_route_that_changed_has_to_be_looked_at_again(gateway: Services) -> None:
    gateway.declare(isvc("iris"))
    gateway.roll_out("iris-predictor")
    for each in ("iris", "iris-predictor"):
        gateway.follow(each)
    gateway.condition("iris", "Ready", "True")
    gateway.change("iris", {"spec": {"predictor": {"timeout": 5}}})
    gateway.condition("iris", "IngressReady", "False", "ParentStatusNotAvailable")
    for each in ("iris", "iris-predictor"):
        gateway.becomes("HTTPRoute", each, lambda it: it["spec"]["rules"][0]["timeouts"]["request"] == "5s")
        gateway.follow(each)
    gateway.condition("iris", "Ready", "True")


def test_where_somebody_else_routes_nothing_is_made_and_the_service_is_ready(gateway: Services) -> None:
    gateway.configure(ingress={**GATEWAY, "disableIngressCreation": True})
    gateway.declare(isvc("iris"))
    gateway.roll_out("iris-predictor")
    gateway.condition("iris", "Ready", "True")
    gateway.cluster.eventually(lambda: not gateway.names("HTTPRoute") | gateway.names("Ingress"))
    assert gateway.settled("iris")["url"] == f"http://iris-{gateway.namespace}.example.com"


@pytest.mark.parametrize("gateway_api", [True, False])
def test_hosts_are_what_the_template_says(gateway: Services, gateway_api: bool) -> None:
    template = "{{ .Name }}.{{ .Namespace }}.{{ .Labels.team }}.{{ .IngressDomain }}"
    own = {"domainTemplate": template, "ingressDomain": "example.org", "urlScheme": "https"}
    gateway.configure(ingress={**GATEWAY, "enableGatewayApi": gateway_api, **own})
    manifest = isvc("iris")
    manifest["metadata"]["labels"] = {"team": "flora"}
    gateway.declare(manifest)
    host = f"iris.{gateway.namespace}.flora.example.org"
    if gateway_api:
        gateway.becomes("HTTPRoute", "iris", lambda each: each["spec"]["hostnames"] == [host])
        gateway.becomes("HTTPRoute", "iris-predictor", lambda each: host[4:] in each["spec"]["hostnames"][0])
        for each in ("iris", "iris-predictor"):
            gateway.follow(each)
    else:
        gateway.becomes("Ingress", "iris", lambda each: each["spec"]["rules"][0]["host"] == host)
    gateway.roll_out("iris-predictor")
    gateway.condition("iris", "Ready", "True")
    assert gateway.settled("iris")["url"] == f"https://{host}"


@pytest.mark.parametrize("kind", ["predictor", "transformer", "explainer"])
def test_a_path_leads_to_what_is_asked_first(gateway: Services, kind: str) -> None:
    gateway.configure(ingress={**GATEWAY, "pathTemplate": "/serving/{{ .Namespace }}/{{ .Name }}"})
    manifest = isvc("iris")
    if kind != "predictor":
        manifest["spec"][kind] = shapes.custom()
    gateway.declare(manifest)
    route = gateway.appears("HTTPRoute", "iris.path")
    assert route["spec"]["hostnames"] == ["example.com"]
    *explaining, every = route["spec"]["rules"]
    prefix = f"/serving/{gateway.namespace}/iris"
    assert every["matches"] == [{"path": {"type": "PathPrefix", "value": prefix}}]
    assert every["backendRefs"][0]["name"] == ("iris-transformer" if kind == "transformer" else "iris-predictor")
    assert {each["backendRefs"][0]["name"] for each in explaining} == (
        {"iris-explainer"} if kind == "explainer" else set()
    )
    gateway.configure(ingress=GATEWAY)
    gateway.disappears("HTTPRoute", "iris.path")


def test_without_the_gateway_api_there_is_an_ingress(services: Services) -> None:
    services.configure(ingress={"ingressClassName": "nginx"})
    manifest = isvc("iris", annotations={"nginx.ingress.kubernetes.io/proxy-body-size": "8m"})
    manifest["spec"]["transformer"] = shapes.custom()
    services.declare(manifest)
    found = services.becomes("Ingress", "iris", lambda each: each["spec"].get("ingressClassName") == "nginx")
    where = f"-{services.namespace}.example.com"
    assert {
        each["host"].removesuffix(where): each["http"]["paths"][0]["backend"]["service"]["name"]
        for each in found["spec"]["rules"]
    } == {"iris": "iris-transformer", "iris-predictor": "iris-predictor", "iris-transformer": "iris-transformer"}
    assert found["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "8m"


def test_a_namespace_that_comes_to_the_gateway_api_changes_its_routes(gateway: Services) -> None:
    gateway.configure(ingress={"enableGatewayApi": False})
    gateway.declare(isvc("iris"))
    gateway.appears("Ingress", "iris")
    gateway.configure(ingress=GATEWAY)
    gateway.appears("HTTPRoute", "iris")
    gateway.roll_out("iris-predictor")
    for each in ("iris", "iris-predictor"):
        gateway.follow(each)
    gateway.disappears("Ingress", "iris")
    gateway.condition("iris", "Ready", "True")


@pytest.mark.parametrize(
    ("ports", "port"),
    [([], 8080), ([{"containerPort": 9000, "name": "h2c"}, {"containerPort": 8090, "name": "a"}], 8090)],
)
def test_a_service_without_an_address_is_asked_at_the_port_of_its_pods(
    services: Services, ports: list[dict[str, Any]], port: int
) -> None:
    services.configure(service={"serviceClusterIPNone": True})
    services.declare(isvc("iris", model={"ports": ports} if ports else {}))
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["clusterIP"] == "None")
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    host = f"iris-predictor.{services.namespace}.svc.cluster.local"
    services.status("iris", lambda each: each["address"]["url"] == f"http://{host}:{port}")


def test_a_service_gets_and_loses_its_address_as_the_configuration_says(services: Services) -> None:
    services.declare(isvc("iris"))
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["clusterIP"] != "None")
    services.configure(service={"serviceClusterIPNone": True})
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["clusterIP"] == "None")
    services.configure(service={"serviceClusterIPNone": False})
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["clusterIP"] != "None")
    services.settled("iris")


def test_both_protocols_are_asked_at_one_host(gateway: Services) -> None:
    ports = [{"name": "http1", "containerPort": 8080}, {"name": "h2c", "containerPort": 8081}]
    gateway.declare(isvc("iris", model={"ports": ports}))
    for each in ("iris", "iris-predictor"):
        rules = gateway.appears("HTTPRoute", each)["spec"]["rules"]
        assert [rule["backendRefs"][0]["port"] for rule in rules] == [8081, 80]


@pytest.mark.parametrize("how", ["label", "domain"])
def test_a_service_for_the_cluster_alone_has_no_route(gateway: Services, how: str) -> None:
    manifest = isvc("iris")
    if how == "label":
        manifest["metadata"]["labels"] = {"networking.kserve.io/visibility": "cluster-local"}
    else:
        gateway.configure(ingress={**GATEWAY, "ingressDomain": "svc.cluster.local"})
    gateway.declare(manifest)
    gateway.roll_out("iris-predictor")
    gateway.condition("iris", "Ready", "True")
    gateway.cluster.eventually(lambda: not gateway.names("HTTPRoute") | gateway.names("Ingress"))
    found = gateway.settled("iris")
    assert found["url"] == found["address"]["url"] == f"http://iris-predictor.{gateway.namespace}.svc.cluster.local"
