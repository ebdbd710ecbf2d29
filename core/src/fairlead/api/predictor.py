"""The predictor: a model in a runtime, a framework by its short name, or containers of one's own."""

from typing import Annotated, Final

from pydantic import Field

from fairlead.api import base, component, pod, values

__all__ = [
    "FRAMEWORKS",
    "ConfidentialSpec",
    "ModelFormat",
    "ModelSpec",
    "ModelStorage",
    "PredictorExtension",
    "PredictorSpec",
    "WorkerSpec",
]

Revision = Annotated[str, Field(pattern="^[a-z]([-a-z0-9]*[a-z0-9])?$")]
"""The name of a predictor; part of the names of its objects."""


class ModelStorage(base.Part):
    """Where a model is, by an entry of the storage secret."""

    path: str | None = None
    """The place within the storage."""
    schema_path: str | None = None
    """The place of the model's schema within the storage."""
    parameters: values.Texts | None = None
    """What overrides the entry of the storage secret, such as ``bucket``."""
    key: str | None = None
    """The entry of the storage secret."""


class ConfidentialSpec(base.Part):
    """Decryption of the model."""

    enabled: values.Flag
    """Whether the model is decrypted."""
    resource_id: str | None = None
    """The key: ``kbs:///<repository>/<type>/<tag>``."""


class PredictorExtension(pod.ContainerFields):
    """A model, and what is set in the container of its runtime."""

    storage_uri: str | None = None
    """Where the model comes from."""
    runtime_version: str | None = None
    """The tag of the runtime's image."""
    protocol_version: str | None = None
    """The protocol that the model is asked in: v1, v2, grpc-v1 or grpc-v2."""
    storage: ModelStorage | None = None
    """Where the model comes from, by an entry of the storage secret."""
    confidential: ConfidentialSpec | None = None
    """Decryption of the model."""


class ModelFormat(base.Part):
    """What the artefact is."""

    name: str
    """The format, such as ``sklearn`` or ``onnx``."""
    version: str | None = None
    """The version of the format; a runtime has to name it too."""


class ModelSpec(PredictorExtension):
    """A model, and the runtime that serves it."""

    model_format: ModelFormat | None = None
    """What the artefact is; runtimes are chosen by it."""
    runtime: str | None = None
    """The runtime, by its name, in place of one that is chosen."""


class WorkerSpec(pod.PodFields):
    """The pods beside the first, where one replica is several nodes."""

    pipeline_parallel_size: values.Int64 | None = None
    """How many nodes share the layers of the model."""
    tensor_parallel_size: values.Int64 | None = None
    """How many devices share each layer."""


class PredictorSpec(pod.PodFields, component.ComponentFields):
    """What answers predictions."""

    name: Revision | None = None
    """The name of this version of the predictor; a canary is promoted by it."""
    model: ModelSpec | None = None
    """A model, and the runtime that serves it."""
    sklearn: PredictorExtension | None = None
    """Short for ``model`` with the format sklearn."""
    xgboost: PredictorExtension | None = None
    """Short for ``model`` with the format xgboost."""
    tensorflow: PredictorExtension | None = None
    """Short for ``model`` with the format tensorflow."""
    pytorch: PredictorExtension | None = None
    """Short for ``model`` with the format pytorch."""
    triton: PredictorExtension | None = None
    """Short for ``model`` with the format triton."""
    onnx: PredictorExtension | None = None
    """Short for ``model`` with the format onnx."""
    huggingface: PredictorExtension | None = None
    """Short for ``model`` with the format huggingface."""
    pmml: PredictorExtension | None = None
    """Short for ``model`` with the format pmml."""
    lightgbm: PredictorExtension | None = None
    """Short for ``model`` with the format lightgbm."""
    paddle: PredictorExtension | None = None
    """Short for ``model`` with the format paddle."""
    worker_spec: WorkerSpec | None = None
    """The pods beside the first, where one replica is several nodes."""
    storage_container_name: str | None = None
    """The ClusterStorageContainer that fetches the model, in place of one that is chosen."""


FRAMEWORKS: Final = tuple(
    name for name, field in PredictorSpec.model_fields.items() if field.annotation == PredictorExtension | None
)
"""The frameworks that have a field of their own, which is short for ``model`` with this format."""
