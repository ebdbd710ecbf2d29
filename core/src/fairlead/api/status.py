"""The status of the kinds: conditions, addresses, components, and what became of the model."""

from typing import Literal

from fairlead.api import base, values

__all__ = [
    "Address",
    "CanaryStatus",
    "ComponentStatus",
    "Condition",
    "FailureInfo",
    "InferenceServiceStatus",
    "ModelCopies",
    "ModelStates",
    "ModelStatus",
    "ResourceStatus",
    "Traffic",
]

ModelState = Literal["", "Pending", "Standby", "Loading", "Loaded", "FailedToLoad"]
"""Where a model is in its life."""


class Condition(base.StatusPart):
    """One thing that holds, does not hold, or is not known."""

    type: str
    """What it is about, such as ``Ready``."""
    status: str
    """``True``, ``False`` or ``Unknown``."""
    severity: str | None = None
    """How bad it is when it does not hold; an error when it is not set."""
    last_transition_time: str | None = None
    """When the status last changed."""
    reason: str | None = None
    """Why, in one word."""
    message: str | None = None
    """Why, in a sentence."""


class Address(base.StatusPart):
    """An address within the cluster."""

    url: str | None = None
    """The URL."""


class Traffic(base.StatusPart):
    """The part of the traffic that a revision gets."""

    revision_name: str | None = None
    """The revision."""
    configuration_name: str | None = None
    """The configuration whose latest revision is meant."""
    latest_revision: values.Flag | None = None
    """Whether the latest revision is meant, whichever it is."""
    percent: values.Int64 | None = None
    """Percent of the traffic."""
    tag: str | None = None
    """The name of a URL for this revision alone."""
    url: str | None = None
    """That URL."""


class ComponentStatus(base.StatusPart):
    """What is there of a component."""

    latest_ready_revision: str | None = None
    """The latest revision that is ready."""
    latest_created_revision: str | None = None
    """The latest revision."""
    previous_rolledout_revision: str | None = None
    """The revision that had all traffic before the one that has it now."""
    latest_rolledout_revision: str | None = None
    """The revision that last had all traffic."""
    traffic: list[Traffic] | None = None
    """How the traffic is split."""
    url: str | None = None
    """Where the component is asked."""
    rest_url: str | None = None
    """Where it is asked over REST."""
    grpc_url: str | None = None
    """Where it is asked over gRPC."""
    address: Address | None = None
    """Where it is asked within the cluster."""


class ModelStates(base.StatusPart):
    """Where the model is in its life."""

    active_model_state: ModelState = "Pending"
    """The state of what answers."""
    target_model_state: ModelState = ""
    """The state of what is to answer."""


class FailureInfo(base.StatusPart):
    """Why a model does not load."""

    location: str | None = None
    """The place, such as the name of a pod."""
    reason: (
        Literal[
            "ModelLoadFailed",
            "RuntimeUnhealthy",
            "RuntimeDisabled",
            "NoSupportingRuntime",
            "RuntimeNotRecognized",
            "InvalidPredictorSpec",
        ]
        | None
    ) = None
    """Why, in one word."""
    message: str | None = None
    """Why, in a sentence."""
    model_revision_name: str | None = None
    """The revision that does not load."""
    time: str | None = None
    """When it failed."""
    exit_code: values.Int32 | None = None
    """How the container ended."""


class ModelCopies(base.StatusPart):
    """How many copies of the model there are."""

    failed_copies: values.Int64 = 0
    """Those that do not load."""
    total_copies: values.Int64 | None = None
    """Those that answer."""


class ModelStatus(base.StatusPart):
    """What became of the model."""

    transition_status: Literal["", "UpToDate", "InProgress", "BlockedByFailedLoad", "InvalidSpec"] = "UpToDate"
    """Whether what answers is what the spec asks for."""
    states: ModelStates | None = None
    """Where the model is in its life."""
    last_failure_info: FailureInfo | None = None
    """Why it does not load."""
    copies: ModelCopies | None = None
    """How many copies there are."""


class CanaryStatus(base.StatusPart):
    """What is there of a canary."""

    name: str | None = None
    """The name of its predictor."""
    ready: values.Flag | None = None
    """Whether it answers."""
    traffic_percent: values.Int32 | None = None
    """Percent of the traffic that it gets."""
    model_status: ModelStatus | None = None
    """What became of its model."""


class ResourceStatus(base.StatusPart):
    """What is there."""

    conditions: list[Condition] | None = None
    """What holds, what does not, and why."""
    observed_generation: values.Int64 | None = None
    """The generation of the spec that this is about."""
    annotations: values.Texts | None = None
    """More, for other controllers."""
    url: str | None = None
    """Where it is asked."""
    address: Address | None = None
    """Where it is asked within the cluster."""
    deployment_mode: str | None = None
    """``Knative``, ``Standard`` or ``ModelMesh``."""


class InferenceServiceStatus(ResourceStatus):
    """What is there of an InferenceService."""

    components: dict[str, ComponentStatus] | None = None
    """What is there of predictor, transformer and explainer."""
    model_status: ModelStatus | None = None
    """What became of the model."""
    canary_statuses: list[CanaryStatus] | None = None
    """What is there of each canary."""
    serving_runtime_name: str | None = None
    """The ServingRuntime that serves the model."""
    cluster_serving_runtime_name: str | None = None
    """The ClusterServingRuntime that serves the model."""
