"""Rules about the pods of a component: names and variables of containers, and several nodes for one replica."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.api.inferenceservice import ExplainerSpec
from fairlead.api.predictor import PredictorSpec
from fairlead.resolve import container_rules, findings, implementations
from fairlead.resolve.scaling import CLASS

if TYPE_CHECKING:
    from fairlead.api.pod import PodFields
    from fairlead.api.predictor import WorkerSpec
    from fairlead.api.servingruntime import RuntimeWorkerSpec

__all__ = [
    "GPU_ANNOTATION",
    "check_gpus",
    "check_names",
    "check_pods",
    "check_sizes",
    "check_worker",
    "known_gpus",
    "refuse_python_path",
    "refuse_sizes",
]

GPU_ANNOTATION: Final = "serving.kserve.io/gpu-resource-types"
"""Adds resources that count as a GPU: a JSON list of their names."""

_TRANSFORMER_CONTAINER: Final = "transformer-container"
_MULTI_NODE_STORAGE: Final = ("pvc", "oci")
_SIZE_VARIABLES: Final = ("PIPELINE_PARALLEL_SIZE", "TENSOR_PARALLEL_SIZE")


def check_pods(found: findings.Findings, component: implementations.Declared) -> None:
    """The shape of every container of a component, and the variables that none may set."""
    for path, container in _blocks(component):
        container_rules.check_block(found, path, container)
        refuse_python_path(found, path, container)
    for path, containers in _lists(component):
        container_rules.check_containers(found, path, containers)
        for index, container in enumerate(containers):
            refuse_python_path(found, f"{path}[{index}]", container)


def check_names(found: findings.Findings, component: implementations.Declared) -> None:
    """What containers may be called: the one of a model has its name from its runtime."""
    spec = component.spec
    if not isinstance(spec, PredictorSpec):
        return
    for name, block in implementations.blocks(spec):
        if block.name:
            found.problem(
                f"{component.path}.{name}.name",
                f"{findings.shown(block.name)} is not allowed, because the container of a model has its name from "
                "the runtime. Take it out.",
            )
    for index, container in enumerate(spec.containers or ()):
        if container.get("name") == _TRANSFORMER_CONTAINER:
            _refuse_variables(
                found,
                f"{component.path}.containers[{index}]",
                container,
                ("STORAGE_URI",),
                f"a {_TRANSFORMER_CONTAINER} gets the artefact of its predictor. Take it out",
            )


def refuse_python_path(found: findings.Findings, path: str, container: Mapping[str, Any]) -> None:
    """Note ``PYTHONPATH`` among the variables of a container."""
    why = "it would put modules before those of the image. Take it out, and install the modules in the image"
    _refuse_variables(found, path, container, ("PYTHONPATH",), why)


def refuse_sizes(found: findings.Findings, path: str, container: Mapping[str, Any]) -> None:
    """Note the variables among those of a container that the platform sets itself, from ``workerSpec``."""
    why = "workerSpec says the sizes. Set pipelineParallelSize and tensorParallelSize there"
    _refuse_variables(found, path, container, _SIZE_VARIABLES, why)


def _refuse_variables(
    found: findings.Findings, path: str, container: Mapping[str, Any], names: Sequence[str], why: str
) -> None:
    for index, name, _ in container_rules.environment(container):
        if name in names:
            found.problem(f"{path}.env[{index}]", f"{name} is not allowed: {why}.")


# -- several nodes ----------------------------------------------------------------------------------------


def check_worker(
    found: findings.Findings,
    component: implementations.Declared,
    annotations: Mapping[str, str],
    gpus: Sequence[str],
) -> None:
    """A predictor whose replicas are several nodes each (``workerSpec``).

    Args:
        found: where problems go.
        component: the predictor.
        annotations: those of the service.
        gpus: the resources that the platform counts as a GPU.
    """
    spec, path = component.spec, component.path
    if not isinstance(spec, PredictorSpec) or spec.worker_spec is None:
        return
    known = known_gpus(found, annotations, gpus)
    check_sizes(found, f"{path}.workerSpec", spec.worker_spec)
    _check_gpus(found, f"{path}.workerSpec.containers", spec.worker_spec.containers or (), known)
    _check_gpus(found, f"{path}.containers", spec.containers or (), known)
    if spec.model is None:
        return
    block = _container(spec.model)
    check_gpus(found, f"{path}.model", block, known)
    refuse_sizes(found, f"{path}.model", block)
    uri = spec.model.storage_uri
    if uri is None or uri.partition("://")[0] not in _MULTI_NODE_STORAGE or "://" not in uri:
        found.problem(
            f"{path}.model.storageUri",
            f"{'it is missing' if uri is None else f'{findings.shown(uri)} cannot be shared'}. All nodes of a replica "
            "read one volume: give a pvc:// or oci:// address.",
        )
    if annotations.get(CLASS) != "none":
        found.problem(
            "metadata.annotations",
            f"replicas of several nodes are not scaled. Set {CLASS}: none, or take {path}.workerSpec out.",
        )


def check_sizes(found: findings.Findings, path: str, worker: WorkerSpec | RuntimeWorkerSpec) -> None:
    """How many containers a worker has, and how many nodes and devices."""
    if len(worker.containers or ()) > 1:
        found.problem(
            f"{path}.containers", f"there are {len(worker.containers or ())}, and may be one. Take the others out."
        )
    sizes = {"pipelineParallelSize": worker.pipeline_parallel_size, "tensorParallelSize": worker.tensor_parallel_size}
    for name, size in sizes.items():
        if size is not None and size < 1:
            found.problem(f"{path}.{name}", f"{size} is below 1. Write 1 or more.")


def known_gpus(found: findings.Findings, annotations: Mapping[str, str], gpus: Sequence[str]) -> frozenset[str]:
    """The resources that count as a GPU: those of the platform, and those that the object's annotation adds."""
    text = annotations.get(GPU_ANNOTATION)
    if text is None:
        return frozenset(gpus)
    try:
        added = json.loads(text)
    except (ValueError, RecursionError):
        added = None
    if not isinstance(added, list) or not all(isinstance(each, str) for each in added):
        found.problem(
            "metadata.annotations",
            f'{GPU_ANNOTATION} is {findings.shown(text)}, and not a JSON list of texts such as ["example.com/gpu"].',
        )
        return frozenset(gpus)
    return frozenset((*gpus, *added))


