"""``autoScaling``: the metrics of a component, beyond the one that ``scaleMetric`` names."""

from typing import Literal

from fairlead.api import base, values

__all__ = ["AutoScalingSpec", "MetricTarget", "MetricsSpec"]


class MetricTarget(base.Part):
    """What a metric is held at."""

    type: values.TargetType | None = None
    """How the target is meant; the field that it names has to be set."""
    value: values.Quantity | None = None
    """The amount as a whole."""
    average_value: values.Quantity | None = None
    """The amount for each replica."""
    average_utilization: values.Int32 | None = None
    """Percent of what the containers request, for each replica."""


class ResourceMetric(base.Part):
    """The use of CPU or memory."""

    name: Literal["cpu", "memory"] | None = None
    """The resource."""
    target: MetricTarget | None = None
    """What it is held at."""


class ExternalMetricSource(base.Part):
    """A series outside the cluster's metrics."""

    backend: Literal["prometheus", "graphite"] | None = None
    """What kind of system is asked."""
    server_address: str | None = None
    """Its URL."""
    query: str | None = None
    """The question, in its language."""
    namespace: str | None = None
    """The namespace of the question, where the system has such."""


class AuthenticationName(base.Part):
    """The object that holds credentials."""

    name: str | None = None
    """Its name."""


class AuthenticationRef(base.Part):
    """How the system of an external metric is signed in to."""

    auth_modes: str | None = None
    """The ways to sign in, separated by commas."""
    authentication_ref: AuthenticationName | None = None
    """The object that holds the credentials."""


class ExternalMetric(base.Part):
    """A metric that another system answers."""

    metric: ExternalMetricSource | None = None
    """The series."""
    authentication_ref: AuthenticationRef | None = None
    """How to sign in."""
    target: MetricTarget | None = None
    """What it is held at."""


class PodMetricSource(base.Part):
    """A series that the pods report."""

    backend: Literal["opentelemetry"] | None = None
    """What collects it."""
    server_address: str | None = None
    """Its address."""
    metric_names: list[str] | None = None
    """The metrics that are collected."""
    query: str | None = None
    """The question over them."""
    operation_over_time: str | None = None
    """How values of a period become one: last_one, avg, max, min, rate or count."""


class PodMetric(base.Part):
    """A metric that the pods report."""

    metric: PodMetricSource | None = None
    """The series."""
    target: MetricTarget | None = None
    """What it is held at."""


class MetricsSpec(base.Part):
    """One metric: its type, and the field that the type names."""

    type: Literal["Resource", "External", "PodMetric"] | None = None
    """Which of the fields below holds."""
    resource: ResourceMetric | None = None
    """The use of CPU or memory."""
    external: ExternalMetric | None = None
    """A metric that another system answers."""
    podmetric: PodMetric | None = None
    """A metric that the pods report."""


class AutoScalingSpec(base.Part):
    """Several metrics at once, and how fast to follow them."""

    metrics: list[MetricsSpec] | None = None
    """The metrics; the one that asks for most replicas wins."""
    behavior: values.Plain | None = None
    """How fast to scale (``autoscaling/v2`` HorizontalPodAutoscalerBehavior)."""
