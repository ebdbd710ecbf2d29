"""The ScaledObject (``keda.sh/v1alpha1``) of a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead import ScalingSpec, errors
from fairlead_autoscaler_keda import triggers

__all__ = ["scaled_object"]

_DIRECTIONS: Final = {
    "scaleUp": ("scaleUpStabilizationWindowSeconds", 0),
    "scaleDown": ("scaleDownStabilizationWindowSeconds", 300),
}


def scaled_object(spec: ScalingSpec, target: Mapping[str, Any]) -> dict[str, Any]:
    """The object, with the name of what it scales.

    Raises:
        ConfigurationError: the spec asks for something that KEDA does not do, or lacks something that it needs.
    """
    metadata = target["metadata"]
    name = metadata["name"]
    held = [
        triggers.trigger(spec, index, each, name=name, namespace=metadata.get("namespace", "default"))
        for index, each in enumerate(spec.targets)
    ]
    most = spec.min_replicas if spec.max_replicas is None else spec.max_replicas
    _check(spec, held, most)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": name},
            "minReplicaCount": spec.min_replicas,
            "maxReplicaCount": most,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(spec)}},
            "triggers": held,
        },
    }


def _check(spec: ScalingSpec, held: list[dict[str, Any]], most: int) -> None:
    if not held:
        raise errors.ConfigurationError(
            "KEDA is to scale, and nothing says by what.", remedy="List at least one metric in autoScaling.metrics."
        )
    if spec.min_replicas < 0 or most < max(1, spec.min_replicas):
        raise errors.ConfigurationError(
            f"Between {spec.min_replicas} and {most} replicas there is no number that could be chosen.",
            remedy="Set maxReplicas.",
        )
    if spec.min_replicas == 0 and all(each["type"] in triggers.RESOURCES for each in held):
        raise errors.ConfigurationError(
            "KEDA does not scale to zero by cpu and memory alone: without replicas there is nothing to measure.",
            remedy="Set minReplicas to 1, or add a metric of the type External or PodMetric.",
        )


def _behavior(spec: ScalingSpec) -> dict[str, Any]:
    """The behavior that is asked for; windows that it leaves out are those of the platform's configuration."""
    unknown = sorted(spec.behavior.keys() - _DIRECTIONS.keys())
    if unknown:
        raise errors.ConfigurationError(
            f"behavior has no field {', '.join(unknown)}.", remedy=f"The fields are {' and '.join(_DIRECTIONS)}."
        )
    configured = spec.platform.get("autoscaler") or {}
    return {
        direction: {
            "stabilizationWindowSeconds": int(configured.get(key, default)),
            **(spec.behavior.get(direction) or {}),
        }
        for direction, (key, default) in _DIRECTIONS.items()
    }
