"""Rules about ``autoScaling.metrics`` as keda reads them: each has the field of its type, and a target that fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fairlead.resolve import findings, quantities

if TYPE_CHECKING:
    from fairlead.api.scaling import MetricsSpec, MetricTarget
    from fairlead.resolve.implementations import Declared

__all__ = ["check_metrics", "metrics"]

_FIELDS: Final = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}
_TARGET_FIELDS: Final = {
    "Utilization": "averageUtilization",
    "Value": "value",
    "AverageValue": "averageValue",
}
_LEAST_MEMORY: Final = "1Mi"


def metrics(component: Declared) -> Iterator[tuple[str, MetricsSpec]]:
    """The metrics of a component, each with its path."""
    scaling = component.spec.auto_scaling
    for index, each in enumerate((scaling.metrics if scaling is not None else None) or ()):
        yield f"{component.path}.autoScaling.metrics[{index}]", each


def check_metrics(found: findings.Findings, component: Declared) -> None:
    """Every metric of a component that keda scales."""
    for path, metric in metrics(component):
        if metric.type is None:
            found.problem(f"{path}.type", f"it is missing. Write {findings.listed(_FIELDS)}.")
            continue
        field = _FIELDS[metric.type]
        if getattr(metric, field) is None:
            found.problem(path, f"a metric of the type {metric.type} needs the field {field}.")
        elif metric.resource is not None and metric.type == "Resource":
            _check_resource(found, f"{path}.resource", metric.resource.name, metric.resource.target)
        else:
            _check_query(found, f"{path}.{field}", metric)


def _check_resource(found: findings.Findings, path: str, name: str | None, target: MetricTarget | None) -> None:
    if name is None:
        found.problem(f"{path}.name", "it is missing. Write cpu or memory.")
        return
    allowed = ("Utilization",) if name == "cpu" else ("Utilization", "AverageValue")
    kind = None if target is None else target.type
    if target is None or kind not in allowed:
        said = "it is missing" if kind is None else f"{kind} is not what {name} is held at"
        found.problem(f"{path}.target.type", f"{said}. Write {findings.listed(allowed)}.")
        return
    _check_target(found, f"{path}.target", target)
    value, least = quantities.amount(target.average_value), quantities.amount(_LEAST_MEMORY)
    if kind == "AverageValue" and value is not None and least is not None and value < least:
        found.problem(
            f"{path}.target.averageValue",
            f"{findings.shown(target.average_value)} is less than {_LEAST_MEMORY}. Write bytes, such as 512Mi.",
        )


def _check_query(found: findings.Findings, path: str, metric: MetricsSpec) -> None:
    """A metric that is asked for: an external one, or one that the pods report."""
    source = metric.external if metric.type == "External" else metric.podmetric
    assert source is not None
    if source.metric is None or not source.metric.query:
        found.problem(f"{path}.metric.query", "it is missing. Write the question that the metric answers.")
    target = source.target
    if target is None:
        found.problem(f"{path}.target", "it is missing. Write what the metric is held at, as value.")
    else:
        _check_target(found, f"{path}.target", target, needs=("value",))


def _check_target(found: findings.Findings, path: str, target: MetricTarget, *, needs: tuple[str, ...] = ()) -> None:
    """The field that the type names, those that are needed in any case, and their ranges."""
    values = {
        "averageUtilization": target.average_utilization,
        "value": target.value,
        "averageValue": target.average_value,
    }
    named = () if target.type is None else (_TARGET_FIELDS[target.type],)
    for field in dict.fromkeys((*needs, *named)):
        if values[field] is None:
            found.problem(f"{path}.{field}", f"it is missing{f', and the type is {target.type}' if named else ''}.")
    utilization = target.average_utilization
    if utilization is not None and not 1 <= utilization <= 100:
        found.problem(f"{path}.averageUtilization", f"{utilization} is no percentage from 1 to 100.")
