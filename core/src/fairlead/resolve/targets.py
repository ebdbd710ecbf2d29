"""What replicas are scaled by: ``scaleMetric`` and ``scaleTarget``, or the metrics of ``autoScaling``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.autoscaler import AutoscalerMode, AutoscalerSpec, MetricTarget, TargetKind
from fairlead.resolve import quantities

if TYPE_CHECKING:
    from fairlead.api.component import ComponentFields
    from fairlead.api.scaling import MetricsSpec
    from fairlead.api.scaling import MetricTarget as DeclaredTarget

__all__ = ["KNATIVE_METRIC", "KNATIVE_TARGET", "read"]

KNATIVE_METRIC: Final = "autoscaling.knative.dev/metric"
KNATIVE_TARGET: Final = "autoscaling.knative.dev/target"

_RESOURCES: Final = ("cpu", "memory")
_DEFAULT_PERCENT: Final = 80.0
_MEBIBYTE: Final = 1024.0**2
_CONDITION: Final = "UnsupportedMetric"


def read(
    component: ComponentFields, annotations: Mapping[str, str], strategy: AutoscalerSpec, *, place: str
) -> tuple[tuple[MetricTarget, ...], list[str]]:
    """What is held where, and what the user should know of that.

    A strategy that decides is held to the metrics that it names, also where it delegates. One that only delegates is
    handed whatever is asked for, and judges itself.

    Args:
        component: what its user says.
        annotations: those of the InferenceService with those of the component over them.
        strategy: the strategy that scales it.
        place: the component's place in the InferenceService, for messages.

    Raises:
        Unresolvable: the strategy cannot scale by it.
    """
    warnings: list[str] = []
    metrics = (component.auto_scaling.metrics if component.auto_scaling else None) or []
    if metrics:
        if component.scale_metric or component.scale_target is not None:
            warnings.append(f"{place}: autoScaling holds, and so scaleMetric and scaleTarget have no effect.")
        held = tuple(
            _declared(each, strategy, f"{place}.autoScaling.metrics[{index}]") for index, each in enumerate(metrics)
        )
    else:
        held = tuple(_short(component, annotations, strategy, warnings, place))
    if AutoscalerMode.DECIDES in strategy.modes:
        for each in held:
            if each.metric not in strategy.metrics:
                raise errors.Unresolvable(
                    _CONDITION,
                    f"{place} is scaled by {each.metric}, which the strategy {strategy.name} does not know.",
                    remedy=f"Scale by {' or '.join(strategy.metrics)}, or choose another strategy with the annotation"
                    " serving.kserve.io/autoscalerClass.",
                )
    return held, warnings


# -- scaleMetric and scaleTarget ------------------------------------------------------------------------


def _short(
    component: ComponentFields,
    annotations: Mapping[str, str],
    strategy: AutoscalerSpec,
    warnings: list[str],
    place: str,
) -> Iterator[MetricTarget]:
    metric = component.scale_metric or annotations.get(KNATIVE_METRIC)
    value = None if component.scale_target is None else float(component.scale_target)
    if strategy.name == "hpa":
        yield from _of_hpa(component, annotations, metric or "cpu", value, warnings, place)
    elif component.scale_metric is not None or value is not None:
        metric = metric or ("concurrency" if "concurrency" in strategy.metrics else "cpu")
        yield MetricTarget(metric=metric, value=value, kind=_kind(component, metric, place))


def _of_hpa(
    component: ComponentFields,
    annotations: Mapping[str, str],
    metric: str,
    value: float | None,
    warnings: list[str],
    place: str,
) -> Iterator[MetricTarget]:
    """The HorizontalPodAutoscaler's: cpu at 80 percent where nothing else is said."""
    kind = _kind(component, metric, place)
    if value is None and KNATIVE_TARGET in annotations:
        value = _number(annotations[KNATIVE_TARGET], KNATIVE_TARGET)
        if component.scale_metric is None and metric == "memory":  # Knative counts mebibytes
            kind, value = TargetKind.AVERAGE_VALUE, value * _MEBIBYTE
    if metric == "memory" and value is None:
        warnings.append(f"{place}: scaleMetric memory has no scaleTarget, and so cpu is held at 80 percent.")
        metric, kind = "cpu", TargetKind.UTILIZATION
    if metric == "cpu" and value is None and kind is TargetKind.UTILIZATION:
        value = _DEFAULT_PERCENT
    if value is None and not (metric == "concurrency" and component.container_concurrency):
        raise errors.Unresolvable(
            _CONDITION,
            f"{place} is scaled by {metric}, and has no scaleTarget, for which the strategy hpa has no default.",
            remedy="Set scaleTarget.",
        )
    yield MetricTarget(metric=metric, value=value, kind=kind)


