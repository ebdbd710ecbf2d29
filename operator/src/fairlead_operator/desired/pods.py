"""The pods of a component: its PodSpec with what Kubernetes would fill in, probes, artefacts, agent and annotations.

What an API server fills in is written, so that what is applied is what is there. An edit of how a service scales, stops
or is mirrored changes no pod: such annotations stay on the objects, and do not come to the pods.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve.containers import TRANSFORMER_CONTAINER
from fairlead.resolve.resolving import MIRROR_ANNOTATION, STOP_ANNOTATION
from fairlead.resolve.scaling import CLASS
from fairlead_operator.desired import agent, metadata, service, storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Surroundings

__all__ = ["ACCELERATOR", "AGGREGATION", "SCRAPING", "finished", "own_annotations", "template"]

ACCELERATOR: Final = "serving.kserve.io/gke-accelerator"
"""The kind of accelerator that nodes of Google's Kubernetes are to have, for pods that ask for a GPU."""

SCRAPING: Final = "serving.kserve.io/enable-prometheus-scraping"
"""Whether the pods ask to be scraped."""

AGGREGATION: Final = "serving.kserve.io/enable-metric-aggregation"
"""Whether metrics are aggregated: in the mode Standard there is nothing to aggregate, a pod has one server."""

_NOT_OF_PODS: Final = frozenset({CLASS, STOP_ANNOTATION, MIRROR_ANNOTATION, "serving.kserve.io/disable-auto-update"})
_OF_POD: Final[Mapping[str, Any]] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "securityContext": {},
}
_OF_CONTAINER: Final[Mapping[str, Any]] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}
_PROBE: Final[Mapping[str, Any]] = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_GPU: Final = "nvidia.com/gpu"
_GPU_NODES: Final = "cloud.google.com/gke-accelerator"
_PORT: Final = "prometheus.kserve.io/port"
_PATH: Final = "prometheus.kserve.io/path"


def template(component: ResolvedComponent, surroundings: Surroundings) -> dict[str, Any]:
    """The PodTemplateSpec of a component's Deployment.

    Raises:
        Unresolvable: its artefacts cannot come to it in this cluster, or its name is too long.
    """
    annotations = _annotations(component, surroundings)
    pod = storage.wired(_probed(component.pod), component, surroundings)
    pod = agent.wired(pod, component, annotations, surroundings)
    return finished(pod, component, surroundings, metadata.selector(component.name), annotations)


def finished(
    pod: Mapping[str, Any],
    component: ResolvedComponent,
    surroundings: Surroundings,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """A PodTemplateSpec of a PodSpec that has all its containers.

    Args:
        pod: the PodSpec.
        component: the component.
        surroundings: what it is rendered in.
        labels: labels of the pods beside those of the component.
        annotations: annotations of the pods.
    """
    found = _with_defaults(copy.deepcopy(dict(pod)), _OF_POD)
    for field in ("initContainers", "containers"):
        if found.get(field):
            found[field] = [_with_defaults(each, _OF_CONTAINER) for each in found[field]]
    if surroundings.config.mounts_token is not None:
        found.setdefault("automountServiceAccountToken", surroundings.config.mounts_token)
    accelerator = component.annotations.get(ACCELERATOR)
    if accelerator and any(_asks_for_gpu(each) for each in found["containers"]):
        found["nodeSelector"] = {**(found.get("nodeSelector") or {}), _GPU_NODES: accelerator}
    described: dict[str, Any] = {"labels": {**component.labels, **labels}}
    if annotations:
        described["annotations"] = dict(annotations)
    return {"metadata": described, "spec": found}


def own_annotations(component: ResolvedComponent) -> dict[str, str]:
    """The annotations of a component that come to its pods."""
    return {key: text for key, text in component.annotations.items() if key not in _NOT_OF_PODS}


def _with_defaults(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    missing = {name: copy.deepcopy(value) for name, value in defaults.items() if part.get(name) is None}
    return {**part, **missing}


def _probed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The PodSpec with a readiness probe in each container that answers requests: by default a connection."""
    first, *others = (dict(each) for each in pod["containers"])
    for container in (first, *(each for each in others if each.get("name") == TRANSFORMER_CONTAINER)):
        if not container.get("readinessProbe"):
            container["readinessProbe"] = {"tcpSocket": {"port": service.entry_port(container)}, **_PROBE}
    return {**pod, "containers": [first, *others]}


def _asks_for_gpu(container: Mapping[str, Any]) -> bool:
    return _GPU in ((container.get("resources") or {}).get("limits") or {})


def _annotations(component: ResolvedComponent, surroundings: Surroundings) -> dict[str, str]:
    """The annotations of the pods, with those that Prometheus looks for where they are to be scraped.

    The port is that of the server itself: in the mode Standard nothing stands before it that has metrics.
    """
    config = surroundings.config
    found = own_annotations(component)
    found.setdefault(AGGREGATION, _text(config.aggregate))
    found.setdefault(SCRAPING, _text(config.scrape))
    if found[SCRAPING].lower() == "true":
        found["prometheus.io/scrape"] = "true"
        found["prometheus.io/port"] = found.get(_PORT) or str(_metrics_port(component.pod))
        found["prometheus.io/path"] = found.get(_PATH) or "/metrics"
    return found


def _metrics_port(pod: Mapping[str, Any]) -> int:
    """The first port of the server that is no gRPC port."""
    declared = pod["containers"][0].get("ports") or ()
    rest = (each["containerPort"] for each in declared if not service.is_grpc(str(each.get("name") or "")))
    return int(next(rest, service.DEFAULT_PORT))


def _text(flag: bool) -> str:
    return "true" if flag else "false"
