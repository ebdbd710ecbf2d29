"""A predictor of several nodes: its workers, and the Services by which they and the head find each other.

Workers join the head that was made with them, and no other, so that both Services and the label that they select by
carry what stands for this make of the pods. With KServe that is the generation of the InferenceService: any edit, of a
timeout or of a weight, replaces all pods of a model that may take an hour to load. Here it is a digest of the pods of
both kinds. It changes when the pods are replaced anyway, and at no other time. The Services of the make before go at
once: its pods have found each other, and go on until they are replaced.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve.service import MODEL_PATH
from fairlead_operator.desired import autoscaling, deployment, metadata, pods, storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.service import ResolvedComponent, ResolvedWorkers
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["GENERATION", "ROLE", "objects", "worker_name"]

GENERATION: Final = "isvc.generation"
"""Labels the pods of one make; the Services of head and workers select by it."""

ROLE: Final = "multinode/role"
"""Labels what belongs to the head (``head``) or to the workers (``worker``)."""

_WORKER: Final = "-worker"
_PREDICTOR: Final = "-predictor"
_DIGITS: Final = 8
_REPLACED_AT_ONCE: Final = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "0%", "maxSurge": "100%"}}


def worker_name(component: ResolvedComponent) -> str:
    """The name of the Deployment of a component's workers."""
    return f"{component.name}{_WORKER}"


def objects(component: ResolvedComponent, surroundings: Surroundings) -> list[Manifest]:
    """The Services of head and workers, and the two Deployments, of a component of several nodes.

    Raises:
        Unresolvable: the pods cannot be made, or a name is too long.
    """
    workers = component.workers
    assert workers is not None
    head, worker = pods.template(component, surroundings), _worker_template(component, workers, surroundings)
    make = _digest(head, worker)
    prefix = component.name.removesuffix(_PREDICTOR)
    services = {"head": f"{prefix}-head-{make}", "worker": f"{prefix}-workers-{make}"}
    _add_environment(head, _of_head(component, workers, surroundings))
    _add_environment(worker, _of_worker(workers, services, surroundings))
    for template in (head, worker):
        template["metadata"]["labels"][GENERATION] = make
    replicas = autoscaling.replicas(component, surroundings)
    main = deployment.of(component, surroundings, head)
    beside = deployment.made(
        metadata.of(
            component, surroundings, worker_name(component), labels={**_worker_labels(component), GENERATION: make}
        ),
        worker,
        selector=metadata.selector(worker_name(component)),
        replicas=0 if replicas == 0 else workers.nodes - 1,
        strategy=_REPLACED_AT_ONCE,
    )
    selected = {"head": metadata.selector(component.name), "worker": metadata.selector(worker_name(component))}
    found = [
        _service(component, surroundings, name, role, {**selected[role], GENERATION: make})
        for role, name in services.items()
    ]
    return [*found, main, beside]


def _worker_labels(component: ResolvedComponent) -> dict[str, str]:
    return {**metadata.selector(worker_name(component)), ROLE: "worker"}


def _worker_template(
    component: ResolvedComponent, workers: ResolvedWorkers, surroundings: Surroundings
) -> dict[str, Any]:
    pod = storage.wired(workers.pod, component, surroundings)
    annotations = pods.own_annotations(component)
    return pods.finished(pod, component, surroundings, _worker_labels(component), annotations)


def _digest(*templates: Mapping[str, Any]) -> str:
    text = json.dumps(templates, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _service(
    component: ResolvedComponent, surroundings: Surroundings, name: str, role: str, selector: Mapping[str, str]
) -> Manifest:
    """A Service whose name leads to pods before they are ready: they are ready when they have found each other."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.of(component, surroundings, name, labels={**selector, ROLE: role}),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": dict(selector),
        },
    }


# -- what the nodes are told ----------------------------------------------------------------------------


def _of_head(component: ResolvedComponent, workers: ResolvedWorkers, surroundings: Surroundings) -> dict[str, str]:
    own = {"MODEL_NAME": surroundings.owner.name, **({"MODEL_DIR": MODEL_PATH} if component.sources else {})}
    return {**_sizes(workers), "REQUEST_GPU_COUNT": str(workers.head_gpus), **own}


def _of_worker(workers: ResolvedWorkers, services: Mapping[str, str], surroundings: Surroundings) -> dict[str, str]:
    own = {"ISVC_NAME": surroundings.owner.name, "HEAD_SVC": services["head"], "WORKER_SVC": services["worker"]}
    return {**_sizes(workers), "REQUEST_GPU_COUNT": str(workers.worker_gpus), **own}


def _sizes(workers: ResolvedWorkers) -> dict[str, str]:
    return {
        "PIPELINE_PARALLEL_SIZE": str(workers.pipeline_parallel_size),
        "TENSOR_PARALLEL_SIZE": str(workers.tensor_parallel_size),
        "RAY_NODE_COUNT": str(workers.nodes),
    }


def _add_environment(template: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Set variables of the first container; what it says of them itself gives way, and may refer to none of them."""
    container = template["spec"]["containers"][0]
    others = [each for each in container.get("env") or () if each.get("name") not in variables]
    container["env"] = [*({"name": name, "value": value} for name, value in variables.items()), *others]
