"""Rules about how the number of replicas is decided: which strategy, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead.resolve import findings, implementations, metric_rules
from fairlead.resolve.defaults import MODE_ANNOTATION, current_mode_name
from fairlead.resolve.scaling import CLASS, KNATIVE_CLASS

if TYPE_CHECKING:
    from fairlead.resolve.catalogue import Catalogue

__all__ = ["check_class", "check_mode", "check_scaling"]

_KNATIVE_SUFFIX: Final = ".autoscaling.knative.dev"
_KSERVE_CLASSES: Final = ("hpa", "keda", "external", "none")
_KNATIVE_CLASSES: Final = ("kpa", "hpa")
_MODES: Final = ("Knative", "Standard")


def check_mode(found: findings.Findings, annotations: Mapping[str, str]) -> None:
    """The deployment mode, where the service names one."""
    mode = annotations.get(MODE_ANNOTATION)
    if mode is not None and current_mode_name(mode) not in _MODES:
        found.problem(
            "metadata.annotations",
            f"{MODE_ANNOTATION} is {findings.shown(mode)}, and not {findings.listed(_MODES)}. Write one of these.",
        )


def check_class(found: findings.Findings, path: str, annotations: Mapping[str, str], catalogue: Catalogue) -> None:
    """What annotations name as the autoscaler: one that KServe has, or a strategy that is installed."""
    name = annotations.get(CLASS)
    if name is not None and name not in _KSERVE_CLASSES:
        if name in catalogue.autoscalers:
            found.warn(path, f"{CLASS}: {name} is taken here, and KServe itself would refuse it.")
        else:
            known = sorted({*_KSERVE_CLASSES, *catalogue.autoscalers})
            found.problem(path, _unknown(CLASS, name, known))
    name = annotations.get(KNATIVE_CLASS)
    if name is not None:
        known = sorted(f"{each}{_KNATIVE_SUFFIX}" for each in {*_KNATIVE_CLASSES, *catalogue.autoscalers})
        if name not in known:
            found.problem(path, _unknown(KNATIVE_CLASS, name, known))


def check_scaling(
    found: findings.Findings,
    component: implementations.Declared,
    annotations: Mapping[str, str],
) -> None:
    """What a component asks of the strategy that scales it.

    The annotations are asked for the mode, and not the mode that holds: where neither they nor the component name an
    autoscaler in Standard mode, nothing is looked at, although ``hpa`` is the default there.

    Args:
        found: where problems go.
        component: the component; its own annotations come before those of the service.
        annotations: those of the service.
    """
    own = {**annotations, **(component.spec.annotations or {})}
    strategy = own.get(CLASS)
    if strategy is None:
        if current_mode_name(annotations.get(MODE_ANNOTATION, "")) == "Standard":
            return
        strategy = own.get(KNATIVE_CLASS, "kpa").removesuffix(_KNATIVE_SUFFIX)
    match strategy:
        case "hpa":
            _check_hpa(found, component)
        case "keda":
            _check_keda(found, component)
        case "kpa":
            _check_kpa(found, component)
        case _:  # strategies that are installed judge for themselves; external and none scale nothing
            pass


def _unknown(annotation: str, name: str, known: list[str]) -> str:
    suffix = _KNATIVE_SUFFIX if annotation == KNATIVE_CLASS else ""
    near = findings.nearest(f"{name.removesuffix(suffix)}{suffix}", known)
    return (
        f"{annotation} is {findings.shown(name)}, and not {findings.listed(known)}.{near} "
        "`fairlead plugins list` shows the strategies that are installed."
    )


# -- by strategy ------------------------------------------------------------------------------------------


def _check_hpa(found: findings.Findings, component: implementations.Declared) -> None:
    spec, path = component.spec, component.path
    metric, target = spec.scale_metric or "cpu", spec.scale_target
    if metric not in ("cpu", "memory"):
        found.problem(f"{path}.scaleMetric", f"hpa does not scale by {metric}. Write cpu or memory, or name kpa.")
    elif target is not None and metric == "cpu" and not 1 <= target <= 100:
        found.problem(f"{path}.scaleTarget", f"{target} is no percentage of the CPU request from 1 to 100.")
    elif target is not None and target < 1:  # of memory more than what is requested may well be used
        found.problem(f"{path}.scaleTarget", f"{target} is below 1. Write a percentage of the memory request.")
    for place, metrics in metric_rules.metrics(component):
        if metrics.type != "Resource" or metrics.resource is None:
            found.problem(place, "hpa scales by type Resource with the field resource alone. Use keda for others.")


def _check_keda(found: findings.Findings, component: implementations.Declared) -> None:
    if component.spec.scale_metric is not None:
        found.problem(
            f"{component.path}.scaleMetric", "keda does not read it. List the metric in autoScaling.metrics instead."
        )
    metric_rules.check_metrics(found, component)


def _check_kpa(found: findings.Findings, component: implementations.Declared) -> None:
    spec, path = component.spec, component.path
    if spec.deployment_strategy is not None:
        found.problem(
            f"{path}.deploymentStrategy",
            f"replicas of a Knative service are not replaced by it. Take it out, or set {MODE_ANNOTATION}: Standard.",
        )
    if spec.scale_metric in ("cpu", "memory"):
        found.problem(
            f"{path}.scaleMetric",
            f"kpa does not scale by {spec.scale_metric}. Write concurrency or rps, or set {CLASS}: hpa.",
        )
    elif spec.scale_target is not None and spec.scale_target < 1:
        what = "requests a second" if spec.scale_metric == "rps" else "requests at once"
        found.problem(f"{path}.scaleTarget", f"{spec.scale_target} is below 1. Write the {what} for each replica.")
