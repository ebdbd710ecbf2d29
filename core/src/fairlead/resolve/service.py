"""What an InferenceService comes to: every default filled in, its runtimes chosen, its containers merged.

The laptop runs it as processes and the cluster as Deployments; neither asks the InferenceService itself what to run.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.api.component import Batcher, LoggerSpec
    from fairlead.api.inferenceservice import InferenceService
    from fairlead.contracts.autoscaler import ScalingSpec
    from fairlead.resolve.credentials import Credentials
    from fairlead.resolve.secrets import ServiceAccount

__all__ = [
    "MODEL_PATH",
    "Candidate",
    "ComponentKind",
    "ResolvedCanary",
    "ResolvedComponent",
    "ResolvedModel",
    "ResolvedRuntime",
    "ResolvedService",
    "ResolvedWorkers",
    "Scaling",
    "Source",
]

MODEL_PATH: Final = "/mnt/models"
"""Where containers find their model, unless ``storageUris`` say otherwise."""


class ComponentKind(enum.StrEnum):
    """The components of an InferenceService."""

    PREDICTOR = "predictor"
    TRANSFORMER = "transformer"
    EXPLAINER = "explainer"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An artefact that a component needs.

    Attributes:
        uri: where it comes from.
        mount_path: the folder in which its containers find it.
        credentials: what names its credentials; None where nothing does, so that the ServiceAccount ``default`` counts
            if there is one.
    """

    uri: str
    mount_path: str = MODEL_PATH
    credentials: Credentials | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A runtime that was looked at for a model.

    Attributes:
        name: its name.
        kind: ``ServingRuntime`` or ``ClusterServingRuntime``.
        chosen: whether it serves the model.
        reason: why it was chosen, or why it was not: one sentence.
    """

    name: str
    kind: str
    chosen: bool
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRuntime:
    """The runtime that serves a model.

    Attributes:
        name: its name.
        kind: ``ServingRuntime`` or ``ClusterServingRuntime``.
        plugin: the runtime plugin that it was made from; None for one that a manifest declares.
        server_type: ``serving.kserve.io/server-type``, or what its name says; None when unknown.
    """

    name: str
    kind: str
    plugin: str | None = None
    server_type: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """The model of a predictor.

    Attributes:
        format: the name of its format.
        format_version: the version of its format, where one is given.
        protocol: the protocol that it is asked in: v1, v2, grpc-v1 or grpc-v2.
        runtime: what serves it.
        runtime_version: ``runtimeVersion``, where one is given.
        candidates: every runtime that was looked at, the best first.
    """

    format: str
    format_version: str | None
    protocol: str
    runtime: ResolvedRuntime
    runtime_version: str | None = None
    candidates: tuple[Candidate, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How the number of replicas of a component is decided.

    Attributes:
        strategy: the autoscaler plugin that decides, such as ``kpa``; None to hold ``spec.min_replicas``.
        external: somebody else scales; the platform starts ``spec.min_replicas`` and leaves the number alone.
        spec: what is asked of the strategy.
    """

    strategy: str | None
    spec: ScalingSpec
    external: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedWorkers:
    """The nodes beside the first, where one replica is several nodes.

    Attributes:
        pod: the PodSpec of each, ``worker-container`` first; what its containers request of `gpu_resource` is in it.
        nodes: how many nodes there are, the first included.
        pipeline_parallel_size: how many nodes share the layers of the model.
        tensor_parallel_size: how many devices share each layer.
        head_gpus: devices of the first node.
        worker_gpus: devices of each other node; 0 where there is none.
        gpu_resource: the resource that a device is, such as ``nvidia.com/gpu``.
    """

    pod: Mapping[str, Any]
    nodes: int
    pipeline_parallel_size: int
    tensor_parallel_size: int
    head_gpus: int
    worker_gpus: int
    gpu_resource: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedComponent:
    """A component as it is to run.

    Attributes:
        kind: which one it is.
        name: the name of its objects, such as ``iris-predictor``.
        pod: its PodSpec as plain data; containers are merged with those of the runtime and rendered, the main one
            (``kserve-container``) first. Storage is not wired in: see `sources`.
        labels: labels of its objects.
        annotations: annotations of its objects, without those that are not handed on.
        sources: the artefacts that it needs.
        scaling: how many replicas there are.
        model: what a predictor with a model serves; None for containers of one's own.
        timeout: seconds within which a request is answered; None for the platform's default.
        container_concurrency: how many requests one replica takes at once; 0 for no limit.
        canary_traffic_percent: percent of the traffic that the latest revision gets; None for all of it.
        logger: logging of payloads, where it is asked for.
        logger_account: the ServiceAccount whose Secrets lead to where payloads are kept; None where there is none.
        batcher: batching of requests, where it is asked for.
        deployment_strategy: how its replicas are replaced (``apps/v1`` DeploymentStrategy); None for the platform's.
        workers: the nodes beside the first; None where a replica is one node.
        storage_container: the ClusterStorageContainer that is to fetch its artefacts; None for the first that can.
    """

    kind: ComponentKind
    name: str
    pod: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    sources: tuple[Source, ...]
    scaling: Scaling
    model: ResolvedModel | None = None
    timeout: float | None = None
    container_concurrency: int = 0
    canary_traffic_percent: int | None = None
    logger: LoggerSpec | None = None
    logger_account: ServiceAccount | None = None
    batcher: Batcher | None = None
    deployment_strategy: Mapping[str, Any] | None = None
    workers: ResolvedWorkers | None = None
    storage_container: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCanary:
    """A predictor of ``spec.canary``.

    Attributes:
        name: its name, ``spec.canary[].predictor.name``.
        traffic_percent: percent of the predictor's traffic that it gets once it is ready.
        component: what runs; its name is ``<service>-<canary>-predictor``.
    """

    name: str
    traffic_percent: int
    component: ResolvedComponent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedService:
    """An InferenceService as it is to run.

    Attributes:
        declared: the InferenceService after defaulting.
        mode: its deployment mode: ``Knative`` or ``Standard``.
        components: its components; the predictor is always there.
        canaries: other predictors that get a part of the traffic.
        stopped: whether it is asked to have nothing running (``serving.kserve.io/stop``).
        mirror_percent: percent of the requests that are copied to predictors which get no traffic, as the annotation
            ``fairlead.io/mirror-percent`` asks for; 0 for none.
        host: the host that it is asked by, such as ``iris-default.localhost``.
        path: the path that it is asked by, such as ``/serving/default/iris``; None for none.
        warnings: what holds, and that the user should know of: one sentence each.
    """

    declared: InferenceService
    mode: str
    components: Mapping[ComponentKind, ResolvedComponent]
    canaries: tuple[ResolvedCanary, ...] = ()
    stopped: bool = False
    mirror_percent: int = 0
    host: str
    path: str | None
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.declared.metadata.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.declared.metadata.namespace or "default"

    @property
    def predictor(self) -> ResolvedComponent:
        """Its predictor."""
        return self.components[ComponentKind.PREDICTOR]

    @property
    def entry(self) -> ResolvedComponent:
        """The component that requests come to first: the transformer where there is one."""
        return self.components.get(ComponentKind.TRANSFORMER, self.predictor)
