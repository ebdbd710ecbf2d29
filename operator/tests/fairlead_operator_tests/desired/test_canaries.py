"""Canaries in a cluster: what runs beside them, who gets how much, and what of it is not exact."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_operator.desired import canaries, rendering, sharing
from fairlead_operator_tests.desired.routes import CUSTOM, PREDICTOR, Case, case, spec

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

_OWN: Final = "containers: [{name: kserve-container, image: x, ports: [{containerPort: 9}]}]"
_LOGGED: Final = "logger: {mode: all, url: 'http://log'}, model: {storageUri: 's3://models/iris-2'}"


def _canary(percent: int, name: str = "v2", more: str = "model: {storageUri: 's3://models/iris-2'}") -> str:
    return f"{{trafficPercent: {percent}, predictor: {{name: {name}, {more}}}}}"


def _case(
    percent: int = 20, replicas: int = 10, canary: str = "", transformer: str = "", explainer: str = "", **around: Any
) -> Case:
    predictor = f"{PREDICTOR}, minReplicas: {replicas}, maxReplicas: {max(replicas, 1)}"
    declared = spec(predictor, transformer=transformer, explainer=explainer, canary=canary or _canary(percent))
    return case(declared, **around)


def _running(made: Case) -> dict[str, int]:
    found = canaries.components(made.service, made.around)
    return {each.name: each.scaling.spec.min_replicas for each in found}


def _told(made: Case) -> list[tuple[str, str]]:
    return [(each.reason, each.message) for each in canaries.problems(made.service, made.around)]


def test_the_stable_predictor_has_the_replicas_fewer_that_a_ready_canary_has() -> None:
    assert _running(_case()) == {"iris-predictor": 8, "iris-v2-predictor": 2}


def test_a_canary_that_is_not_ready_takes_no_replica_from_the_stable_predictor() -> None:
    assert _running(_case(ready=frozenset({"iris-predictor"}))) == {"iris-predictor": 10, "iris-v2-predictor": 2}


def test_the_stable_predictor_has_at_least_one_replica() -> None:
    assert _running(_case(percent=100, replicas=1)) == {"iris-predictor": 1, "iris-v2-predictor": 1}


def test_a_stable_predictor_that_may_go_to_zero_still_may() -> None:
    assert sharing.stable_replicas(0, 1) == 0


def test_a_canary_without_traffic_takes_no_replica_from_the_stable_predictor() -> None:
    assert _running(_case(percent=0)) == {"iris-predictor": 10, "iris-v2-predictor": 1}


def test_a_canary_that_an_ingress_gives_nothing_takes_no_replica_from_the_stable_predictor() -> None:
    assert _running(_case(gateway=False)) == {"iris-predictor": 10, "iris-v2-predictor": 2}


def test_transformer_and_explainer_run_beside_stable_predictor_and_canaries() -> None:
    made = _case(transformer=CUSTOM, explainer=CUSTOM)
    assert list(_running(made)) == ["iris-predictor", "iris-transformer", "iris-explainer", "iris-v2-predictor"]


def test_weights_are_of_ready_canaries_and_the_stable_predictor_has_the_rest() -> None:
    both = f"{_canary(20)}, {_canary(30, 'v3')}"
    ready = frozenset({"iris-predictor", "iris-v3-predictor"})
    made = _case(canary=both)
    assert canaries.weights(made.service, made.around) == (
        ("iris-predictor", 50),
        ("iris-v2-predictor", 20),
        ("iris-v3-predictor", 30),
    )
    some = dataclasses.replace(made.around, ready=ready)
    assert canaries.weights(made.service, some) == (("iris-predictor", 70), ("iris-v3-predictor", 30))


def test_a_split_that_routes_make_is_exact() -> None:
    assert _told(_case()) == []


@pytest.mark.parametrize(
    ("around", "reason", "remedy"),
    [
        ({"gateway": False}, "GatewayAPINeeded", "Set enableGatewayApi"),
        ({"ingress": {"disabled": True}}, "NotRouted", "where you route requests"),
        ({"metadata": {"labels": {"networking.kserve.io/visibility": "cluster-local"}}}, "NotRouted", "visible"),
    ],
)
def test_canaries_that_nothing_routes_to_are_told_with_a_remedy(
    around: dict[str, Any], reason: str, remedy: str
) -> None:
    ((found, message),) = _told(_case(**around))
    assert found == reason
    assert remedy in message


def test_a_percentage_between_revisions_is_told_not_to_be_followed() -> None:
    made = case(spec(f"{PREDICTOR}, canaryTrafficPercent: 10"))
    ((reason, message),) = _told(made)
    assert reason == "PercentNotSupported"
    assert "Use spec.canary" in message
    assert _told(case(spec(f"{PREDICTOR}, canaryTrafficPercent: 100"))) == []


def test_copies_of_requests_are_told_not_to_be_made() -> None:
    made = case(metadata={"annotations": {"fairlead.io/mirror-percent": "5"}})
    assert [reason for reason, _ in _told(made)] == ["MirrorNotSupported"]


# -- behind a transformer -------------------------------------------------------------------------------


def _objects(made: Case, kind: str) -> dict[str, Manifest]:
    """The objects of a kind, by their name."""
    found = rendering.render(made.service, made.around).objects
    return {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == kind}


def _services(made: Case) -> dict[str, dict[str, str]]:
    """The selectors of the Services, by their name."""
    return {name: each["selector"] for name, each in _objects(made, "Service").items()}


def test_behind_a_transformer_the_service_of_the_predictor_selects_all_of_its_pods() -> None:
    made = _case(transformer=CUSTOM)
    pods = {name: each["template"]["metadata"]["labels"] for name, each in _objects(made, "Deployment").items()}
    selected = {
        service: [name for name, labels in pods.items() if selector.items() <= labels.items()]
        for service, selector in _services(made).items()
    }
    assert selected == {
        "iris-predictor": ["iris-predictor", "iris-v2-predictor"],
        "iris-predictor-stable": ["iris-predictor"],
        "iris-transformer": ["iris-transformer"],
        "iris-v2-predictor": ["iris-v2-predictor"],
    }


def test_a_route_never_names_a_service_that_is_not_there() -> None:
    for made in (_case(), _case(transformer=CUSTOM), _case(transformer=CUSTOM, explainer=CUSTOM), _case(1, 1)):
        known = set(_objects(made, "Service"))
        routes = _objects(made, "HTTPRoute").values()
        assert {each["name"] for route in routes for rule in route["rules"] for each in rule["backendRefs"]} <= known


def test_pods_stay_as_they_are_when_a_canary_comes_and_goes() -> None:
    before = case(spec(f"{PREDICTOR}, minReplicas: 10", transformer=CUSTOM))
    after = _case(transformer=CUSTOM)
    for name in ("iris-predictor", "iris-transformer"):
        assert _objects(before, "Deployment")[name]["template"] == _objects(after, "Deployment")[name]["template"]


def test_what_the_transformer_is_told_to_ask_is_the_same_with_a_canary_and_without() -> None:
    with_one = _case(transformer=CUSTOM).service.entry
    without = case(spec(transformer=CUSTOM)).service.entry
    assert with_one.pod == without.pod
    assert "iris-predictor.models" in with_one.pod["containers"][0]["args"]


def test_without_a_transformer_the_services_are_those_of_the_components() -> None:
    assert _services(_case()) == {name: {"app": f"isvc.{name}"} for name in ("iris-predictor", "iris-v2-predictor")}


def test_how_exact_a_split_by_replicas_is_stands_in_a_problem() -> None:
    ((reason, message),) = _told(_case(percent=15, transformer=CUSTOM))
    assert reason == "SharedByReplicas"
    assert "v2 about 20 for 15" in message


def test_a_split_behind_a_transformer_needs_no_gateway() -> None:
    made = _case(transformer=CUSTOM, gateway=False)
    assert [reason for reason, _ in _told(made)] == ["SharedByReplicas"]
    assert _running(made)["iris-predictor"] == 8


@pytest.mark.parametrize(
    ("percent", "replicas", "shared", "remedy"),
    [
        (10, 1, False, "Set spec.predictor.minReplicas to 7"),
        (50, 1, True, ""),
        (1, 10, False, "Set spec.predictor.minReplicas to 17"),
        (10, 0, False, "Set spec.predictor.minReplicas to 7"),
    ],
)
def test_a_canary_gets_nothing_where_its_replicas_would_give_it_far_too_much(
    percent: int, replicas: int, shared: bool, remedy: str
) -> None:
    made = _case(percent, replicas, transformer=CUSTOM)
    assert sharing.is_shared(made.service) is shared
    ((reason, message),) = _told(made)
    assert reason == ("SharedByReplicas" if shared else "NotShared")
    assert remedy in message


def test_the_replicas_that_a_remedy_names_are_enough() -> None:
    assert sharing.is_shared(_case(10, 7, transformer=CUSTOM).service)
    assert not sharing.is_shared(_case(10, 6, transformer=CUSTOM).service)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"explainer": CUSTOM}, "an explanation has to be about one model"),
        ({"canary": f"{_canary(20)}, {_canary(0, 'dark')}"}, "dark is to get nothing"),
        (
            {
                "canary": _canary(
                    20, more="containers: [{name: kserve-container, image: x, ports: [{containerPort: 9}]}]"
                )
            },
            "v2 listens on other ports",
        ),
        ({"canary": _canary(20, more=_LOGGED)}, "v2 listens on other ports"),
    ],
)
def test_pods_that_cannot_be_asked_alike_share_nothing(more: dict[str, Any], why: str) -> None:
    made = _case(**{"transformer": CUSTOM, **more})
    assert "iris-predictor-stable" not in _services(made)
    ((reason, message),) = _told(made)
    assert reason == "NotShared"
    assert why in message
    assert canaries.components(made.service, made.around)[0].scaling.spec.min_replicas == 10


def test_a_name_too_long_for_a_second_service_shares_nothing() -> None:
    made = _case(transformer=CUSTOM, metadata={"name": "i" * 47})
    assert "Choose a shorter name" in sharing.hindrance(made.service)
