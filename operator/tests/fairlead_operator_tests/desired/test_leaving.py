"""What is not desired any more stays for as long as somebody asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator.desired import leaving, rendering
from fairlead_operator_tests.desired.routes import CUSTOM, PREDICTOR, Case, case, spec

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

_REF = {"namespace": "kserve", "name": "kserve-ingress-gateway"}
_DONE = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def _live(made: Case, deployments: dict[str, Any], route: int | None) -> dict[tuple[str, str], Manifest]:
    """The objects of a service at generation 2: the status of its Deployments, and what the Gateway has looked at."""
    conditions = [{"type": "Accepted", "status": "True", "observedGeneration": route}]
    statuses: dict[str, Any] = {
        "Deployment": deployments,
        "HTTPRoute": {} if route is None else {"parents": [{"parentRef": _REF, "conditions": conditions}]},
    }
    return {
        (each["kind"], each["metadata"]["name"]): {
            **each,
            "metadata": {**each["metadata"], "generation": 2},
            "status": statuses.get(each["kind"], {}),
        }
        for each in rendering.render(made.service, made.around).objects
    }


def _may_go(made: Case, deployments: dict[str, Any] | None = None, route: int | None = 2) -> bool:
    return leaving.may_go(made.service, made.around, _live(made, _DONE if deployments is None else deployments, route))


def test_what_nobody_asks_may_go() -> None:
    assert _may_go(case(spec(transformer=CUSTOM, explainer=CUSTOM)))


@pytest.mark.parametrize(
    "status",
    [
        {},
        {**_DONE, "observedGeneration": 1},
        {**_DONE, "replicas": 2},
        {**_DONE, "replicas": 2, "updatedReplicas": 2},
    ],
)
@pytest.mark.parametrize("component", ["transformer", "explainer"])
def test_what_pods_ask_that_are_being_replaced_stays(status: dict[str, int], component: str) -> None:
    assert not _may_go(case(spec(**{component: CUSTOM})), status)


def test_what_the_gateway_may_still_lead_to_stays() -> None:
    assert not _may_go(case(), route=1)


def test_a_gateway_that_follows_nothing_keeps_nothing() -> None:
    assert _may_go(case(), route=None)


def test_without_routes_there_is_no_gateway_to_wait_for() -> None:
    assert _may_go(case(gateway=False), route=1)


def test_a_predictor_that_does_not_answer_waits_for_nobody() -> None:
    assert _may_go(case(spec(transformer=CUSTOM), ready=frozenset()), {}, route=1)


def test_a_service_that_is_stopped_waits_for_nobody() -> None:
    stopped = {"annotations": {"serving.kserve.io/stop": "true"}}
    assert _may_go(case(spec(transformer=CUSTOM), metadata=stopped), {}, route=1)


def test_a_transformer_that_is_not_there_yet_keeps_what_was_asked_before() -> None:
    made = case(spec(transformer=CUSTOM))
    assert not leaving.may_go(made.service, made.around, {})


def test_a_promoted_canary_keeps_its_pods() -> None:
    canary = "{trafficPercent: 50, predictor: {name: v2, model: {storageUri: 's3://models/iris-2'}}}"
    before = case(spec(f"name: v1, {PREDICTOR}", canary=canary))
    after = case(spec("name: v2, model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris-2'}"))
    templates = [_live(each, {}, 2)["Deployment", "iris-v2-predictor"]["spec"]["template"] for each in (before, after)]
    assert templates[0] == templates[1]


# -- from an Ingress to HTTPRoutes ------------------------------------------------------------------------


def _stays(made: Case, parents: list[dict[str, Any]]) -> bool:
    live = _live(made, _DONE, None)
    for (kind, _), each in live.items():
        if kind == "HTTPRoute":
            each["status"] = {"parents": parents}
    ingress = {"kind": "Ingress", "metadata": {"name": made.service.name}}
    live["Ingress", made.service.name] = ingress
    return leaving.staying(made.service, made.around, live) == (ingress,)


def _parent(status: str, generation: int = 2) -> list[dict[str, Any]]:
    accepted = {"type": "Accepted", "status": status, "reason": "X", "observedGeneration": generation}
    return [{"parentRef": _REF, "conditions": [accepted]}]


@pytest.mark.parametrize("parents", [[], _parent("False"), _parent("Unknown"), _parent("True", 1)])
def test_an_ingress_stays_until_the_gateway_follows_all_routes(parents: list[dict[str, Any]]) -> None:
    assert _stays(case(), parents)


def test_an_ingress_goes_once_the_gateway_follows_all_routes() -> None:
    assert not _stays(case(), _parent("True"))


def test_an_ingress_stays_where_the_cluster_knows_no_routes() -> None:
    assert _stays(case(apis=frozenset()), [])


def test_an_ingress_of_a_service_that_is_stopped_goes() -> None:
    assert not _stays(case(metadata={"annotations": {"serving.kserve.io/stop": "true"}}), [])
