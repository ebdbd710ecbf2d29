"""How the number of replicas of a component is decided: the strategy, its bounds and its targets.

Bounds and defaults are those of KServe: in the mode Knative those of Knative's autoscaler, in the mode Standard those
of its HorizontalPodAutoscaler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.autoscaler import AutoscalerSpec, ScalingSpec
from fairlead.resolve import remedies, targets
from fairlead.resolve.service import Scaling

if TYPE_CHECKING:
    from fairlead.api.component import ComponentFields
    from fairlead.resolve.catalogue import Catalogue

__all__ = ["CLASS", "KNATIVE", "KNATIVE_CLASS", "scaling"]

KNATIVE: Final = "Knative"
CLASS: Final = "serving.kserve.io/autoscalerClass"
KNATIVE_CLASS: Final = "autoscaling.knative.dev/class"

_KNATIVE_PREFIX: Final = "autoscaling.knative.dev/"
_KNATIVE_SUFFIX: Final = ".autoscaling.knative.dev"
_OF_KNATIVE: Final = {targets.KNATIVE_METRIC: "scaleMetric", targets.KNATIVE_TARGET: "scaleTarget"}
"""Annotations of Knative that its hpa reads, and the fields that say the same."""
_NO_EFFECT: Final = {f"{_KNATIVE_PREFIX}min-scale": "minReplicas", f"{_KNATIVE_PREFIX}max-scale": "maxReplicas"}
_HELD: Final = ("none", "external")


def scaling(
    component: ComponentFields, annotations: Mapping[str, str], *, mode: str, catalogue: Catalogue, place: str
) -> tuple[Scaling, tuple[str, ...]]:
    """How a component scales, and what its user should know of that: one sentence each.

    Args:
        component: what its user says.
        annotations: those of the InferenceService with those of the component over them.
        mode: the deployment mode.
        catalogue: the strategies that there are.
        place: the component's place in the InferenceService, for messages, such as ``spec.predictor``.

    Raises:
        Unresolvable: the strategy is not installed, or cannot scale by what is asked for.
    """
    name, said_by = _class(annotations, mode)
    kept, warnings = _heeded(annotations, name, said_by, place)
    low = 1 if component.min_replicas is None else component.min_replicas
    high = component.max_replicas or None
    if name in _HELD:
        spec = ScalingSpec(
            min_replicas=low,
            max_replicas=None if high is None else max(high, low),
            container_concurrency=component.container_concurrency or 0,
            annotations=kept,
        )
        return Scaling(strategy=None, spec=spec, external=name == "external"), (
            *warnings,
            *_unscaled(component, name, place),
        )
    strategy = _installed(name, said_by, catalogue)
    if name == "hpa" and low == 0:
        low = 1
        warnings.append(f"{place}: the strategy hpa keeps at least 1 replica, although minReplicas is 0.")
    if mode != KNATIVE or high is not None:
        high = max(high or 0, low)
    knative = annotations if name != "hpa" or said_by == KNATIVE_CLASS else {}
    held, more = targets.read(component, knative, strategy, place=place)
    behavior = (component.auto_scaling.behavior if component.auto_scaling else None) or {}
    if behavior and name == "kpa":
        more.append(f"{place}.autoScaling.behavior has no effect with the strategy kpa.")
        behavior = {}
    spec = ScalingSpec(
        min_replicas=low,
        max_replicas=high,
        targets=held,
        container_concurrency=component.container_concurrency or 0,
        annotations=kept,
        behavior=behavior,
        metrics=_plain(component),
    )
    return Scaling(strategy=name, spec=spec), (*warnings, *more)


def _plain(component: ComponentFields) -> tuple[Mapping[str, Any], ...]:
    """The metrics of ``autoScaling`` as they are declared."""
    metrics = (component.auto_scaling.metrics if component.auto_scaling else None) or ()
    return tuple(each.model_dump(by_alias=True, exclude_none=True) for each in metrics)


def _class(annotations: Mapping[str, str], mode: str) -> tuple[str, str]:
    """The strategy that is asked for, and what asks for it."""
    if name := annotations.get(CLASS):
        return name, CLASS
    if text := annotations.get(KNATIVE_CLASS):
        return text.removesuffix(_KNATIVE_SUFFIX), KNATIVE_CLASS
    return ("kpa" if mode == KNATIVE else "hpa"), f"the deployment mode {mode}"


def _installed(name: str, said_by: str, catalogue: Catalogue) -> AutoscalerSpec:
    strategy = catalogue.autoscalers.get(name)
    if strategy is not None:
        return strategy
    here = sorted((*catalogue.autoscalers, *_HELD))
    near = remedies.near(name, here)
    hint = f"Did you mean {' or '.join(near)}? If not: " if near else "Install it: "
    package = f"fairlead-autoscaler-{name}"
    where = f"the operator's image needs {package}" if catalogue.in_cluster else f"pip install {package}"
    raise errors.Unresolvable(
        "AutoscalerNotInstalled",
        f"{said_by} asks for the autoscaler {name!r}, and there are {', '.join(here)}.",
        remedy=f"{hint}{where}\n"
        f"Or do without: the annotation {CLASS}: none keeps as many replicas as minReplicas says.",
    )


def _unscaled(component: ComponentFields, name: str, place: str) -> list[str]:
    """Fields that say how to scale, where nothing here does."""
    if name != "none":
        return []
    fields = {
        "maxReplicas": component.max_replicas,
        "scaleTarget": component.scale_target,
        "scaleMetric": component.scale_metric,
        "autoScaling": component.auto_scaling,
    }
    said = [field for field, value in fields.items() if value]
    return [f"{place}: {CLASS} is none, and so {' and '.join(said)} has no effect."] if said else []


def _heeded(annotations: Mapping[str, str], name: str, said_by: str, place: str) -> tuple[dict[str, str], list[str]]:
    """The annotations that a strategy is handed, and what is to be said of those of which nobody takes notice.

    Knative's own say nothing to hpa, except the metric and its target where Knative's class asks for hpa: the target of
    a service that was written for its kpa is of requests, and would be taken for a percentage of a processor.
    """
    kept, warnings = dict(annotations), []
    for key, field in _NO_EFFECT.items():
        if kept.pop(key, None) is not None:
            warnings.append(f"{place}: the annotation {key} has no effect; set {field} in its place.")
    if said_by == CLASS and kept.get(KNATIVE_CLASS, f"{name}{_KNATIVE_SUFFIX}") != f"{name}{_KNATIVE_SUFFIX}":
        warnings.append(
            f"{place}: {CLASS} says {name}, and so {KNATIVE_CLASS}: {kept.pop(KNATIVE_CLASS)} has no effect."
        )
    if name == "hpa":
        for key in [each for each in kept if each.startswith(_KNATIVE_PREFIX)]:
            del kept[key]
            if key in _OF_KNATIVE and said_by != KNATIVE_CLASS:
                warnings.append(f"{place}: the annotation {key} has no effect; set {_OF_KNATIVE[key]} in its place.")
            elif key != KNATIVE_CLASS and key not in _OF_KNATIVE:
                warnings.append(f"{place}: the annotation {key} has no effect with the strategy hpa.")
    return kept, warnings
