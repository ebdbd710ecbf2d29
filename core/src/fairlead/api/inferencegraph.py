"""InferenceGraph ``v1alpha1``: several services that answer one request."""

from typing import Literal

from fairlead.api import base, values
from fairlead.api.status import ResourceStatus

__all__ = ["InferenceGraph", "InferenceGraphSpec", "InferenceRouter", "InferenceStep", "RouterTimeouts"]


class InferenceStep(base.Part):
    """A service or another node that is asked."""

    name: str | None = None
    """The name of the step within its node."""
    node_name: str | None = None
    """The node that is asked."""
    service_name: str | None = None
    """The InferenceService that is asked."""
    service_url: str | None = None
    """The URL that is asked."""
    data: str | None = None
    """What is sent: ``$request``, or ``$response`` of the step before."""
    map_predictions_to_instances: values.Flag | None = None
    """Whether the predictions of the step before are sent as instances."""
    weight: values.Int64 | None = None
    """Splitter: percent of the requests."""
    condition: str | None = None
    """When the step is taken: a path in the syntax of GJSON that exists in the data."""
    dependency: Literal["Soft", "Hard"] | None = None
    """Whether a failure of this step ends the node."""


class InferenceRouter(base.Part):
    """A node: steps, and how they are taken."""

    router_type: Literal["Sequence", "Splitter", "Ensemble", "Switch"]
    """How the steps are taken."""
    steps: list[InferenceStep] | None = None
    """The steps."""


class RouterTimeouts(base.Part):
    """Limits of the router, in seconds."""

    server_read: values.Int64 | None = None
    """To read a request."""
    server_write: values.Int64 | None = None
    """To write an answer."""
    server_idle: values.Int64 | None = None
    """To keep a connection that is not used."""
    service_client: values.Int64 | None = None
    """To wait for a service."""


class InferenceGraphSpec(base.Part):
    """The nodes, and where the router runs."""

    nodes: dict[str, InferenceRouter]
    """The nodes by name; a request enters at ``root``."""
    resources: values.Plain | None = None
    """What the router requests, and may use."""
    affinity: values.Plain | None = None
    """Where the router runs."""
    tolerations: list[values.Plain] | None = None
    """The taints that the router tolerates."""
    node_selector: values.Texts | None = None
    """Labels of the nodes that the router may run on."""
    node_name: str | None = None
    """The node that the router runs on."""
    service_account_name: str | None = None
    """The service account of the router."""
    timeout: values.Int64 | None = None
    """The seconds within which a request is answered."""
    router_timeouts: RouterTimeouts | None = None
    """Limits of the router."""
    min_replicas: values.Int32 | None = None
    """The fewest routers."""
    max_replicas: values.Int32 | None = None
    """The most routers."""
    scale_target: values.Int32 | None = None
    """What ``scaleMetric`` is held at."""
    scale_metric: values.ScaleMetric | None = None
    """What is scaled by."""


class InferenceGraph(base.Resource):
    """Several services that answer one request."""

    api_version: Literal["serving.kserve.io/v1alpha1"] = "serving.kserve.io/v1alpha1"
    kind: Literal["InferenceGraph"] = "InferenceGraph"
    spec: InferenceGraphSpec
    """The nodes, and where the router runs."""
    status: ResourceStatus | None = None
    """What is there; written by the platform."""
