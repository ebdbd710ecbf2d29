"""The triggers of a ScaledObject: what KEDA measures, and what it holds it at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead.contracts import quantities

__all__ = ["RESOURCES", "trigger"]

RESOURCES: Final = ("cpu", "memory")
"""What KEDA has the cluster's own metrics measure."""

_BACKENDS: Final = ("prometheus", "graphite")
_GRAPHITE_TIME: Final = "-1Minutes"
"""The time that Graphite is asked about; KEDA refuses a trigger without one, and the API has no field for it."""
_OPERATIONS: Final = ("last_one", "avg", "max", "min", "rate", "count")
_SCALER: Final = "keda-otel-scaler.keda.svc:4318"


def trigger(spec: ScalingSpec, index: int, target: MetricTarget, *, name: str, namespace: str) -> dict[str, Any]:
    """One trigger.

    Args:
        spec: what the user asked for.
        index: which of its targets it is for.
        target: that target.
        name: the name of what is scaled.
        namespace: its namespace.

    Raises:
        ConfigurationError: KEDA cannot do it, or something is missing that it needs.
    """
    metric = spec.metrics[index] if index < len(spec.metrics) else {}
    place = f"autoScaling.metrics[{index}]"
    if metric.get("type") == "External":
        return _external(metric.get("external") or {}, f"{place}.external")
    if metric.get("type") == "PodMetric":
        endpoint = (spec.platform.get("opentelemetryCollector") or {}).get("metricScalerEndpoint") or _SCALER
        return _of_pods(metric.get("podmetric") or {}, f"{place}.podmetric", endpoint, name, namespace)
    return _resource(metric, target)


def _resource(metric: Mapping[str, Any], target: MetricTarget) -> dict[str, Any]:
    if target.metric not in RESOURCES:
        raise errors.ConfigurationError(
            f"KEDA does not measure {target.metric} by itself.",
            remedy=f"Scale by {' or '.join(RESOURCES)}, or list a metric of the type External or PodMetric in"
            " autoScaling.metrics.",
        )
    value = 80.0 if target.value is None and target.metric == "cpu" else target.value
    if value is None or target.kind is TargetKind.VALUE:
        raise errors.ConfigurationError(
            f"The target of {target.metric} is no amount for each replica.",
            remedy="Give target: {type: Utilization, averageUtilization: 80}, or AverageValue with averageValue.",
        )
    written = ((metric.get("resource") or {}).get("target") or {}).get("averageValue")
    amount = str(written) if target.kind is TargetKind.AVERAGE_VALUE and written is not None else f"{value:.15g}"
    return {"type": target.metric, "metricType": str(target.kind), "metadata": {"value": amount}}


def _external(external: Mapping[str, Any], place: str) -> dict[str, Any]:
    metric = external.get("metric") or {}
    backend = metric.get("backend")
    if backend not in _BACKENDS:
        raise errors.ConfigurationError(f"{place}.metric.backend is {backend!r}.", remedy=_one_of(_BACKENDS))
    told = {
        "serverAddress": _needed(metric, "serverAddress", f"{place}.metric"),
        "query": _needed(metric, "query", f"{place}.metric"),
        "threshold": _amount(external, place),
    }
    if backend == "prometheus" and metric.get("namespace"):
        told["namespace"] = metric["namespace"]
    if backend == "graphite":
        told["queryTime"] = _GRAPHITE_TIME
    access = external.get("authenticationRef") or {}
    if access.get("authModes"):
        told["authModes" if backend == "prometheus" else "authMode"] = access["authModes"]
    made: dict[str, Any] = {"type": backend, "metadata": told}
    if login := (access.get("authenticationRef") or {}).get("name"):
        made["authenticationRef"] = {"name": login}
    return made


def _of_pods(podmetric: Mapping[str, Any], place: str, endpoint: str, name: str, namespace: str) -> dict[str, Any]:
    metric = podmetric.get("metric") or {}
    if metric.get("backend") != "opentelemetry":
        raise errors.ConfigurationError(
            f"{place}.metric.backend is {metric.get('backend')!r}.", remedy=_one_of(("opentelemetry",))
        )
    told = {
        "metricQuery": _selected(_needed(metric, "query", f"{place}.metric"), name, namespace),
        "targetValue": _amount(podmetric, place),
        "scalerAddress": metric.get("serverAddress") or endpoint,
    }
    if operation := metric.get("operationOverTime"):
        if operation not in _OPERATIONS:
            raise errors.ConfigurationError(
                f"{place}.metric.operationOverTime is {operation!r}.", remedy=_one_of(_OPERATIONS)
            )
        told["operationOverTime"] = operation
    return {"type": "external", "metadata": told}


def _selected(query: str, name: str, namespace: str) -> str:
    """The sum of a series over the pods of the component; labels that the query has of its own stay."""
    series, _, rest = query.strip().partition("{")
    own = rest.strip().removesuffix("}").strip().strip(",")
    labels = ", ".join(filter(None, (own, f'namespace="{namespace}"', f'deployment="{name}"')))
    return f"sum({series.strip()}{{{labels}}})"


def _amount(source: Mapping[str, Any], place: str) -> str:
    """What the series is held at: the field that the type names, ``value`` where there is no type."""
    target = source.get("target") or {}
    kind = target.get("type") or "Value"
    field = {"Value": "value", "AverageValue": "averageValue"}.get(kind)
    if field is None or target.get(field) is None:
        raise errors.ConfigurationError(
            f"{place}.target has nothing that the type {kind} means.",
            remedy='Give target: {type: Value, value: "4"}: so much for each replica.',
        )
    return _number(str(target[field]))


def _number(text: str) -> str:
    """An amount as KEDA reads it: a number, which stays as it was written; a quantity such as ``500m`` becomes one."""
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        return text
    return f"{quantities.quantity(text):.15g}"


def _needed(metric: Mapping[str, Any], field: str, place: str) -> str:
    if not metric.get(field):
        raise errors.ConfigurationError(f"{place}.{field} is missing.", remedy="KEDA asks that. Set it.")
    return str(metric[field])


def _one_of(names: tuple[str, ...]) -> str:
    return f"Write {' or '.join(names)}."
