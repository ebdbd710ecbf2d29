"""A predictor whose replica is several nodes (``workerSpec``): the pods beside the first, and who has which devices.

The first node is the head of a Ray cluster, and the others join it. How many there are follows from the sizes of the
model's split and from the devices that a pod of each kind has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import containers, findings, merge, pod_rules, quantities
from fairlead.resolve.service import ResolvedWorkers

if TYPE_CHECKING:
    from fairlead.api.predictor import PredictorSpec, WorkerSpec
    from fairlead.api.servingruntime import ClusterServingRuntime, RuntimeWorkerSpec, ServingRuntime
    from fairlead.resolve.context import Context

__all__ = ["BACKEND_ANNOTATION", "WORKER_CONTAINER", "Split", "resolved", "split"]

WORKER_CONTAINER: Final = "worker-container"
"""The container of the nodes beside the first."""

BACKEND_ANNOTATION: Final = "multinode/executor-backend"
"""On a runtime: ``mp`` where its server makes a process for each device itself, so that no Ray shares them out."""

_PROCESSES: Final = "mp"
_DEFAULT_GPU: Final = "nvidia.com/gpu"


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """How devices are spread over nodes.

    Attributes:
        nodes: how many nodes there are, the first included.
        head: devices of the first node.
        worker: devices of each other node.
    """

    nodes: int
    head: int
    worker: int


def split(tensor: int, pipeline: int, *, head: int, worker: int, processes: bool = False) -> Split:
    """How the devices that a model needs are spread over nodes.

    Args:
        tensor: how many devices share each layer.
        pipeline: how many nodes share the layers.
        head: devices that the first pod asks for; 0 for what is left to decide.
        worker: devices that each other pod asks for; 0 likewise.
        processes: whether the server makes processes itself; then nodes and devices are the two sizes.

    Raises:
        Unresolvable: the pods together ask for fewer devices than the model needs.
    """
    total = tensor * pipeline
    if processes:
        return Split(pipeline, tensor, tensor if pipeline > 1 else 0)
    if worker == 0 and head == 0:
        return Split(total, 1, 1 if total > 1 else 0)
    if worker == 0:
        return Split(1, head, 0) if head >= total else Split(1 + total - head, head, 1)
    nodes = 1 if head >= total else -(-total // worker)
    if nodes == 1:
        return Split(1, max(head, total), 0)
    head = head or total - worker * (nodes - 1)
    if total > head + worker * (nodes - 1):
        raise errors.Unresolvable(
            "InvalidGPUAllocation",
            f"tensorParallelSize {tensor} and pipelineParallelSize {pipeline} need {total} GPUs, and {nodes} nodes with"
            f" {head} for the first and {worker} for each other have {head + worker * (nodes - 1)}.",
            remedy="Raise the limits of GPUs of the model or of workerSpec, or lower one of the sizes.",
        )
    return Split(nodes, head, worker)


def resolved(
    spec: PredictorSpec,
    runtime: ServingRuntime | ClusterServingRuntime | None,
    head: Mapping[str, Any],
    path: str,
    context: Context,
) -> tuple[ResolvedWorkers, dict[str, Any]]:
    """The nodes beside the first, and the first one's container with its devices.

    Args:
        spec: the predictor; it has a workerSpec.
        runtime: what serves its model; None for containers of one's own.
        head: the main container.
        path: the predictor's place in the InferenceService, for messages.
        context: the InferenceService, and what it is resolved with.

    Raises:
        Unresolvable: the runtime is for one node, the nodes have too few devices, or there would be several replicas.
    """
    own = spec.worker_spec
    assert own is not None
    if (spec.min_replicas if spec.min_replicas is not None else 1) > 1:
        raise errors.Unresolvable(
            "InvalidReplicas",
            f"{path}.minReplicas is {spec.min_replicas}, and a predictor of several nodes has one replica: its workers"
            " could not tell one head from another.",
            remedy="Write minReplicas: 1, and make another InferenceService for each further replica.",
        )
    lower = _of_runtime(runtime, path)
    worker, others = _containers(own, lower, f"{path}.workerSpec")
    tensor = _size(*(each.tensor_parallel_size for each in (own, lower) if each is not None))
    pipeline = _size(*(each.pipeline_parallel_size for each in (own, lower) if each is not None))
    resource = _resource(head, worker, path, _known(runtime, context))
    devices = split(
        tensor,
        pipeline,
        head=_asked(head, resource, path),
        worker=_asked(worker, resource, f"{path}.workerSpec"),
        processes=_backend(runtime) == _PROCESSES,
    )
    base = containers.said(lower, containers.RUNTIME_POD_FIELDS) if lower is not None else {}
    pod = {
        **merge.pod(base, containers.own_pod(own)),
        "containers": [_with_devices(worker, resource, devices.worker), *others],
    }
    workers = ResolvedWorkers(
        pod=pod,
        nodes=devices.nodes,
        pipeline_parallel_size=pipeline,
        tensor_parallel_size=tensor,
        head_gpus=devices.head,
        worker_gpus=devices.worker,
        gpu_resource=resource,
    )
    return workers, _with_devices(head, resource, devices.head)


def _of_runtime(runtime: ServingRuntime | ClusterServingRuntime | None, path: str) -> RuntimeWorkerSpec | None:
    if runtime is None:
        return None
    if runtime.spec.worker_spec is None:
        raise errors.Unresolvable(
            "InvalidWorkerSpecNotSet",
            f"{path}.workerSpec asks for several nodes, and the runtime {runtime.metadata.name} has no workerSpec.",
            remedy="Name a runtime that has one, or take workerSpec out.",
        )
    return runtime.spec.worker_spec


def _containers(
    own: WorkerSpec, lower: RuntimeWorkerSpec | None, place: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The worker's container, merged, and those that the runtime has beside it."""
    base = {str(each.get("name")): each for each in (lower.containers if lower is not None else ())}
    over = {str(each.get("name") or WORKER_CONTAINER): each for each in own.containers or ()}
    merged = {name: merge.container(base.get(name, {}), over.get(name, {})) for name in dict.fromkeys((*base, *over))}
    worker = merged.pop(WORKER_CONTAINER, None)
    if worker is None:
        raise errors.Unresolvable(
            "InvalidPredictorSpec",
            f"{place} has no container {WORKER_CONTAINER}, and the runtime neither.",
            remedy=f"Name the container of the nodes beside the first {WORKER_CONTAINER}.",
        )
    return {**worker, "name": WORKER_CONTAINER}, list(merged.values())


