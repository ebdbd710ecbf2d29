"""The autoscaler contract: a strategy decides how many replicas a component should have.

A decision is a pure function of the component's settings, of what was measured, of what the strategy noted at its last
decision, and of the time. All of them are arguments and the note is part of the result, so that the same strategy runs
on a laptop, in a cluster and in a simulator, and a recorded run can be replayed from any decision on::

    decision = strategy.decide(spec, MetricsWindow(samples=new, memory=decision.memory, ...), now)

Times are seconds of Unix time and lengths of time are seconds, unless a docstring says otherwise.
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
    "MetricTarget",
    "MetricsWindow",
    "ObjectKind",
    "Replica",
    "ReplicaPhase",
    "Sample",
    "ScalingSpec",
    "TargetKind",
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
class ObjectKind:
    """A kind of objects of a cluster, which are in namespaces.

    Attributes:
        api_version: its group and version, such as ``keda.sh/v1alpha1``.
        kind: its name, such as ``ScaledObject``.
        plural: its name in paths, such as ``scaledobjects``.
    """

    api_version: str
    kind: str
    plural: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerSpec:
    """Everything that the core needs to know of a strategy without importing it.

    Attributes:
        name: the strategy's name, equal to the entry point's.
        factory: ``"module:Class"`` of its `Autoscaler`.
        modes: how it acts; a strategy may do both.
        metrics: the metrics that it wants in its window, for example ``concurrency``, ``rps``.
        interval: seconds between two decisions.
        kinds: every kind that `Autoscaler.manifests` makes objects of. The operator watches these, and deletes what is
            not wanted any more.
    """

    name: str
    factory: str
    modes: frozenset[AutoscalerMode]
    metrics: tuple[str, ...] = ("concurrency",)
    interval: float = 2.0
    kinds: tuple[ObjectKind, ...] = ()


# -- what the user asked for ----------------------------------------------------------------------------


class TargetKind(enum.StrEnum):
    """What the value of a `MetricTarget` is compared with."""

    AVERAGE_VALUE = "AverageValue"
    """The metric, divided by the number of replicas; in the metric's own unit."""
    UTILIZATION = "Utilization"
    """The metric, divided by what the replicas requested of the resource; in percent."""
    VALUE = "Value"
    """The metric as it is, however many replicas there are; in the metric's own unit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricTarget:
    """A metric that is held at a value.

    Attributes:
        metric: its name. ``concurrency`` counts requests in flight, ``rps`` requests per second, ``cpu`` cores and
            ``memory`` bytes; others are measured by whoever defines them.
        value: what to hold it at, in the unit that `kind` says; None for the strategy's default.
        kind: what `value` is compared with.
    """

    metric: str
    value: float | None = None
    kind: TargetKind = TargetKind.AVERAGE_VALUE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSpec:
    """What the user asked for, for one component.

    A strategy that cannot do what a field asks for raises `fairlead.errors.ConfigurationError`; it never ignores it.

    Attributes:
        min_replicas: never fewer; 0 allows to scale to zero.
        max_replicas: never more; None for no bound.
        targets: what is held where; none of them for the strategy's default.
        container_concurrency: how many requests one replica takes at once; 0 for no limit.
        annotations: settings of the strategy's own, by annotation name; those of others are among them.
        behavior: how fast to scale, in the form of HorizontalPodAutoscaler's ``spec.behavior``; empty for the
            strategy's default.
        metrics: ``autoScaling.metrics`` as it is declared, for strategies that delegate: plain data with the API's
            names, and amounts as they were written. Where there are any, `targets` has one for each, in this order.
        platform: what the platform's configuration says to strategies that delegate: the keys ``autoscaler`` and
            ``opentelemetryCollector`` of ``inferenceservice-config``, with the fields that they have there; empty
            where there is no such configuration.
    """

    min_replicas: int = 1
    max_replicas: int | None = None
    targets: tuple[MetricTarget, ...] = ()
    container_concurrency: int = 0
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    behavior: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    platform: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# -- what was measured ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        at: the moment that it describes, in seconds of the clock that `Autoscaler.decide` gets as ``now``.
        value: how much, in the metric's own unit; a finite number.
        span: seconds before `at` that `value` is the average of; 0 for a momentary value.
    """

    at: float
    value: float
    span: float = 0.0


