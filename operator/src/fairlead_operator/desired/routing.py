"""How requests come to a service: HTTPRoutes or an Ingress, its addresses, and whether it can be asked by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead.resolve.observation import Ingress
from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import canaries, hosts, httproutes, ingresses, routed, ways
from fairlead_operator.desired import service as kubernetes_service
from fairlead_operator.desired.model import Problem
from fairlead_operator.desired.ways import Way

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["Addresses", "addresses", "objects", "ready"]

_INGRESS_READY: Final = "IngressReady"
_MISSING: Final = Problem(
    _INGRESS_READY,
    "GatewayAPINotInstalled",
    (
        "enableGatewayApi is set, and the cluster knows no HTTPRoute of gateway.networking.k8s.io. Install the"
        " definitions of the Gateway API (channel standard) and an implementation of it, or set enableGatewayApi to"
        " false in the key ingress of inferenceservice-config."
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a service is asked.

    Attributes:
        url: from outside; the same as `address` for one that is asked from within alone.
        address: from within.
        components: each component, from outside where it has a host.
    """

    url: str
    address: str
    components: Mapping[ComponentKind, str]


def objects(service: ResolvedService, surroundings: Surroundings) -> tuple[list[Manifest], list[Problem]]:
    """The objects that bring requests to a service, and what of that cannot be."""
    problems = [*hosts.problems(service, surroundings), *canaries.problems(service, surroundings)]
    found = ways.way(service, surroundings)
    if found is Way.MISSING:
        return [], [_MISSING, *problems]
    if found in (Way.LOCAL, Way.FOREIGN):
        return [], problems
    maker = httproutes if found is Way.HTTP_ROUTES else ingresses
    made, more = maker.objects(service, surroundings)
    return made, [*more, *problems]


def addresses(service: ResolvedService, surroundings: Surroundings) -> Addresses:
    """Where a service is asked.

    All addresses from outside have the configured scheme. Those from within are Services', which are asked over http;
    one without an address of its own (headless) leads to its pods, whose port is then in the address.
    """
    scheme = surroundings.config.resolve.url_scheme
    local = ways.way(service, surroundings) is Way.LOCAL
    address, found = _inside(service.entry, service, surroundings), {}
    for kind, component in service.components.items():
        outside = () if local else hosts.hosts_of_component(service, kind, surroundings)
        found[kind] = f"{scheme}://{outside[0]}" if outside else _inside(component, service, surroundings)
    return Addresses(url=address if local else f"{scheme}://{service.host}", address=address, components=found)


def _inside(component: ResolvedComponent, service: ResolvedService, surroundings: Surroundings) -> str:
    """Where a component is asked from within."""
    host = hosts.inside(component.name, service, surroundings)
    if not surroundings.config.headless:
        return f"http://{host}"
    ports = (each["targetPort"] for each in kubernetes_service.ports(component) if "appProtocol" not in each)
    return f"http://{host}:{next(ports, kubernetes_service.DEFAULT_PORT)}"


def ready(service: ResolvedService, surroundings: Surroundings, live: Mapping[tuple[str, str], Manifest]) -> Ingress:
    """Whether requests come to a service.

    Every component has to answer, always: a route that is there leads nowhere without.

    Args:
        service: the InferenceService.
        surroundings: what it is rendered in.
        live: the objects that there are, by kind and name.
    """
    for problem in objects(service, surroundings)[1]:
        if problem.condition == _INGRESS_READY:
            return Ingress(ready=False, reason=problem.reason, message=problem.message)
    for kind in ComponentKind:
        component = service.components.get(kind)
        if component is not None and component.name not in surroundings.ready:
            return routed.waiting(kind.value.capitalize(), component.name)
    found = ways.way(service, surroundings)
    if found is Way.HTTP_ROUTES:
        return routed.by_routes(service, surroundings, live)
    return routed.by_ingress(service, live) if found is Way.INGRESS else Ingress(ready=True)
