"""InferenceService ``v1beta1``: a predictor, and optionally a transformer, an explainer and canaries."""

from typing import Literal

from pydantic import Field

from fairlead.api import base, component, pod, values
from fairlead.api.predictor import ModelStorage, PredictorSpec
from fairlead.api.status import InferenceServiceStatus

__all__ = ["ArtExplainer", "Canary", "ExplainerSpec", "InferenceService", "InferenceServiceSpec", "TransformerSpec"]


class TransformerSpec(pod.PodFields, component.ComponentFields):
    """What changes requests before the predictor, and answers after it."""


class ArtExplainer(pod.ContainerFields):
    """An explainer of the Adversarial Robustness Toolbox."""

    type: str | None = None
    """The attack; ``SquareAttack``."""
    storage_uri: str | None = None
    """Where the explainer comes from."""
    runtime_version: str | None = None
    """The tag of the image."""
    config: values.Texts | None = None
    """Options of the explainer."""
    storage: ModelStorage | None = None
    """Where the explainer comes from, by an entry of the storage secret."""


class ExplainerSpec(pod.PodFields, component.ComponentFields):
    """What explains predictions."""

    art: ArtExplainer | None = None
    """An explainer of the Adversarial Robustness Toolbox."""


class Canary(base.Part):
    """Another predictor that gets a part of the traffic."""

    predictor: PredictorSpec
    """What differs from the stable predictor."""
    traffic_percent: values.Percent
    """Percent of the traffic that it gets."""


class InferenceServiceSpec(base.Part):
    """What is to be served, and how."""

    predictor: PredictorSpec
    """What answers predictions."""
    transformer: TransformerSpec | None = None
    """What changes requests before the predictor, and answers after it."""
    explainer: ExplainerSpec | None = None
    """What explains predictions."""
    canary: list[Canary] | None = Field(default=None, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    """Other predictors that get a part of the traffic."""


class InferenceService(base.Resource):
    """A model that is served."""

    api_version: Literal["serving.kserve.io/v1beta1"] = "serving.kserve.io/v1beta1"
    kind: Literal["InferenceService"] = "InferenceService"
    spec: InferenceServiceSpec
    """What is to be served, and how."""
    status: InferenceServiceStatus | None = None
    """What is there; written by the platform."""
