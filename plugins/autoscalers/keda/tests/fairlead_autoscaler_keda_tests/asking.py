"""What users ask for, and what KEDA is given for it."""

from __future__ import annotations

from typing import Any

from fairlead import MetricTarget, ScalingSpec, TargetKind
from fairlead_autoscaler_keda.strategy import KedaAutoscaler

TARGET: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "iris-predictor", "namespace": "flowers", "annotations": {}},
}


def cpu(percent: float | None = 70.0) -> MetricTarget:
    return MetricTarget(metric="cpu", value=percent, kind=TargetKind.UTILIZATION)


def external(*, target: Any = None, access: Any = None, **metric: Any) -> dict[str, Any]:
    asked = {"backend": "prometheus", "serverAddress": "http://prometheus:9090", "query": "up", **metric}
    said = {"metric": asked, "authenticationRef": access, "target": target or {"type": "Value", "value": "4"}}
    return {"type": "External", "external": {key: value for key, value in said.items() if value is not None}}


def pod_metric(*, target: Any = None, **metric: Any) -> dict[str, Any]:
    asked = {"backend": "opentelemetry", "query": "vllm:num_requests_running", **metric}
    return {"type": "PodMetric", "podmetric": {"metric": asked, "target": target or {"type": "Value", "value": "4"}}}


def spec(*metrics: dict[str, Any], **more: Any) -> ScalingSpec:
    """A spec as `fairlead.resolve` makes it of such metrics."""
    targets = tuple(MetricTarget(metric=f"query-{index}", kind=TargetKind.VALUE) for index in range(len(metrics)))
    return ScalingSpec(**{"max_replicas": 3, "metrics": metrics, "targets": targets, **more})


def made(asked: ScalingSpec, target: dict[str, Any] = TARGET) -> dict[str, dict[str, Any]]:
    """The objects, by kind."""
    return {each["kind"]: dict(each) for each in KedaAutoscaler().manifests(asked, target)}


def triggers(asked: ScalingSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(asked)["ScaledObject"]["spec"]["triggers"]
    return found
