"""The Kubernetes Service of a component, by which its pods are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve.containers import TRANSFORMER_CONTAINER
from fairlead_operator.desired import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["AGENT_PORT", "DEFAULT_PORT", "entry_container", "entry_port", "is_grpc", "of", "ports"]

AGENT_PORT: Final = 9081
"""Where KServe's agent listens, which stands before a component that is logged or batched."""

DEFAULT_PORT: Final = 8080
"""Where a container listens that declares no port."""

_FIRST: Final = 80
_HTTP2: Final = "kubernetes.io/h2c"


def of(component: ResolvedComponent, surroundings: Surroundings) -> Manifest:
    """The Service of a component.

    Raises:
        Unresolvable: two ports would be one.
    """
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "selector": metadata.selector(component.name),
        "ports": ports(component),
    }
    if surroundings.config.headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata.of(component, surroundings), "spec": spec}


def ports(component: ResolvedComponent) -> list[dict[str, Any]]:
    """The ports of a component's Service.

    The first port of its container is asked at 80, or the agent before it; every other one at its own number. A
    component with several ports has a name for each, as Kubernetes wants it.

    Raises:
        Unresolvable: a further port of the container is 80 too.
    """
    declared = entry_container(component.pod).get("ports") or ({"containerPort": DEFAULT_PORT},)
    found = []
    for index, each in enumerate(declared):
        name = str(each.get("name") or (component.name if index == 0 else f"port-{each['containerPort']}"))
        port = {
            "name": name,
            "port": _FIRST if index == 0 else each["containerPort"],
            "targetPort": each["containerPort"],
            "protocol": each.get("protocol") or "TCP",
        }
        if is_grpc(name) and each.get("name"):
            port["appProtocol"] = _HTTP2
        found.append(port)
    if component.logger is not None or component.batcher is not None:
        found[0]["targetPort"] = AGENT_PORT
    if any((each["port"], each["protocol"]) == (_FIRST, found[0]["protocol"]) for each in found[1:]):
        raise errors.Unresolvable(
            "InvalidPorts",
            f"The Service {component.name} answers at {_FIRST} for the container's first port, and the container has"
            f" the port {_FIRST} too.",
            remedy=f"List the port {_FIRST} first.",
        )
    return found


def entry_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container of a PodSpec that requests come to: the transformer's where it is beside the predictor's."""
    containers: list[Mapping[str, Any]] = pod["containers"]
    return next((each for each in containers if each.get("name") == TRANSFORMER_CONTAINER), containers[0])


def entry_port(container: Mapping[str, Any]) -> int:
    """The first port of a container."""
    return int((container.get("ports") or [{"containerPort": DEFAULT_PORT}])[0]["containerPort"])


def is_grpc(name: str) -> bool:
    """Whether a port of that name speaks HTTP/2 from its first byte, as gRPC does."""
    return "grpc" in name or "h2c" in name
