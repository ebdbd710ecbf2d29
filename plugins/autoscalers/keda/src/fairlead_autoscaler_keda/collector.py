"""The OpenTelemetryCollector beside the pods of a component, which sends the metrics that KEDA asks for to its scaler.

The operator of OpenTelemetry puts it into pods that ask for it with the annotation ``sidecar.opentelemetry.io/inject``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead import ScalingSpec

__all__ = ["collector"]

_PORT: Final = ("prometheus.kserve.io/port", "8080")
_PATH: Final = ("prometheus.kserve.io/path", "/metrics")
_RECEIVER: Final = "keda-otel-scaler.keda.svc:4317"
_INTERVAL: Final = "5s"
_LABELS: Final = {
    "namespace": "k8s.namespace.name",
    "deployment": "k8s.deployment.name",
    "pod": "k8s.pod.name",
}
"""The attributes by which a trigger finds the metrics of its component, and where the operator says them."""


def collector(spec: ScalingSpec, target: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object, with the name of what is scaled; None where no metric of pods is to be collected."""
    names = _names(spec)
    if not names:
        return None
    configured = spec.platform.get("opentelemetryCollector") or {}
    made: dict[str, Any] = {"mode": "sidecar"}
    if resources := configured.get("resource"):
        made["resources"] = resources
    return {
        "apiVersion": "opentelemetry.io/v1beta1",
        "kind": "OpenTelemetryCollector",
        "metadata": {"name": target["metadata"]["name"]},
        "spec": {**made, "config": _config(names, configured, target["metadata"].get("annotations") or {})},
    }


def _names(spec: ScalingSpec) -> list[str]:
    """The metrics that are collected, each once."""
    found = [(each.get("podmetric") or {}).get("metric") or {} for each in spec.metrics]
    return list(dict.fromkeys(name for each in found for name in each.get("metricNames") or ()))


def _config(names: list[str], configured: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    scraped = {
        "job_name": "model-server",
        "scrape_interval": configured.get("scrapeInterval") or _INTERVAL,
        "metrics_path": annotations.get(*_PATH),
        "static_configs": [{"targets": [f"localhost:{annotations.get(*_PORT)}"]}],
    }
    statements = [f'set(attributes["{label}"], resource.attributes["{said}"])' for label, said in _LABELS.items()]
    processors = {
        "resourcedetection/env": {"detectors": ["env"], "override": False, "timeout": "2s"},
        "transform": {"metric_statements": [{"context": "datapoint", "statements": statements}]},
        "filter/metrics": {"metrics": {"include": {"match_type": "strict", "metric_names": names}}},
    }
    exporter = {
        "endpoint": configured.get("metricReceiverEndpoint") or _RECEIVER,
        "compression": "none",
        "tls": {"insecure": True},
    }
    pipeline = {"receivers": ["prometheus"], "processors": [*processors], "exporters": ["otlp"]}
    return {
        "receivers": {"prometheus": {"config": {"scrape_configs": [scraped]}}},
        "processors": processors,
        "exporters": {"otlp": exporter},
        "service": {"pipelines": {"metrics": pipeline}},
    }
