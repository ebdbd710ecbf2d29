"""The Ingress of a service, for clusters without the Gateway API.

Each host leads to what it is the host of: KServe's leads that of the transformer to the predictor, and has the
explainer behind that of the transformer. An Ingress knows prefixes and whole paths, and no weights, rewritten paths,
timeouts and gRPC. So ``/v2/models/<service>/explain`` of the service's own host leads to the explainer, and V1's
``:explain`` is asked by the explainer's host: widespread controllers refuse a whole Ingress for the colon.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import hosts, metadata
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["objects"]

_PORT: Final = 80


def objects(service: ResolvedService, surroundings: Surroundings) -> tuple[list[Manifest], list[Problem]]:
    """The Ingress of a service, and what it cannot do of what is asked for."""
    spec: dict[str, Any] = {"rules": list(_rules(service, surroundings))}
    if surroundings.config.ingress.ingress_class:
        spec = {"ingressClassName": surroundings.config.ingress.ingress_class, **spec}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata.of_service(service, surroundings, service.name),
        "spec": spec,
    }
    return [ingress], _unrewritten(service)


def _rules(service: ResolvedService, surroundings: Surroundings) -> Iterator[Manifest]:
    explainer = service.components.get(ComponentKind.EXPLAINER)
    entry = [_path("/", "Prefix", service.entry)]
    if explainer is not None:
        entry.insert(0, _path(f"/v2/models/{service.name}/explain", "Exact", explainer))
    for host in hosts.hosts_of_service(service, surroundings):
        yield {"host": host, "http": {"paths": entry}}
    for kind, component in service.components.items():
        for host in hosts.hosts_of_component(service, kind, surroundings):
            yield {"host": host, "http": {"paths": [_path("/", "Prefix", component)]}}


def _path(path: str, kind: str, component: ResolvedComponent) -> Manifest:
    return {
        "path": path,
        "pathType": kind,
        "backend": {"service": {"name": component.name, "port": {"number": _PORT}}},
    }


def _unrewritten(service: ResolvedService) -> list[Problem]:
    if service.path is None:
        return []
    message = (
        f"{service.path} leads nowhere: an Ingress cannot take a path off. Set enableGatewayApi, or take pathTemplate"
        " out, in the key ingress of inferenceservice-config."
    )
    return [Problem("ConfigurationReady", "GatewayAPINeeded", message)]
