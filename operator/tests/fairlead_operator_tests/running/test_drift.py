"""What somebody else does to the objects of a service: it is put right, but for what is another's to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead_operator_tests.running.services import Services

IRIS: Final = "iris-predictor"
LABEL: Final = "serving.kserve.io/inferenceservice"
EDITS: Final[dict[str, tuple[str, dict[str, Any], Callable[[dict[str, Any]], Any]]]] = {
    "image": (
        "Deployment",
        {"spec": {"template": {"spec": {"containers": [{"name": "kserve-container", "image": "example/other:9"}]}}}},
        lambda each: each["spec"]["template"]["spec"]["containers"][0]["image"] == "example/tests-sklearn:1",
    ),
    "port": ("Service", {"spec": {"ports": [{"port": 81}]}}, lambda each: each["spec"]["ports"][0]["port"] == 80),
    "selector": (
        "Service",
        {"spec": {"selector": {"app": "another"}}},
        lambda each: each["spec"]["selector"]["app"] == f"isvc.{IRIS}",
    ),
    "bounds": ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 99}}, lambda each: each["spec"]["maxReplicas"] == 5),
    "budget": (
        "PodDisruptionBudget",
        {"spec": {"maxUnavailable": 3}},
        lambda each: each["spec"]["maxUnavailable"] == 1,
    ),
    "owner": (
        "Deployment",
        {"metadata": {"ownerReferences": []}},
        lambda each: each["metadata"].get("ownerReferences"),
    ),
    "label": ("Deployment", {"metadata": {"labels": {LABEL: None}}}, lambda each: LABEL in each["metadata"]["labels"]),
}


@pytest.fixture
def iris(services: Services) -> Services:
    """A namespace with a service that has one of most kinds."""
    services.declare(isvc("iris", minReplicas=2, maxReplicas=5))
    services.appears("Ingress", "iris")
    services.settled("iris")
    return services


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_what_the_operator_decides_is_undone(iris: Services, edit: str) -> None:
    kind, patch, is_healed = EDITS[edit]
    before = iris.appears(kind, IRIS)
    changed = iris.patch(kind, IRIS, patch)
    assert changed["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    healed = iris.becomes(kind, IRIS, is_healed)
    assert healed["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress"])
def test_an_object_that_is_deleted_comes_back(iris: Services, kind: str) -> None:
    name = "iris" if kind == "Ingress" else IRIS
    before = iris.appears(kind, name)["metadata"]["uid"]
    iris.delete(kind, name)
    iris.becomes(kind, name, lambda each: each["metadata"]["uid"] != before)


def test_replicas_that_an_autoscaler_has_decided_stay_whatever_else_changes(iris: Services) -> None:
    iris.cluster.patch("apps/v1", "Deployment", IRIS, {"spec": {"replicas": 4}}, iris.namespace, below="scale")
    iris.change("iris", {"spec": {"predictor": {"model": {"args": ["--more"]}}}})

    def has_argument(each: dict[str, Any]) -> bool:
        return "--more" in each["spec"]["template"]["spec"]["containers"][0]["args"]

    assert iris.becomes("Deployment", IRIS, has_argument)["spec"]["replicas"] == 4
    iris.patch("Deployment", IRIS, EDITS["image"][1])
    assert iris.becomes("Deployment", IRIS, EDITS["image"][2])["spec"]["replicas"] == 4


def test_what_others_add_to_an_object_stays(iris: Services) -> None:
    annotations = {"metadata": {"annotations": {"example.com/checked": "yes"}}}
    iris.patch("Deployment", IRIS, annotations)
    iris.patch("Deployment", IRIS, EDITS["image"][1])
    found = iris.becomes("Deployment", IRIS, EDITS["image"][2])
    assert found["metadata"]["annotations"]["example.com/checked"] == "yes"


def test_a_service_of_the_same_name_that_comes_at_once_has_objects_of_its_own(iris: Services) -> None:
    before = iris.appears("InferenceService", "iris")["metadata"]["uid"]
    iris.delete("InferenceService", "iris")
    after = iris.declare(isvc("iris", minReplicas=2, maxReplicas=5))["metadata"]["uid"]
    assert before != after
    for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        iris.becomes(kind, IRIS, lambda each: each["metadata"]["ownerReferences"][0]["uid"] == after)
    iris.roll_out(IRIS)
    iris.condition("iris", "Ready", "True")


def test_a_service_that_is_deleted_while_its_objects_are_made_leaves_none(services: Services) -> None:
    for _ in range(5):
        services.declare(isvc("iris", minReplicas=2))
        services.delete("InferenceService", "iris")
    services.declare(isvc("marker"))
    services.appears("Ingress", "marker")
    services.settled("marker")
    for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        services.disappears(kind, IRIS)