def _kind(component: ComponentFields, metric: str, place: str) -> TargetKind:
    usual = TargetKind.UTILIZATION if metric in _RESOURCES else TargetKind.AVERAGE_VALUE
    if component.scale_metric_type is None:
        return usual
    kind = TargetKind(component.scale_metric_type)
    allowed = (TargetKind.UTILIZATION, TargetKind.AVERAGE_VALUE) if metric in _RESOURCES else (usual,)
    if kind not in allowed:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place}.scaleMetricType is {kind}, and {metric} is held at an amount that is meant otherwise.",
            remedy=f"Give {' or '.join(allowed)}, or take it out.",
        )
    return kind


# -- autoScaling ----------------------------------------------------------------------------------------


def _declared(declared: MetricsSpec, strategy: AutoscalerSpec, place: str) -> MetricTarget:
    if declared.type == "Resource" and declared.resource is not None and declared.resource.name is not None:
        return _resource(declared.resource.name, declared.resource.target, f"{place}.resource")
    source = declared.external or declared.podmetric
    if declared.type not in ("External", "PodMetric") or source is None:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place} is of the type {declared.type}, and says nothing more of it.",
            remedy="Give type: Resource with resource: {name: cpu, target: {...}}.",
        )
    query = (source.metric.query if source.metric else None) or ""
    if AutoscalerMode.DECIDES in strategy.modes:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place} is of the type {declared.type}, and the strategy {strategy.name} decides here, where nothing"
            f" answers {query[:80]!r}.",
            remedy=f"Scale by {' or '.join(strategy.metrics)}, or choose a strategy that asks other systems, such as"
            " keda.",
        )
    value, kind = _amount(source.target, TargetKind.VALUE, f"{place}.target")
    return MetricTarget(metric=query, value=value, kind=kind)


def _resource(name: str, target: DeclaredTarget | None, place: str) -> MetricTarget:
    value, kind = _amount(target, TargetKind.UTILIZATION, f"{place}.target")
    if value is None and name == "cpu" and kind is TargetKind.UTILIZATION:
        value = _DEFAULT_PERCENT
    if value is None or kind is TargetKind.VALUE:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place}: the target of {name} is no amount for each replica.",
            remedy="Give target: {type: Utilization, averageUtilization: 80}, or AverageValue with averageValue.",
        )
    return MetricTarget(metric=name, value=value, kind=kind)


def _amount(target: DeclaredTarget | None, default: TargetKind, place: str) -> tuple[float | None, TargetKind]:
    """The amount of the field that the type names, or of the one that is set where no type is given."""
    if target is None:
        return None, default
    fields = {
        TargetKind.UTILIZATION: target.average_utilization,
        TargetKind.AVERAGE_VALUE: target.average_value,
        TargetKind.VALUE: target.value,
    }
    said = [kind for kind, value in fields.items() if value is not None]
    kind = TargetKind(target.type) if target.type else (said[0] if said else default)
    value = fields[kind]
    if value is None and said:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place}: its type is {kind}, and what is given is of the type {said[0]}.",
            remedy=f"Give type: {said[0]}, or the field that {kind} means.",
        )
    return (None if value is None else _exact(value, place)), kind


def _exact(quantity: int | str, place: str) -> float:
    value = quantities.amount(quantity)
    if value is None:
        raise errors.Unresolvable(
            _CONDITION, f"{place}: {quantity!r} is no amount.", remedy="Give one such as 500m, 2Gi or 3."
        )
    return float(value)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise errors.Unresolvable("InvalidAnnotation", f"{name} is {text!r}.", remedy="Give a number.")
    return value
