"""HTTPRoutes: which there are, what they match, and where they lead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from fairlead_operator.desired import httproutes, routing
from fairlead_operator_tests import golden
from fairlead_operator_tests.desired import services
from fairlead_operator_tests.desired.routes import CUSTOM, PREDICTOR, case, legal, spec

GOLDEN: Final = Path(__file__).parent / "golden" / "routing"

_CANARY: Final = "{trafficPercent: 20, predictor: {name: v2, model: {storageUri: 's3://models/iris-2'}}}"
_BOOSTER: Final = "model: {modelFormat: {name: lightgbm}, storageUri: 's3://models/iris'}, minReplicas: 5"
"""A predictor that is asked at one port."""
_TRITON: Final = "model: {modelFormat: {name: triton}, storageUri: 's3://models/net'}"

CASES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "predictor": (services.MODEL, {}),
    "transformer-and-explainer": (spec(transformer=f"{CUSTOM}, timeout: 7", explainer=CUSTOM), {}),
    "both-protocols": (spec(_TRITON), {}),
    "canary": (spec(f"name: v1, {PREDICTOR}, minReplicas: 5", canary=_CANARY), {}),
    "canary-behind-transformer": (spec(f"{PREDICTOR}, minReplicas: 5", transformer=CUSTOM, canary=_CANARY), {}),
    "path": (
        spec(explainer=CUSTOM),
        {"resolve": {"path_template": "/serving/{{ .Namespace }}/{{ .Name }}"}, "ingress": {"without_timeout": True}},
    ),
    "domains-and-metadata": (
        services.MODEL,
        {
            "resolve": {"disallowed_annotations": frozenset({"secret"}), "disallowed_labels": frozenset({"hidden"})},
            "ingress": {"additional_domains": ("example.org", "example.net"), "gateway": "edge/main"},
            "metadata": {"labels": {"team": "a", "hidden": "b"}, "annotations": {"note": "c", "secret": "d"}},
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_routes_of_a_service_are_those_of_the_file(name: str) -> None:
    declared, around = CASES[name]
    made = case(declared, **around)
    routes, _ = routing.objects(made.service, made.around)
    for each in routes:
        legal(each)
    golden.check(GOLDEN / f"{name}.yaml", routes)


def _rules(name: str, declared: str, **around: Any) -> list[dict[str, Any]]:
    made = case(declared, **around)
    routes, _ = routing.objects(made.service, made.around)
    return next(each["spec"]["rules"] for each in routes if each["metadata"]["name"] == name)


def _leads_to(rules: list[dict[str, Any]]) -> list[dict[str, int]]:
    return [{each["name"]: each.get("weight", 100) for each in rule["backendRefs"]} for rule in rules]


def test_weights_are_on_rules_whose_backend_is_the_predictor_and_on_no_other() -> None:
    declared = spec(_BOOSTER, transformer=CUSTOM, canary=_CANARY)
    assert _leads_to(_rules("iris", declared)) == [{"iris-transformer": 100}]
    assert _leads_to(_rules("iris-transformer", declared)) == [{"iris-transformer": 100}]
    assert _leads_to(_rules("iris-predictor", declared)) == [{"iris-predictor-stable": 80, "iris-v2-predictor": 20}]


def test_the_explainer_keeps_its_rule_beside_a_canary() -> None:
    declared = spec(_BOOSTER, explainer=CUSTOM, canary=_CANARY)
    split = {"iris-predictor": 80, "iris-v2-predictor": 20}
    assert _leads_to(_rules("iris", declared)) == [{"iris-explainer": 100}, split]
    assert _leads_to(_rules("iris-explainer", declared)) == [{"iris-explainer": 100}]


def test_a_canary_that_is_not_ready_gets_no_weight() -> None:
    ready = frozenset({"iris-predictor"})
    assert _leads_to(_rules("iris", spec(_BOOSTER, canary=_CANARY), ready=ready)) == [{"iris-predictor": 100}]


def test_a_canary_shares_each_protocol_by_its_own_ports() -> None:
    other = "{trafficPercent: 10, predictor: {name: v2, model: {storageUri: 's3://models/net-2'}}}"
    rules = _rules("iris", spec(_TRITON, canary=other))
    assert [[each["port"] for each in rule["backendRefs"]] for rule in rules] == [[9000, 9000], [80, 80]]


def test_a_canary_without_the_port_for_grpc_leaves_those_calls_to_the_stable_predictor() -> None:
    other = f"{{trafficPercent: 10, predictor: {{name: v2, {CUSTOM}}}}}"
    made = case(spec(_TRITON, canary=other))
    routes, problems = routing.objects(made.service, made.around)
    split = _leads_to(routes[-1]["spec"]["rules"])
    assert split == [{"iris-predictor": 100}, {"iris-predictor": 90, "iris-v2-predictor": 10}]
    assert [(each.condition, each.reason) for each in problems] == [("CanaryTrafficExact", "PortMissing")]
    assert "v2 gets no requests over gRPC" in problems[0].message


def test_a_component_that_speaks_grpc_alone_has_one_rule_and_its_canary_a_weight_in_it() -> None:
    model = "model: {modelFormat: {name: lightgbm}, storageUri: 's3://m', ports: [{name: h2c, containerPort: 9000}]}"
    path = {"path_template": "/serving/{{ .Name }}"}
    for name in ("iris", "iris-predictor", "iris.path"):
        rules = _rules(name, spec(model, canary=_CANARY), resolve=path)
        assert _leads_to(rules) == [{"iris-predictor": 80, "iris-v2-predictor": 20}]


def test_explanations_of_both_protocols_are_told_from_predictions() -> None:
    rules = _rules("iris", spec(explainer=CUSTOM))
    patterns = [re.compile(each["path"]["value"]) for each in rules[0]["matches"]]
    for path, explains in (
        ("/v1/models/iris:explain", True),
        ("/v2/models/iris/explain", True),
        ("/v1/models/iris:predict", False),
        ("/v2/models/iris/infer", False),
        ("/v1/models/a/b:explain", False),
    ):
        assert any(each.fullmatch(path) for each in patterns) is explains, path


def test_all_services_share_the_host_of_paths_and_no_rule_there_takes_every_path() -> None:
    path = {"path_template": "/serving/{{ .Namespace }}/{{ .Name }}/"}
    made = case(spec(), resolve=path)
    routes, _ = routing.objects(made.service, made.around)
    shared = [each for each in routes if "example.com" in each["spec"]["hostnames"]]
    assert [each["metadata"]["name"] for each in shared] == ["iris.path"]
    assert [match["path"] for rule in shared[0]["spec"]["rules"] for match in rule["matches"]] == [
        {"type": "PathPrefix", "value": "/serving/models/iris"}
    ]


@pytest.mark.parametrize(
    "template", ["/", "/a//{{ .Name }}", "/../{{ .Name }}", "/a?{{ .Name }}", "/a b", f"/{'x' * 600}"]
)
def test_a_path_that_cannot_be_routed_is_told_and_the_rest_is_routed(template: str) -> None:
    made = case(resolve={"path_template": template})
    routes, problems = routing.objects(made.service, made.around)
    assert [each["metadata"]["name"] for each in routes] == ["iris-predictor", "iris"]
    assert [(each.condition, each.reason) for each in problems] == [("ConfigurationReady", "InvalidPath")]
    assert list(httproutes.names(made.service, made.around)) == ["iris-predictor", "iris"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (60.0, "60s"),
        (1.5, "1s500ms"),
        (99_999, "99999s"),
        (100_000, "27h46m40s"),
        (10**12, "99999h59m59s999ms"),
    ],
)
def test_a_duration_has_at_most_five_digits_for_each_unit(seconds: float, text: str) -> None:
    assert httproutes.duration(seconds) == text


@pytest.mark.parametrize("gateway", ["", "name-alone", "/name", "namespace/", "a/b/c", "A/b"])
def test_a_gateway_that_is_no_namespace_and_name_is_a_problem_with_a_remedy(gateway: str) -> None:
    made = case(ingress={"gateway": gateway})
    routes, problems = routing.objects(made.service, made.around)
    assert routes == []
    assert [(each.condition, each.reason) for each in problems] == [("IngressReady", "InvalidGateway")]
    assert "Name the Gateway" in problems[0].message


def test_hosts_beyond_what_a_route_has_room_for_are_told() -> None:
    made = case(ingress={"additional_domains": tuple(f"d{number}.org" for number in range(20))})
    routes, problems = routing.objects(made.service, made.around)
    for each in routes:
        legal(each)
    assert [each.reason for each in problems] == ["TooManyDomains"]
    assert "iris-models.d19.org" in problems[0].message
