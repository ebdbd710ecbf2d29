"""TrainedModel ``v1alpha1``: a model that is loaded into an InferenceService which serves several."""

from typing import Literal

from fairlead.api import base, values
from fairlead.api.status import ResourceStatus

__all__ = ["TrainedModel", "TrainedModelArtifact", "TrainedModelSpec"]


class TrainedModelArtifact(base.Part):
    """The model."""

    storage_uri: str
    """Where it comes from."""
    framework: str
    """Its format."""
    memory: values.Quantity
    """The memory that it takes."""


class TrainedModelSpec(base.Part):
    """A model, and what serves it."""

    inference_service: str
    """The InferenceService that loads it."""
    model: TrainedModelArtifact
    """The model."""


class TrainedModel(base.Resource):
    """A model that is loaded into an InferenceService which serves several."""

    api_version: Literal["serving.kserve.io/v1alpha1"] = "serving.kserve.io/v1alpha1"
    kind: Literal["TrainedModel"] = "TrainedModel"
    spec: TrainedModelSpec
    """A model, and what serves it."""
    status: ResourceStatus | None = None
    """What is there; written by the platform."""
