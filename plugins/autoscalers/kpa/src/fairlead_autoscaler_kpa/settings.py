"""The strategy's settings: Knative's annotations, their defaults and their ranges.

Sources: the annotations and their validation are those of ``pkg/apis/autoscaling`` of knative/serving; the
defaults, and the settings that Knative has for a whole cluster only, those of its ConfigMap ``config-autoscaler``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Final

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead_autoscaler_kpa.annotations import Annotation

__all__ = ["ALL", "Settings", "read"]

_KNATIVE: Final = "autoscaling.knative.dev/"
_OWN: Final = "kpa.autoscaling/"
_INT32: Final = 2**31 - 1
_HOUR: Final = 3600.0
_CLASS: Final = "kpa.autoscaling.knative.dev"
_TOTALS: Final = {"concurrency": 100.0, "rps": 200.0}
_LEAST_TARGET: Final = 0.01
_ALGORITHMS: Final = {"linear": False, "weighted-exponential": True, "weightedExponential": True}

CLASS: Final = Annotation(name=f"{_KNATIVE}class")
METRIC: Final = Annotation(name=f"{_KNATIVE}metric")
TARGET: Final = Annotation(name=f"{_KNATIVE}target", lowest=_LEAST_TARGET)
UTILIZATION: Final = Annotation(
    name=f"{_KNATIVE}target-utilization-percentage",
    alias=f"{_KNATIVE}targetUtilizationPercentage",
    lowest=1,
    highest=100,
)
BURST_CAPACITY: Final = Annotation(
    name=f"{_KNATIVE}target-burst-capacity", alias=f"{_KNATIVE}targetBurstCapacity", extra=-1
)
WINDOW: Final = Annotation(name=f"{_KNATIVE}window", lowest=6, highest=_HOUR, unit="s")
PANIC_WINDOW: Final = Annotation(
    name=f"{_KNATIVE}panic-window-percentage", alias=f"{_KNATIVE}panicWindowPercentage", lowest=1, highest=100
)
PANIC_THRESHOLD: Final = Annotation(
    name=f"{_KNATIVE}panic-threshold-percentage", alias=f"{_KNATIVE}panicThresholdPercentage", lowest=110, highest=1000
)
ALGORITHM: Final = Annotation(name=f"{_KNATIVE}metric-aggregation-algorithm")
MIN_SCALE: Final = Annotation(name=f"{_KNATIVE}min-scale", alias=f"{_KNATIVE}minScale", highest=_INT32)
MAX_SCALE: Final = Annotation(name=f"{_KNATIVE}max-scale", alias=f"{_KNATIVE}maxScale", highest=_INT32)
INITIAL_SCALE: Final = Annotation(name=f"{_KNATIVE}initial-scale", alias=f"{_KNATIVE}initialScale", highest=_INT32)
ACTIVATION_SCALE: Final = Annotation(name=f"{_KNATIVE}activation-scale", lowest=1, highest=_INT32)
SCALE_DOWN_DELAY: Final = Annotation(
    name=f"{_KNATIVE}scale-down-delay", alias=f"{_KNATIVE}scaleDownDelay", highest=_HOUR, unit="s"
)
POD_RETENTION: Final = Annotation(
    name=f"{_KNATIVE}scale-to-zero-pod-retention-period",
    alias=f"{_KNATIVE}scaleToZeroPodRetentionPeriod",
    highest=_HOUR,
    unit="s",
)
GRACE_PERIOD: Final = Annotation(name=f"{_OWN}scale-to-zero-grace-period", lowest=6, highest=_HOUR, unit="s")
SCALE_UP_RATE: Final = Annotation(name=f"{_OWN}max-scale-up-rate", lowest=1, above=True)
SCALE_DOWN_RATE: Final = Annotation(name=f"{_OWN}max-scale-down-rate", lowest=1, above=True)
PROGRESS_DEADLINE: Final = Annotation(name="serving.knative.dev/progress-deadline", lowest=1, unit="s")

ALL: Final = tuple(value for value in globals().copy().values() if isinstance(value, Annotation))
"""Every annotation that the strategy knows."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the algorithm works with; lengths of time in seconds.

    Attributes:
        metric: ``concurrency`` or ``rps``.
        total: how much of the metric one replica can carry.
        target: how much of it one replica should carry: the part of `total` that leaves room.
        weighted: whether later seconds weigh more in the averages.
        stable_window: the window of the average that counts in quiet times.
        panic_window: the shorter window of the average that counts in a panic.
        panic_threshold: the ratio of wanted to ready replicas at which a panic begins.
        burst_capacity: the burst that ready replicas should take without the activator; -1 for any, 0 for none.
        max_scale_up_rate: the largest ratio of wanted to ready replicas at one decision.
        max_scale_down_rate: the largest ratio of ready to wanted replicas at one decision.
        activation_scale: never fewer than this once there is any load.
        scale_down_delay: how long a lower number must last before it counts.
        initial_scale: how many replicas a new component has to reach before it counts as started.
        grace_period: how long the activator must have been there before the last replica goes.
        pod_retention: how long the last replica stays after it has become idle, in any case.
        progress_deadline: how long replicas may take to become ready.
    """

    metric: str = "concurrency"
    total: float = 100.0
    target: float = 70.0
    weighted: bool = False
    stable_window: float = 60.0
    panic_window: float = 6.0
    panic_threshold: float = 2.0
    burst_capacity: float = 211.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    activation_scale: int = 1
    scale_down_delay: float = 0.0
    initial_scale: int = 1
    grace_period: float = 30.0
    pod_retention: float = 0.0
    progress_deadline: float = 600.0


def read(spec: ScalingSpec) -> Settings:
    """The settings of a component.

    Raises:
        ConfigurationError: an annotation or another field asks for something that this strategy does not do.
    """
    said = spec.annotations
    _check(spec)
    metric, total = _metric(spec)
    window = WINDOW.seconds(said, 60.0, whole=True)
    return Settings(
        metric=metric,
        total=total,
        target=max(_LEAST_TARGET, total * (UTILIZATION.number(said, 70.0) / 100.0)),
        weighted=_choice(ALGORITHM, said, _ALGORITHMS, "linear"),
        stable_window=window,
        panic_window=float(max(1, math.floor(window * PANIC_WINDOW.number(said, 10.0) / 100.0 + 0.5))),
        panic_threshold=PANIC_THRESHOLD.number(said, 200.0) / 100.0,
        burst_capacity=BURST_CAPACITY.number(said, 211.0),
        max_scale_up_rate=SCALE_UP_RATE.number(said, 1000.0),
        max_scale_down_rate=SCALE_DOWN_RATE.number(said, 2.0),
        activation_scale=ACTIVATION_SCALE.whole(said, 1),
        scale_down_delay=SCALE_DOWN_DELAY.seconds(said, 0.0, whole=True),
        initial_scale=INITIAL_SCALE.whole(said, 1),
        grace_period=GRACE_PERIOD.seconds(said, 30.0),
        pod_retention=POD_RETENTION.seconds(said, 0.0),
        progress_deadline=PROGRESS_DEADLINE.seconds(said, 600.0, whole=True),
    )


def _check(spec: ScalingSpec) -> None:
    """Refuse what this strategy would have to ignore."""
    known = {name for annotation in ALL for name in (annotation.name, annotation.alias)}
    for name in spec.annotations:
        if name.startswith((_KNATIVE, _OWN)) and name not in known:
            raise errors.ConfigurationError(
                f"{name} is not an annotation that the strategy kpa knows.",
                remedy=f"Remove it, or give one of {', '.join(sorted(annotation.name for annotation in ALL))}.",
            )
    text = CLASS.text(spec.annotations)
    if text not in {None, _CLASS}:
        raise errors.ConfigurationError(
            f"{CLASS.name} is {text!r}, and the strategy is kpa.", remedy=f"Give {_CLASS}, or choose another strategy."
        )
    if spec.behavior:
        raise errors.ConfigurationError(
            "behavior belongs to HorizontalPodAutoscaler, and the strategy kpa does not take it.",
            remedy=f"Remove it; {SCALE_DOWN_DELAY.name} and {SCALE_DOWN_RATE.name} slow it down.",
        )
    low, high = spec.min_replicas, spec.max_replicas
    if low < 0 or (high is not None and high < low):
        raise errors.ConfigurationError(
            f"min_replicas is {low} and max_replicas is {high}.", remedy="Give 0 <= min_replicas <= max_replicas."
        )
    if MIN_SCALE.whole(spec.annotations, low) != low:
        raise errors.ConfigurationError(
            f"{MIN_SCALE.name} is {MIN_SCALE.text(spec.annotations)!r}, and min_replicas is {low}.",
            remedy="Remove the annotation, and set minReplicas.",
        )
    if MAX_SCALE.whole(spec.annotations, high or 0) != (high or 0):
        raise errors.ConfigurationError(
            f"{MAX_SCALE.name} is {MAX_SCALE.text(spec.annotations)!r}, and max_replicas is {high}.",
            remedy="Remove the annotation, and set maxReplicas.",
        )


def _metric(spec: ScalingSpec) -> tuple[str, float]:
    """The metric, and how much of it one replica can carry."""
    wanted = _wanted(spec)
    if spec.container_concurrency < 0:
        raise errors.ConfigurationError(
            f"container_concurrency is {spec.container_concurrency}.",
            remedy="Give 0 for no limit, or a number above 0.",
        )
    limit = float(spec.container_concurrency) if wanted.metric == "concurrency" else 0.0
    total = limit or _TOTALS[wanted.metric] if wanted.value is None else wanted.value
    return wanted.metric, min(total, limit) if limit else total


def _wanted(spec: ScalingSpec) -> MetricTarget:
    """What is held where: by the targets of the spec, or by the annotations."""
    if len(spec.targets) > 1:
        names = ", ".join(target.metric for target in spec.targets)
        raise errors.ConfigurationError(f"The targets are {names}.", remedy="The strategy kpa takes one of them.")
    text = METRIC.text(spec.annotations)
    target = spec.targets[0] if spec.targets else MetricTarget(metric=text or "concurrency")
    if target.kind is not TargetKind.AVERAGE_VALUE:
        raise errors.ConfigurationError(
            f"The target for {target.metric} is of the kind {target.kind}.",
            remedy="The strategy kpa takes AverageValue.",
        )
    if text is not None and text != target.metric:
        raise errors.ConfigurationError(
            f"{METRIC.name} is {text!r}, and the target is for {target.metric!r}.", remedy="Remove the annotation."
        )
    if target.metric not in _TOTALS:
        place = METRIC.name if text is not None else "The metric"
        raise errors.ConfigurationError(f"{place} is {target.metric!r}.", remedy="Give concurrency or rps.")
    value = TARGET.number(spec.annotations, math.nan)
    if math.isnan(value):
        if target.value is not None and not _LEAST_TARGET <= target.value < math.inf:
            raise errors.ConfigurationError(
                f"The target for {target.metric} is {target.value!r}.", remedy=f"Give at least {_LEAST_TARGET:g}."
            )
        return target
    if target.value not in {None, value}:
        raise errors.ConfigurationError(
            f"{TARGET.name} is {value:g}, and the target for {target.metric} is {target.value:g}.",
            remedy="Remove the annotation.",
        )
    return dataclasses.replace(target, value=value)


def _choice(annotation: Annotation, said: Mapping[str, str], choices: Mapping[str, bool], default: str) -> bool:
    text = annotation.text(said)
    if text is None:
        return choices[default]
    if text not in choices:
        raise errors.ConfigurationError(f"{annotation.name} is {text!r}.", remedy=f"Give one of {', '.join(choices)}.")
    return choices[text]
