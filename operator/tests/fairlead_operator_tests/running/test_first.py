"""An InferenceService from its declaration to Ready, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services


def test_a_service_gets_its_objects_is_ready_once_its_pods_are_and_takes_them_with_it(services: Services) -> None:
    services.declare(isvc("iris", minReplicas=2))
    for kind in ("Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        services.appears(kind, "iris-predictor")
    services.appears("Ingress", "iris")
    services.condition("iris", "Ready", "Unknown")
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.delete("InferenceService", "iris")
    for kind in ("Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        services.disappears(kind, "iris-predictor")
    services.disappears("Ingress", "iris")