def _size(*said: int | None) -> int:
    """The first size that is said; 1 where none is."""
    return next((each for each in said if each is not None), 1)


def _backend(runtime: ServingRuntime | ClusterServingRuntime | None) -> str | None:
    if runtime is None:
        return None
    said = {**(runtime.spec.annotations or {}), **(runtime.metadata.annotations or {})}
    return said.get(BACKEND_ANNOTATION)


# -- devices --------------------------------------------------------------------------------------------


def _known(runtime: ServingRuntime | ClusterServingRuntime | None, context: Context) -> tuple[str, ...]:
    """The resources that count as a GPU: the platform's, and those that the service and the runtime add."""
    known = tuple(context.config.gpu_resources)
    for resource in (context.service, *(() if runtime is None else (runtime,))):
        found = findings.Findings(findings.who(resource))
        added = pod_rules.known_gpus(found, resource.metadata.annotations or {}, ())
        if found.problems:
            raise errors.Unresolvable(
                "InvalidAnnotation", found.full_problems()[0], remedy="Write it so, or take it out."
            )
        known += tuple(sorted(added))
    return known


def _resource(head: Mapping[str, Any], worker: Mapping[str, Any], path: str, known: Iterable[str]) -> str:
    """The resource that a device is: the one that the containers ask for."""
    found = [name for name in dict.fromkeys(known) if _amount(head, name) or _amount(worker, name)]
    if len(found) > 1:
        raise errors.Unresolvable(
            "InvalidGPUAllocation",
            f"The nodes of {path} ask for {' and '.join(found)}, and the devices of one model are of one kind.",
            remedy="Ask for the same resource in the model and in workerSpec.",
        )
    return found[0] if found else _DEFAULT_GPU


def _asked(container: Mapping[str, Any], resource: str, place: str) -> int:
    """How many devices a container asks for."""
    amount = quantities.amount(_amount(container, resource) or 0) or 0
    if amount != int(amount):
        raise errors.Unresolvable(
            "InvalidGPUAllocation",
            f"{place} asks for {_amount(container, resource)} of {resource}, which is no whole number.",
            remedy="Give a whole number.",
        )
    return int(amount)


def _amount(container: Mapping[str, Any], resource: str) -> Any:
    """What a container asks for of a resource; a device's limit is its request."""
    resources = container.get("resources") or {}
    sides = (resources.get("limits") or {}, resources.get("requests") or {})
    return next((each[resource] for each in sides if resource in each), None)


def _with_devices(container: Mapping[str, Any], resource: str, count: int) -> dict[str, Any]:
    """The container with that many devices as request and as limit; without the resource where there is none."""
    resources = dict(container.get("resources") or {})
    for side in ("requests", "limits"):
        amounts = {name: value for name, value in (resources.get(side) or {}).items() if name != resource}
        resources[side] = {**amounts, **({resource: str(count)} if count else {})}
    return {**container, "resources": {side: amounts for side, amounts in resources.items() if amounts}}