def check_gpus(found: findings.Findings, path: str, container: Mapping[str, Any], known: frozenset[str]) -> None:
    """The devices that a container of several nodes asks for; each has to be known as a GPU."""
    resources = container.get("resources")
    for side in ("requests", "limits"):
        amounts = resources.get(side) if isinstance(resources, dict) else None
        for name in amounts if isinstance(amounts, dict) else ():
            if isinstance(name, str) and "/" in name and name not in known:
                found.problem(
                    f"{path}.resources.{side}",
                    f"{findings.shown(name)} is not known as a GPU; {findings.listed(sorted(known), 'and')} are. Add "
                    f"it to the JSON list in the annotation {GPU_ANNOTATION}.",
                )


def _check_gpus(
    found: findings.Findings, path: str, containers: Iterable[Mapping[str, Any]], known: frozenset[str]
) -> None:
    for index, container in enumerate(containers):
        check_gpus(found, f"{path}[{index}]", container, known)


# -- the containers that there are ------------------------------------------------------------------------


def _blocks(component: implementations.Declared) -> Iterator[tuple[str, dict[str, Any]]]:
    """The containers that are fields of a component: the model's, a framework's, that of ART."""
    spec = component.spec
    if isinstance(spec, PredictorSpec):
        for name, block in implementations.blocks(spec):
            yield f"{component.path}.{name}", _container(block)
    if isinstance(spec, ExplainerSpec) and spec.art is not None:
        yield f"{component.path}.art", _container(spec.art)


def _lists(component: implementations.Declared) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lists of containers of a component, those of its workers included."""
    spec = component.spec
    pods: list[tuple[str, PodFields]] = [(component.path, spec)]
    if isinstance(spec, PredictorSpec) and spec.worker_spec is not None:
        pods.append((f"{component.path}.workerSpec", spec.worker_spec))
    for path, pod in pods:
        yield f"{path}.initContainers", pod.init_containers or []
        yield f"{path}.containers", pod.containers or []


def _container(block: Any) -> dict[str, Any]:
    """A container that is inline in a field, with the API's names."""
    fields: dict[str, Any] = block.model_dump(by_alias=True, exclude_unset=True)
    return fields
