"""The autoscaler contract: a strategy decides how many replicas a component should have.

A decision is a pure function of the component's settings, the metrics of a window, and the time: the clock and the
measurements are arguments, so that the same strategy runs on a laptop, in a cluster and in a simulator.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = [
    "Autoscaler",
    "AutoscalerMode",
    "AutoscalerSpec",
    "Decision",
    "Manifest",
    "MetricsWindow",
    "Sample",
    "ScalingSpec",
]

Manifest: TypeAlias = "Mapping[str, Any]"
"""A Kubernetes object, as it would be written in YAML."""


class AutoscalerMode(enum.StrEnum):
    """How a strategy acts."""

    DECIDES = "decides"
    """In process: `Autoscaler.decide` is called at every tick."""
    DELEGATES = "delegates"
    """By a cluster object that `Autoscaler.manifests` describes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerSpec:
    """Everything that the core needs to know of a strategy without importing it.

    Attributes:
        name: the strategy's name, equal to the entry point's.
        factory: ``"module:Class"`` of its `Autoscaler`.
        modes: how it acts; a strategy may do both.
        metrics: the metrics that it wants in its window, for example ``concurrency``, ``rps``.
    """

    name: str
    factory: str
    modes: frozenset[AutoscalerMode]
    metrics: tuple[str, ...] = ("concurrency",)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSpec:
    """What the user asked for, for one component.

    Attributes:
        min_replicas: never fewer; 0 allows to scale to zero.
        max_replicas: never more; None for no bound.
        metric: the metric that is held at `target`.
        target: how much of the metric one replica should carry.
        annotations: settings of the strategy's own, by annotation name.
    """

    min_replicas: int = 1
    max_replicas: int | None = None
    metric: str = "concurrency"
    target: float = 1.0
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One measurement, summed over all replicas of a component.

    Attributes:
        at: when, in seconds of the clock that `Autoscaler.decide` gets as ``now``.
        value: how much.
    """

    at: float
    value: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricsWindow:
    """What was measured of one component up to now.

    Attributes:
        samples: measurements by metric, oldest first.
        ready_replicas: replicas that can answer.
        desired_replicas: what the last decision asked for.
    """

    samples: Mapping[str, Sequence[Sample]]
    ready_replicas: int
    desired_replicas: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas a component should have, and why.

    Attributes:
        replicas: how many; None to leave things as they are, for example without data.
        reason: one sentence for the component's status.
    """

    replicas: int | None
    reason: str


class Autoscaler(abc.ABC):
    """A strategy; one instance serves one component and may remember what it saw."""

    @abc.abstractmethod
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        """Decide; asks no clock and no network.

        Args:
            spec: what the user asked for.
            window: what was measured.
            now: the time in seconds, never smaller than at the call before.
        """

    def manifests(self, spec: ScalingSpec, target: Manifest) -> Sequence[Manifest]:
        """The cluster objects that scale ``target`` in this strategy's stead; only for `AutoscalerMode.DELEGATES`.

        Args:
            spec: what the user asked for.
            target: the workload to be scaled: apiVersion, kind and metadata.
        """
        raise NotImplementedError(f"{type(self).__name__} does not delegate")
