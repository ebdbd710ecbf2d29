"""The HorizontalPodAutoscaler that scales a workload in the strategy's stead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead_autoscaler_hpa.settings import ANNOTATIONS, RESOURCES, Settings

__all__ = ["horizontal"]

_DEFAULT: Final = MetricTarget(metric="cpu", value=80.0, kind=TargetKind.UTILIZATION)


def horizontal(spec: ScalingSpec, target: Mapping[str, Any]) -> dict[str, Any]:
    """The object, of ``autoscaling/v2``, with the name of what it scales.

    Raises:
        ConfigurationError: the spec asks for something that a HorizontalPodAutoscaler does not do.
    """
    _check(spec)
    name = target["metadata"]["name"]
    told: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": name},
        "minReplicas": spec.min_replicas,
        "maxReplicas": spec.min_replicas if spec.max_replicas is None else spec.max_replicas,
        "metrics": [_metric(spec, index, each) for index, each in enumerate(spec.targets or (_DEFAULT,))],
    }
    if spec.behavior:
        told["behavior"] = dict(spec.behavior)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": told,
    }


def _check(spec: ScalingSpec) -> None:
    own = sorted(ANNOTATIONS.keys() & spec.annotations.keys())
    if own:
        raise errors.ConfigurationError(
            f"The annotation {own[0]} is for whoever decides in process; a HorizontalPodAutoscaler has no such field.",
            remedy="Take it out. For a tolerance, set behavior.scaleUp.tolerance and behavior.scaleDown.tolerance.",
        )
    for each in spec.targets:
        if each.metric not in RESOURCES:
            raise errors.ConfigurationError(
                f"A HorizontalPodAutoscaler does not measure {each.metric} of a component.",
                remedy=f"Scale by {' or '.join(RESOURCES)}, or name a strategy that decides in process, such as kpa,"
                " with the annotation serving.kserve.io/autoscalerClass.",
            )
    Settings.of(spec)  # what is wrong in the bounds, the targets and the behavior is wrong in the object too
    if spec.min_replicas < 1:
        raise errors.ConfigurationError(
            "A HorizontalPodAutoscaler keeps at least 1 replica.", remedy="Set minReplicas to 1 or more."
        )


def _metric(spec: ScalingSpec, index: int, target: MetricTarget) -> dict[str, Any]:
    value = _DEFAULT.value if target.value is None else target.value
    assert value is not None
    if target.kind is TargetKind.UTILIZATION:
        held: dict[str, Any] = {"type": "Utilization", "averageUtilization": round(value)}
    else:
        written = _written(spec.metrics[index]) if index < len(spec.metrics) else None
        held = {"type": "AverageValue", "averageValue": _quantity(value) if written is None else str(written)}
    return {"type": "Resource", "resource": {"name": target.metric, "target": held}}


def _written(metric: Mapping[str, Any]) -> object:
    """The amount as its user wrote it."""
    return ((metric.get("resource") or {}).get("target") or {}).get("averageValue")


def _quantity(value: float) -> str:
    """An amount as Kubernetes writes it: whole, or in thousandths."""
    return str(int(value)) if value.is_integer() else f"{round(value * 1000)}m"