class ReplicaPhase(enum.StrEnum):
    """Where a replica is in its life."""

    PENDING = "pending"
    """It is wanted, and its process does not run yet."""
    RUNNING = "running"
    """Its process runs; whether it can answer, `Replica.ready` says."""
    STOPPING = "stopping"
    """It was told to end, and gets no new requests."""
    FAILED = "failed"
    """It ended by itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica, as it is now.

    Attributes:
        name: what tells it from the others, also from those before it.
        phase: where it is in its life.
        ready: whether it can answer.
        started_at: when its process started; None while it is pending.
        ready_changed_at: when `ready` last became what it is; None when it never changed.
        metrics: its latest measurement, by metric; a metric is missing where none was got.
        requests: what it requested of each resource: ``cpu`` in cores, ``memory`` in bytes.
    """

    name: str
    phase: ReplicaPhase = ReplicaPhase.RUNNING
    ready: bool = True
    started_at: float | None = None
    ready_changed_at: float | None = None
    metrics: Mapping[str, Sample] = dataclasses.field(default_factory=dict)
    requests: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricsWindow:
    """What is known of one component when a decision is due.

    Attributes:
        samples: measurements of the whole component by metric, summed over its replicas: those that came since the
            decision before, each once and in the order in which they came. What a strategy needs of older ones, it
            keeps in its memory; `fairlead.autoscaling` has averages for that.
        ready_replicas: replicas that can answer; None when they could not be counted.
        desired_replicas: how many replicas the component is told to have at present.
        replicas: the replicas one by one, for strategies that look at each; empty where nobody knows them.
        reachable: whether requests of clients are routed to the component. One that is not may end.
        measured: whether there are addresses to ask for measurements. If there are none, silence says that nothing
            happens; otherwise it says that measurements are lost.
        activator_since: since when every request has come through the activator, which has been seen to answer for
            the component; None while requests go to the replicas directly.
        memory: the ``memory`` of the decision before, whatever became of its ``replicas``; None at the first.
    """

    samples: Mapping[str, Sequence[Sample]]
    ready_replicas: int | None
    desired_replicas: int
    replicas: Sequence[Replica] = ()
    reachable: bool = True
    measured: bool = True
    activator_since: float | None = None
    memory: object = None


# -- what is decided ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many replicas a component should have, and why.

    Attributes:
        replicas: how many, within the bounds of the spec; None to leave things as they are, for example without data.
        reason: a sentence for the component's status.
        recommended: how many the metrics call for, before bounds and the rules of scaling to zero; None as above.
        excess_burst_capacity: how many more requests at once the ready replicas could take than they have and than
            the burst that is to be absorbed, in units of the metric; negative when they could not. -1 and 0 may also
            stand for always and never. None where the strategy does not compute it.
        through_activator: whether requests should come through the activator, which holds them while too few replicas
            can answer; None to leave that to the platform, which does so at zero replicas.
        figures: what the decision was made from, by name, for metrics and for people.
        memory: what the strategy wants to know at its next decision: an immutable value of a type of its own. It lives
            as long as the process that decides.
    """

    replicas: int | None
    reason: str
    recommended: int | None = None
    excess_burst_capacity: int | None = None
    through_activator: bool | None = None
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    memory: object = None


class Autoscaler(abc.ABC):
    """A strategy; it remembers nothing itself, so that one instance may serve many components."""

    @abc.abstractmethod
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        """Decide; the same arguments always give the same decision, and no clock and no network is asked.

        It is called as soon as the component is known, then every `AutoscalerSpec.interval` seconds, and at once when
        requests come for a component without replicas. A strategy may take its first call, the one without a memory,
        as its start and decide nothing.

        Args:
            spec: what the user asked for; it may change from call to call.
            window: what was measured. A ``memory`` of a type that the strategy does not know, which another strategy
                left, counts as none.
            now: the time, never smaller than at the call before.

        Raises:
            ConfigurationError: the spec asks for something that this strategy does not take.
        """

    def manifests(self, spec: ScalingSpec, target: Manifest) -> Sequence[Manifest]:
        """The cluster objects that scale ``target`` in this strategy's stead; only for `AutoscalerMode.DELEGATES`.

        Each is of one of `AutoscalerSpec.kinds`. One of them names the target in ``spec.scaleTargetRef``, and is named
        as it is. The platform writes namespace, owner, and the labels and annotations of the component itself, to which
        a strategy may add. The same arguments always give the same objects.

        Args:
            spec: what the user asked for.
            target: the workload to be scaled: apiVersion, kind and metadata, with the component's annotations.

        Raises:
            ConfigurationError: the spec asks for something that this strategy does not take.
        """
        raise NotImplementedError(f"{type(self).__name__} does not delegate")
