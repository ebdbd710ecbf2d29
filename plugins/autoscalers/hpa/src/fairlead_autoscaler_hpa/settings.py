"""What a component's annotations and bounds mean to the strategy."""

from __future__ import annotations

import dataclasses
from typing import Final

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead_autoscaler_hpa.behavior import Behavior, quantity

__all__ = ["ANNOTATIONS", "RESOURCES", "Settings"]

_PREFIX: Final = "hpa.autoscaling/"

ANNOTATIONS: Final = {
    f"{_PREFIX}tolerance": 0.1,
    f"{_PREFIX}cpu-initialization-period": 300.0,
    f"{_PREFIX}initial-readiness-delay": 30.0,
}
"""The strategy's own annotations, with the cluster-wide defaults of Kubernetes."""

RESOURCES: Final = ("cpu", "memory")
"""Metrics that each replica has by itself, and requests an amount of."""

_DEFAULT_TARGET: Final = MetricTarget(metric="cpu", kind=TargetKind.UTILIZATION)

_DEFAULT_PERCENT: Final = 80.0
"""Of the cpu that a replica requested, as KServe has it, and of the requests that it takes at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """A component's spec, read and checked.

    Attributes:
        targets: what is held where, as metric, value and kind.
        behavior: how fast to scale.
        cpu_initialization: seconds after its start in which a replica counts only while it is ready.
        readiness_delay: seconds after its start in which a replica that became unready was never ready.
    """

    targets: tuple[tuple[str, float, TargetKind], ...]
    behavior: Behavior
    cpu_initialization: float
    readiness_delay: float

    @classmethod
    def of(cls, spec: ScalingSpec) -> Settings:
        """Read a spec.

        Raises:
            ConfigurationError: it asks for something that the strategy does not take.
        """
        unknown = sorted(name for name in spec.annotations if name.startswith(_PREFIX) and name not in ANNOTATIONS)
        if unknown:
            raise errors.ConfigurationError(
                f"There is no annotation {', '.join(unknown)}.", remedy=f"There are {', '.join(ANNOTATIONS)}."
            )
        tolerance, initialization, delay = (
            quantity(spec.annotations.get(name, default), name) for name, default in ANNOTATIONS.items()
        )
        targets = tuple(_target(each, spec) for each in spec.targets or (_DEFAULT_TARGET,))
        _check_bounds(spec, targets)
        return cls(targets, Behavior.parse(spec.behavior, tolerance), initialization, delay)


def _target(target: MetricTarget, spec: ScalingSpec) -> tuple[str, float, TargetKind]:
    place, value = f"the target of {target.metric}", target.value
    if target.kind is TargetKind.UTILIZATION and target.metric not in RESOURCES:
        raise errors.ConfigurationError(
            f"{place} is a utilization, and replicas request no {target.metric}.",
            remedy=f"Give an {TargetKind.AVERAGE_VALUE}, or hold {' or '.join(RESOURCES)}.",
        )
    if target.kind is TargetKind.VALUE and target.metric in RESOURCES:
        raise errors.ConfigurationError(
            f"{place} is a {target.kind}, and a resource is measured for each replica.",
            remedy=f"Give an {TargetKind.AVERAGE_VALUE} or a {TargetKind.UTILIZATION}.",
        )
    value = _default(target, spec) if value is None else value
    if value is None:
        raise errors.ConfigurationError(
            f"{place} has no value.",
            remedy="hpa has defaults for a utilization of cpu, and for concurrency where replicas have a limit of it.",
        )
    checked = quantity(value, place)
    if checked == 0:
        raise errors.ConfigurationError(f"{place} is 0, and must be above it.")
    return target.metric, checked, target.kind


def _default(target: MetricTarget, spec: ScalingSpec) -> float | None:
    if (target.metric, target.kind) == (_DEFAULT_TARGET.metric, _DEFAULT_TARGET.kind):
        return _DEFAULT_PERCENT
    if (target.metric, target.kind) == ("concurrency", TargetKind.AVERAGE_VALUE) and spec.container_concurrency > 0:
        return spec.container_concurrency * _DEFAULT_PERCENT / 100
    return None


def _check_bounds(spec: ScalingSpec, targets: tuple[tuple[str, float, TargetKind], ...]) -> None:
    least, most = spec.min_replicas, spec.max_replicas
    if least < 0 or (most is not None and most < max(1, least)):
        raise errors.ConfigurationError(f"Between {least} and {most} replicas there is no number that could be chosen.")
    if least == 0 and all(metric in RESOURCES for metric, _, _ in targets):
        raise errors.ConfigurationError(
            "Without replicas there is no cpu and no memory to measure, so that they could never come back from zero.",
            remedy="Hold concurrency or rps too, or keep at least 1 replica.",
        )
