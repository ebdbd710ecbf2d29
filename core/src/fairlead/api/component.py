"""What predictor, transformer and explainer have in common: scaling, timeouts, logging, batching, storage."""

from typing import Annotated, Literal

from pydantic import Field

from fairlead.api import base, scaling, values

__all__ = ["Batcher", "ComponentFields", "LoggerSpec", "LoggerStorage", "StorageUri"]


class LoggerStorage(base.Part):
    """Where logged payloads are stored."""

    path: str | None = None
    """The place within the storage."""
    parameters: values.Texts | None = None
    """What overrides the entry of the storage secret."""
    key: str | None = None
    """The entry of the storage secret."""
    service_account_name: str | None = None
    """The service account that has the credentials."""


class LoggerSpec(base.Part):
    """Logging of payloads."""

    url: str | None = None
    """Where the events are sent."""
    mode: Literal["all", "request", "response"] | None = None
    """What is logged."""
    metadata_headers: list[str] | None = None
    """The request headers that are logged as well."""
    metadata_annotations: list[str] | None = None
    """The annotations that are logged as well."""
    storage: LoggerStorage | None = None
    """Where the payloads are stored, in place of being sent."""
    marshaller_url: str | None = None
    """The service that turns payloads into files."""
    batch_size: values.Int32 | None = None
    """How many payloads become one file."""
    batch_interval: str | None = None
    """How long payloads wait for a file to fill."""


class Batcher(base.Part):
    """Batching of requests."""

    max_batch_size: values.Int32 | None = None
    """The most instances that are sent at once."""
    max_latency: values.Int32 | None = None
    """The longest wait for a batch to fill, in milliseconds."""
    timeout: values.Int32 | None = None
    """The longest wait for an answer."""


class StorageUri(base.Part):
    """One of several artefacts, and where it is placed."""

    uri: values.NonEmpty
    """Where it comes from."""
    mount_path: Annotated[str, Field(max_length=255, pattern="^/.*")] = "/mnt/models"
    """The folder that it is placed in."""


class ComponentFields(base.Part):
    """The fields that every component has."""

    min_replicas: values.Int32 | None = None
    """The fewest replicas; 0 allows scaling to zero. 1 when it is not set."""
    max_replicas: values.Int32 | None = None
    """The most replicas; 0 sets no bound."""
    scale_target: values.Int32 | None = None
    """What ``scaleMetric`` is held at."""
    scale_metric: values.ScaleMetric | None = None
    """What is scaled by."""
    scale_metric_type: values.TargetType | None = None
    """How ``scaleTarget`` is meant."""
    auto_scaling: scaling.AutoScalingSpec | None = None
    """Several metrics to scale by."""
    container_concurrency: values.Int64 | None = None
    """The most requests that a replica answers at the same time."""
    timeout: values.Int64 | None = None
    """The seconds within which a request is answered."""
    canary_traffic_percent: values.Int64 | None = None
    """Percent of the traffic that the latest revision gets; the rest goes to the one that was rolled out before it."""
    logger: LoggerSpec | None = None
    """Logging of payloads."""
    batcher: Batcher | None = None
    """Batching of requests."""
    labels: values.Texts | None = None
    """Labels of the objects that are made for this component."""
    annotations: values.Texts | None = None
    """Annotations of the objects that are made for this component."""
    deployment_strategy: values.Plain | None = None
    """How replicas are replaced (``apps/v1`` DeploymentStrategy)."""
    storage_uris: Annotated[list[StorageUri], Field(min_length=1)] | None = Field(
        default=None, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Several artefacts, each with a folder of its own."""
