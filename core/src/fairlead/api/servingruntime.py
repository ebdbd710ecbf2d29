"""ServingRuntime and ClusterServingRuntime ``v1alpha1``: how models of a format are served."""

from typing import Annotated, Literal

from pydantic import Field, Strict, WithJsonSchema

from fairlead.api import base, values

__all__ = [
    "BuiltInAdapter",
    "ClusterServingRuntime",
    "RuntimePodFields",
    "RuntimeWorkerSpec",
    "ServingRuntime",
    "ServingRuntimeSpec",
    "StorageHelper",
    "SupportedModelFormat",
]

Priority = Annotated[
    int,
    Strict(),
    Field(ge=1, le=2**31 - 1),
    WithJsonSchema({"type": "integer", "format": "int32", "minimum": 1}),
]
"""A whole number of at least 1; the larger wins."""


class SupportedModelFormat(base.Part):
    """A format that the runtime serves."""

    name: str
    """The format."""
    version: str | None = None
    """The version of the format; any, when it is not set."""
    auto_select: values.Flag | None = None
    """Whether the runtime may be chosen for models that name none."""
    priority: Priority | None = None
    """Which of several runtimes is chosen: the one with the larger number."""


class StorageHelper(base.Part):
    """ModelMesh: the helper that fetches models."""

    disabled: values.Flag | None = None
    """Whether there is none."""


class BuiltInAdapter(base.Part):
    """ModelMesh: the adapter between it and the server."""

    server_type: str | None = None
    """The server."""
    runtime_management_port: values.Int32 | None = None
    """The port that models are loaded by."""
    mem_buffer_bytes: values.Int64 | None = None
    """Bytes that are left free."""
    model_loading_timeout_millis: values.Int64 | None = None
    """The milliseconds within which a model loads."""
    env: list[values.Plain] | None = None
    """The environment of the adapter."""


class RuntimePodFields(base.Part):
    """The parts of a pod that a runtime sets."""

    containers: list[values.Plain]
    """The containers; ``kserve-container`` serves the model."""
    volumes: list[values.Plain] | None = None
    """Volumes of the pod."""
    node_selector: values.Texts | None = None
    """Labels of the nodes that the pod may run on."""
    affinity: values.Plain | None = None
    """Where the pod runs."""
    tolerations: list[values.Plain] | None = None
    """The taints that the pod tolerates."""
    labels: values.Texts | None = None
    """Labels of the pod."""
    annotations: values.Texts | None = None
    """Annotations of the pod."""
    image_pull_secrets: list[values.Plain] | None = None
    """The secrets that images are pulled with."""
    host_ipc: values.Flag | None = None
    """Whether the pod uses the host's namespace for shared memory."""
    scheduler_name: str | None = None
    """What places the pod."""
    resource_claims: list[values.Plain] | None = None
    """The devices that the pod claims."""


class RuntimeWorkerSpec(RuntimePodFields):
    """The pods beside the first, where one replica is several nodes."""

    pipeline_parallel_size: values.Int64 | None = None
    """How many nodes share the layers of the model."""
    tensor_parallel_size: values.Int64 | None = None
    """How many devices share each layer."""


class ServingRuntimeSpec(RuntimePodFields):
    """How models are served."""

    supported_model_formats: list[SupportedModelFormat] | None = None
    """The formats that it serves."""
    multi_model: values.Flag | None = None
    """Whether it is a runtime of ModelMesh, with many models in one pod."""
    disabled: values.Flag | None = None
    """Whether it is not to be used."""
    protocol_versions: list[str] | None = None
    """The protocols that it is asked in: v1, v2, grpc-v1, grpc-v2; all, when none is listed."""
    worker_spec: RuntimeWorkerSpec | None = None
    """The pods beside the first, where one replica is several nodes."""
    grpc_endpoint: str | None = None
    """ModelMesh: where models are loaded."""
    grpc_data_endpoint: str | None = None
    """ModelMesh: where models are asked over gRPC."""
    http_data_endpoint: str | None = None
    """ModelMesh: where models are asked over REST."""
    replicas: values.Int32 | None = None
    """ModelMesh: the number of pods."""
    storage_helper: StorageHelper | None = None
    """ModelMesh: the helper that fetches models."""
    built_in_adapter: BuiltInAdapter | None = None
    """ModelMesh: the adapter between it and the server."""


class ServingRuntime(base.Resource):
    """How models of a format are served, in one namespace."""

    api_version: Literal["serving.kserve.io/v1alpha1"] = "serving.kserve.io/v1alpha1"
    kind: Literal["ServingRuntime"] = "ServingRuntime"
    spec: ServingRuntimeSpec
    """How models are served."""
    status: values.Plain | None = None
    """Nothing is written here."""


class ClusterServingRuntime(base.Resource):
    """How models of a format are served, in all namespaces."""

    api_version: Literal["serving.kserve.io/v1alpha1"] = "serving.kserve.io/v1alpha1"
    kind: Literal["ClusterServingRuntime"] = "ClusterServingRuntime"
    spec: ServingRuntimeSpec
    """How models are served."""
    status: values.Plain | None = None
    """Nothing is written here."""
