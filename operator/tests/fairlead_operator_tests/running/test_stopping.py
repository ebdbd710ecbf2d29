"""Stopping and starting, per component and per way of requests.

KServe tests four transitions of the annotation ``serving.kserve.io/stop``, for each component, for HTTPRoutes, and for
an Ingress with KEDA and OpenTelemetry: false keeps what there is, true at creation makes nothing, an update to true
deletes, and an update back makes all of it again. Here the second has a test of its own, and the others follow each
other in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

Names = frozenset[tuple[str, str]]
KINDS: Final = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress")
FOREIGN: Final = ("HTTPRoute", "ScaledObject", "OpenTelemetryCollector")
COMPONENT: Final = ("Deployment", "Service", "HorizontalPodAutoscaler")


def present(services: Services) -> Names:
    found = {(kind, each) for kind in (*KINDS, *FOREIGN) for each in services.names(kind)}
    return frozenset(found)


def predictor(name: str) -> dict[str, Any]:
    return isvc(name, minReplicas=2)


def measured(name: str) -> dict[str, Any]:
    return shapes.scaled(name, "keda", shapes.POD_METRIC, minReplicas=2)


def with_component(kind: str) -> Any:
    def made(name: str) -> dict[str, Any]:
        found = isvc(name)
        found["spec"][kind] = shapes.custom()
        return found

    return made


def objects(*components: str, routes: tuple[tuple[str, str], ...] = ()) -> Names:
    found = {(kind, f"iris-{each}") for each in components for kind in COMPONENT}
    return frozenset({*found, *routes})


def routes(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple(("HTTPRoute", each) for each in names)


CASES: Final[dict[str, tuple[bool, Any, Names]]] = {
    "predictor": (
        True,
        predictor,
        objects("predictor", routes=(("PodDisruptionBudget", "iris-predictor"), *routes("iris", "iris-predictor"))),
    ),
    "measured": (
        False,
        measured,
        frozenset(
            {
                *((kind, "iris-predictor") for kind in ("Deployment", "Service", "PodDisruptionBudget")),
                *((kind, "iris-predictor") for kind in ("ScaledObject", "OpenTelemetryCollector")),
                ("Ingress", "iris"),
            }
        ),
    ),
    **{
        kind: (
            True,
            with_component(kind),
            objects("predictor", kind, routes=routes("iris", "iris-predictor", f"iris-{kind}")),
        )
        for kind in ("transformer", "explainer")
    },
}


def declared(services: Services, case: str, stop: str) -> Names:
    """Declare the service of a case; returns what it comes to when it runs."""
    by_routes, made, wanted = CASES[case]
    if not by_routes:
        services.configure(ingress={"enableGatewayApi": False})
    manifest = made("iris")
    manifest["metadata"].setdefault("annotations", {})["serving.kserve.io/stop"] = stop
    services.declare(manifest)
    found: Names = wanted
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_service_that_is_declared_stopped_has_no_objects(gateway: Services, case: str) -> None:
    declared(gateway, case, "True")
    gateway.condition("iris", "Stopped", "True")
    assert present(gateway) == frozenset()


@pytest.mark.parametrize("case", CASES)
def test_a_service_loses_all_of_its_objects_when_it_is_stopped_and_gets_them_back(gateway: Services, case: str) -> None:
    wanted = declared(gateway, case, "false")
    gateway.cluster.eventually(lambda: present(gateway) == wanted)
    gateway.annotate("iris", stop="true")
    gateway.cluster.eventually(lambda: not present(gateway))
    gateway.condition("iris", "PredictorReady", "False", "Stopped")
    gateway.annotate("iris", stop="false")
    gateway.cluster.eventually(lambda: present(gateway) == wanted)
    gateway.condition("iris", "Stopped", "False")


def test_a_stopped_service_says_so_of_every_component_and_forgets_the_rest(services: Services) -> None:
    services.declare(shapes.whole("iris"))
    for component in ("explainer", "transformer", "predictor"):
        services.roll_out(f"iris-{component}")
    services.condition("iris", "Ready", "True")
    services.annotate("iris", stop="true")
    services.condition("iris", "Stopped", "True")
    found = services.settled("iris")
    said = {each["type"]: (each["status"], each.get("reason")) for each in found["conditions"]}
    for kind in ("PredictorReady", "TransformerReady", "ExplainerReady", "IngressReady"):
        assert said[kind] == ("False", "Stopped")
    assert said["Ready"][0] == "False"
    assert found["deploymentMode"] == "Standard"
    assert not {"url", "address", "components", "modelStatus"} & set(found)

    def told() -> list[dict[str, Any]]:
        return [each for each in services.list("Event") if each["reason"] == "InferenceServiceStopped"]

    [event] = services.cluster.eventually(told)  # events are written after the status that they tell of
    assert event["type"] == "Normal"


def test_a_service_that_starts_again_is_ready_again(services: Services) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.annotate("iris", stop="true")
    services.disappears("Deployment", "iris-predictor")
    services.annotate("iris", stop=None)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")


def test_an_edit_of_a_stopped_service_counts_when_it_starts(services: Services) -> None:
    manifest = isvc("iris", annotations={"serving.kserve.io/stop": "true"})
    services.declare(manifest)
    services.condition("iris", "Stopped", "True")
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "s3://bucket/other"}}}})
    services.settled("iris")
    assert present(services) == frozenset()
    services.annotate("iris", stop="false")
    assert "s3://bucket/other" in str(services.pod("iris-predictor"))
