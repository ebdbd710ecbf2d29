"""Parts of InferenceServices that the tests declare."""

from __future__ import annotations

from typing import Any, Final

from fairlead_operator_tests.running.services import isvc

__all__ = ["CLASS", "CPU", "MEMORY", "POD_METRIC", "PROMETHEUS", "canaried", "canary", "custom", "scaled", "whole"]

CLASS: Final = "serving.kserve.io/autoscalerClass"
"""The annotation that says who scales."""

CPU: Final = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 55}},
}
"""A share of the requested processors."""

MEMORY: Final = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}},
}
"""A share of the requested memory."""

PROMETHEUS: Final = {
    "type": "External",
    "external": {
        "metric": {"backend": "prometheus", "serverAddress": "http://prometheus:9090", "query": "sum(up)"},
        "target": {"type": "Value", "value": "10"},
    },
}
"""What a Prometheus answers."""

POD_METRIC: Final = {
    "type": "PodMetric",
    "podmetric": {
        "metric": {"backend": "opentelemetry", "metricNames": ["requests_running"], "query": "requests_running"},
        "target": {"type": "Value", "value": "4"},
    },
}
"""What collectors beside the pods have seen."""


def custom(name: str = "kserve-container", **container: Any) -> dict[str, Any]:
    """A component with a container of one's own."""
    return {"containers": [{"name": name, "image": "example/own:1", **container}]}


def whole(name: str, **more: Any) -> dict[str, Any]:
    """An InferenceService with a transformer and an explainer."""
    return {**(found := isvc(name, **more)), "spec": {**found["spec"], "transformer": custom(), "explainer": custom()}}


def scaled(name: str, strategy: str, *metrics: dict[str, Any], **predictor: Any) -> dict[str, Any]:
    """An InferenceService that a strategy scales by metrics."""
    more = {"autoScaling": {"metrics": list(metrics)}} if metrics else {}
    return isvc(name, annotations={CLASS: strategy}, **more, **predictor)


def canary(name: str, percent: int, **predictor: Any) -> dict[str, Any]:
    """A canary with a model of its own."""
    own = {
        "name": name,
        "model": {"modelFormat": {"name": "sklearn"}, "storageUri": f"s3://bucket/{name}"},
        **predictor,
    }
    return {"trafficPercent": percent, "predictor": own}


def canaried(name: str, *canaries: dict[str, Any], **predictor: Any) -> dict[str, Any]:
    """An InferenceService whose predictor ``v1`` has canaries."""
    found = isvc(name, **predictor)
    found["spec"]["predictor"]["name"] = "v1"
    found["spec"]["canary"] = list(canaries)
    return found
