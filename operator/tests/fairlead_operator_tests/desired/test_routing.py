"""What brings requests to a service, where it is asked, and when it can be."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import routing
from fairlead_operator_tests.desired.routes import CUSTOM, PREDICTOR, Case, case, spec

if TYPE_CHECKING:
    from fairlead.resolve.observation import Ingress
    from fairlead_operator.desired.model import Manifest

_LOCAL: Final[dict[str, Any]] = {"metadata": {"labels": {"networking.kserve.io/visibility": "cluster-local"}}}
_GATEWAY: Final = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
_OURS: Final = {**_GATEWAY, "namespace": "kserve", "name": "kserve-ingress-gateway"}


def _kinds(made: Case) -> list[str]:
    return [f"{each['kind']} {each['metadata']['name']}" for each in routing.objects(made.service, made.around)[0]]


@pytest.mark.parametrize(
    ("around", "kinds"),
    [
        ({}, ["HTTPRoute iris-predictor", "HTTPRoute iris"]),
        ({"gateway": False}, ["Ingress iris"]),
        ({"ingress": {"disabled": True}}, []),
        (_LOCAL, []),
        ({"resolve": {"ingress_domain": "svc.cluster.local"}}, []),
        ({"apis": frozenset()}, []),
    ],
)
def test_the_configuration_and_the_cluster_choose_what_routes(around: dict[str, Any], kinds: list[str]) -> None:
    assert _kinds(case(**around)) == kinds


def test_a_cluster_without_the_gateway_api_is_a_problem_with_a_remedy() -> None:
    made = case(apis=frozenset())
    _, problems = routing.objects(made.service, made.around)
    assert [(each.condition, each.reason) for each in problems] == [("IngressReady", "GatewayAPINotInstalled")]
    assert "Install the definitions of the Gateway API" in problems[0].message
    found = routing.ready(made.service, made.around, {})
    assert (found.ready, found.reason) == (False, "GatewayAPINotInstalled")


def test_routes_are_there_before_anything_is_ready() -> None:
    made = case(spec(transformer=CUSTOM), ready=frozenset())
    assert _kinds(made) == ["HTTPRoute iris-predictor", "HTTPRoute iris-transformer", "HTTPRoute iris"]


# -- addresses ------------------------------------------------------------------------------------------


def _addresses(made: Case) -> tuple[str, str, dict[str, str]]:
    found = routing.addresses(made.service, made.around)
    return found.url, found.address, {kind.value: url for kind, url in found.components.items()}


def test_addresses_from_outside_have_the_configured_scheme_and_those_from_within_http() -> None:
    assert _addresses(case(spec(transformer=CUSTOM), resolve={"url_scheme": "https"})) == (
        "https://iris-models.example.com",
        "http://iris-transformer.models.svc.cluster.local",
        {
            "predictor": "https://iris-predictor-models.example.com",
            "transformer": "https://iris-transformer-models.example.com",
        },
    )


def test_the_address_from_within_is_the_service_of_a_named_predictor() -> None:
    made = case(spec(f"name: v2, {PREDICTOR}"), ingress={"cluster_domain": "corp"})
    assert _addresses(made)[1] == "http://iris-v2-predictor.models.svc.corp"


@pytest.mark.parametrize(
    ("predictor", "port"),
    [
        (PREDICTOR, 8080),
        ("model: {modelFormat: {name: tensorflow}, storageUri: 's3://models/net'}", 8080),
        ("containers: [{name: kserve-container, image: x, ports: [{containerPort: 9001}]}]", 9001),
        ("containers: [{name: kserve-container, image: x, ports: [{containerPort: 9001, name: h2c}]}]", 8080),
    ],
)
def test_a_service_without_an_address_of_its_own_is_asked_at_the_port_of_its_pods(predictor: str, port: int) -> None:
    assert (
        _addresses(case(spec(predictor), headless=True))[1] == f"http://iris-predictor.models.svc.cluster.local:{port}"
    )


def test_a_service_that_is_asked_from_within_alone_has_no_address_outside() -> None:
    inside = "http://iris-predictor.models.svc.cluster.local"
    assert _addresses(case(**_LOCAL)) == (inside, inside, {"predictor": inside})


def test_a_component_without_a_host_is_asked_from_within() -> None:
    made = case(metadata={"name": "i" * 27, "namespace": "n" * 27})
    assert _addresses(made)[2] == {"predictor": f"http://{'i' * 27}-predictor.{'n' * 27}.svc.cluster.local"}


# -- ready ----------------------------------------------------------------------------------------------


def _condition(kind: str = "Accepted", status: str = "True", **more: Any) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": kind, "message": f"{kind} is {status}", **more}


def _parent(*conditions: dict[str, Any], ref: dict[str, str] = _OURS) -> dict[str, Any]:
    return {"parentRef": ref, "controllerName": "example.org/gateway", "conditions": list(conditions)}


_FOLLOWED: Final = _parent(_condition(), _condition("ResolvedRefs"))


def _live(made: Case, **parents: list[dict[str, Any]]) -> dict[tuple[str, str], Manifest]:
    """The objects that routing makes, each route at generation 3, followed but where `parents` say otherwise."""
    found: dict[tuple[str, str], Manifest] = {}
    for each in routing.objects(made.service, made.around)[0]:
        live, name = copy.deepcopy(each), each["metadata"]["name"]
        live["metadata"]["generation"] = 3
        live["status"] = {"parents": parents.get(name.replace("-", "_").replace(".", "_"), [_FOLLOWED])}
        found[live["kind"], name] = live
    return found


def _ready(made: Case, live: dict[tuple[str, str], Manifest]) -> Ingress:
    return routing.ready(made.service, made.around, live)


@pytest.mark.parametrize(
    "around",
    [
        {},
        {"gateway": False},
        {"ingress": {"disabled": True}},
        _LOCAL,
        {"resolve": {"path_template": "/serving/{{ .Name }}"}},
    ],
)
def test_a_service_that_is_routed_and_answers_is_ready(around: dict[str, Any]) -> None:
    made = case(spec(transformer=CUSTOM, explainer=CUSTOM), **around)
    assert _ready(made, _live(made)).ready


@pytest.mark.parametrize("around", [{}, {"gateway": False}, {"ingress": {"disabled": True}}, _LOCAL])
@pytest.mark.parametrize("missing", list(ComponentKind))
def test_a_component_that_does_not_answer_is_looked_at_whatever_routes_there_are(
    around: dict[str, Any], missing: ComponentKind
) -> None:
    ready = frozenset(f"iris-{kind}" for kind in ComponentKind if kind is not missing)
    made = case(spec(transformer=CUSTOM, explainer=CUSTOM), ready=ready, **around)
    found = _ready(made, _live(made))
    assert (found.ready, found.reason) == (False, f"{missing.value.capitalize()} Deployment NotReady")
    assert f"iris-{missing}" in found.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("iris-predictor", "Predictor HTTPRoute NotCreated"),
        ("iris", "InferenceService HTTPRoute NotCreated"),
        ("iris.path", "InferenceService HTTPRoute NotCreated"),
    ],
)
def test_each_route_has_to_be_there(name: str, reason: str) -> None:
    made = case(resolve={"path_template": "/serving/{{ .Name }}"})
    live = _live(made)
    del live["HTTPRoute", name]
    found = _ready(made, live)
    assert (found.ready, found.reason) == (False, reason)


def test_an_ingress_has_to_be_there() -> None:
    assert _ready(case(gateway=False), {}).reason == "IngressNotCreated"


@pytest.mark.parametrize(
    ("parents", "reason", "message"),
    [
        ([], "ParentStatusNotAvailable", "has said nothing"),
        ([_parent(_condition(), ref={**_OURS, "name": "other"})], "ParentStatusNotAvailable", "has said nothing"),
        ([_parent()], "ParentStatusNotAvailable", "as it is now"),
        ([_parent(_condition("ResolvedRefs"))], "ParentStatusNotAvailable", "as it is now"),
        ([_parent(_condition(status="Unknown"))], "ParentStatusNotAvailable", "as it is now"),
        ([_parent(_condition(observedGeneration=2))], "ParentStatusNotAvailable", "as it is now"),
        (
            [_parent(_condition(status="False", reason="NotAllowedByListeners", message="no listener"))],
            "NotAllowedByListeners",
            "InferenceService no listener",
        ),
        (
            [_parent(_condition(), _condition("ResolvedRefs", "False", reason="BackendNotFound"))],
            "BackendNotFound",
            "InferenceService ResolvedRefs is False",
        ),
        ([_FOLLOWED, _parent(_condition(status="False", reason="Late"))], "Late", "InferenceService Accepted is False"),
        ([_parent(_condition(), _condition("PartiallyInvalid"))], "PartiallyInvalid", "PartiallyInvalid is True"),
    ],
)
def test_what_the_gateway_says_of_a_route_is_what_the_service_says(
    parents: list[dict[str, Any]], reason: str, message: str
) -> None:
    made = case()
    found = _ready(made, _live(made, iris=parents))
    assert (found.ready, found.reason) == (False, reason)
    assert message in found.message


@pytest.mark.parametrize(
    "parents",
    [
        [_parent(_condition(observedGeneration=3))],
        [_parent(_condition(), _condition("PartiallyInvalid", "False"))],
        [_FOLLOWED, _parent(_condition(status="False"), ref={**_OURS, "name": "before"})],
        [_parent(_condition(), ref={"namespace": "kserve", "name": "kserve-ingress-gateway"})],
    ],
)
def test_what_does_not_hold_for_the_route_as_it_is_does_not_count(parents: list[dict[str, Any]]) -> None:
    made = case()
    assert _ready(made, _live(made, iris=parents)).ready


@pytest.mark.parametrize("status", [None, [], "", {"parents": 3}, {"parents": ["x", {"parentRef": 1}]}])
def test_a_status_of_another_shape_is_no_answer_of_the_gateway(status: object) -> None:
    made = case()
    live = _live(made)
    live["HTTPRoute", "iris"]["status"] = status
    assert _ready(made, live).reason == "ParentStatusNotAvailable"
