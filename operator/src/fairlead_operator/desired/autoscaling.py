"""Who scales a component: an object that a strategy makes for it, the operator in process, somebody else, or nobody."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.autoscaler import AutoscalerMode
from fairlead_operator.desired import metadata
from fairlead_operator.desired.model import Problem, Strategy

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import ScalingSpec
    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["CONDITION", "in_process", "objects", "replicas"]

CONDITION: Final = "AutoscalerReady"
"""The condition that is False where nobody scales as it was asked for."""

_BUILT_IN: Final = ("networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io")
_NOT_SERVED: Final[Mapping[str, tuple[str, str]]] = {
    "keda.sh": ("KedaNotInstalled", "Install KEDA"),
    "opentelemetry.io": ("OpenTelemetryNotInstalled", "Install the operator of OpenTelemetry"),
}
_LIMIT: Final = 300


def objects(component: ResolvedComponent, surroundings: Surroundings) -> tuple[list[Manifest], list[Problem]]:
    """The objects that scale a component, and why some cannot be made."""
    name = component.scaling.strategy
    if name is None:
        return [], []
    strategy = surroundings.strategies.get(name)
    if strategy is None:
        text = f"The strategy {name} is not installed beside the operator. Add fairlead-autoscaler-{name} to its image."
        return [], [Problem(CONDITION, "AutoscalerNotInstalled", text)]
    if AutoscalerMode.DELEGATES not in strategy.spec.modes:
        return [], []
    if strategy.fault:
        return [], [Problem(CONDITION, "AutoscalerFailed", f"{component.name}: {strategy.fault}")]
    try:
        made = _made(strategy, component, surroundings)
    except errors.ConfigurationError as error:
        return [], [Problem(CONDITION, "InvalidAutoscaling", f"{component.name}: {error}")]
    except Exception as error:  # noqa: BLE001 -- a plugin may raise anything, and the rest is to be rendered
        text = f"The strategy {name} raised {type(error).__name__}: {error}"[:_LIMIT]
        return [], [Problem(CONDITION, "AutoscalerFailed", f"{component.name}: {text}. Tell whoever has made it.")]
    problems = [found for each in made if (found := _not_served(each, surroundings)) is not None]
    return [each for each in made if _not_served(each, surroundings) is None], problems


def replicas(component: ResolvedComponent, surroundings: Surroundings) -> int | None:  # noqa: ARG001 -- the seam
    """``spec.replicas`` of a component's Deployment; None where somebody else decides it."""
    scaling = component.scaling
    return scaling.spec.min_replicas if scaling.strategy is None and not scaling.external else None


def in_process(component: ResolvedComponent, surroundings: Surroundings) -> Strategy | None:
    """The strategy that the operator itself asks how many replicas there are to be; None where it asks none."""
    strategy = surroundings.strategies.get(component.scaling.strategy or "")
    return None if strategy is None or AutoscalerMode.DELEGATES in strategy.spec.modes else strategy


# -- what a strategy makes ------------------------------------------------------------------------------


def _made(strategy: Strategy, component: ResolvedComponent, surroundings: Surroundings) -> list[Manifest]:
    """What a strategy makes, as objects of the component.

    Raises:
        ConfigurationError: the strategy refuses what is asked for, or makes what is no object.
    """
    target = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": component.name,
            "namespace": surroundings.owner.namespace,
            "labels": dict(component.labels),
            "annotations": dict(component.annotations),
        },
    }
    found = [_checked(each, strategy) for each in strategy.autoscaler.manifests(_spec(component, surroundings), target)]
    return [_owned(each, component, surroundings) for each in found]


def _spec(component: ResolvedComponent, surroundings: Surroundings) -> ScalingSpec:
    """What is asked for, with what the configuration of the cluster says to strategies."""
    config = surroundings.config
    platform = {
        "autoscaler": {
            "scaleUpStabilizationWindowSeconds": config.stabilization.scale_up,
            "scaleDownStabilizationWindowSeconds": config.stabilization.scale_down,
        },
        "opentelemetryCollector": {
            "scrapeInterval": config.opentelemetry.scrape_interval,
            "metricReceiverEndpoint": config.opentelemetry.receiver,
            "metricScalerEndpoint": config.opentelemetry.scaler,
            "resource": config.opentelemetry.resources.manifest(),
        },
    }
    return dataclasses.replace(component.scaling.spec, platform=platform)


def _checked(made: object, strategy: Strategy) -> Manifest:
    """A plain copy of what a strategy made, if it is an object at all."""
    try:
        plain = json.loads(json.dumps(made))
    except (TypeError, ValueError):
        plain = None
    found = plain if isinstance(plain, dict) else {}
    own = found.get("metadata")
    texts = (found.get("apiVersion"), found.get("kind"), own.get("name") if isinstance(own, dict) else None)
    if not all(isinstance(each, str) and each for each in texts):
        raise errors.ConfigurationError(
            f"The strategy {strategy.spec.name} made what is no Kubernetes object: it lacks apiVersion, kind or name.",
            remedy="Tell whoever has made it.",
        )
    if not any((each.api_version, each.kind) == texts[:2] for each in strategy.spec.kinds):
        raise errors.ConfigurationError(
            f"The strategy {strategy.spec.name} made a {texts[1]} ({texts[0]}), and does not declare that kind: nobody"
            " would notice what becomes of it.",
            remedy="Tell whoever has made it: the field kinds of its AutoscalerSpec lacks it.",
        )
    return found


def _owned(made: Manifest, component: ResolvedComponent, surroundings: Surroundings) -> Manifest:
    """An object with the metadata of the component, its labels first, and what the strategy adds."""
    own = made["metadata"]
    written: dict[str, Any] = metadata.of(component, surroundings, own["name"])
    written["labels"] = {**(own.get("labels") or {}), **written["labels"]}
    if annotations := {**written.get("annotations", {}), **(own.get("annotations") or {})}:
        written["annotations"] = annotations
    return {**made, "metadata": written}


def _not_served(made: Manifest, surroundings: Surroundings) -> Problem | None:
    """Why an object cannot be written here: its kind is not Kubernetes' own, and nobody has added it."""
    group, kind = made["apiVersion"].rpartition("/")[0], made["kind"]
    if "." not in group or group in _BUILT_IN or f"{group}/{kind}" in surroundings.apis:
        return None
    reason, remedy = _NOT_SERVED.get(group, (f"{kind}NotServed", f"Install what brings {kind}"))
    text = f"{made['metadata']['name']} is to be scaled by a {kind} ({group}), which this cluster does not serve."
    return Problem(
        CONDITION,
        reason,
        f"{text} {remedy}, or name another strategy with the annotation serving.kserve.io/autoscalerClass.",
    )
