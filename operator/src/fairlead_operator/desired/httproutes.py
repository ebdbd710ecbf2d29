"""HTTPRoutes of the Gateway API.

========================  ==========================  =============================================================
route                     hosts                       leads to
========================  ==========================  =============================================================
``<service>``             those of the service        ``:explain`` to the explainer, the rest to the transformer, or
                                                      else the predictor
``<service>-<component>`` that of the component       the component
``<service>.path``        the domain of all services  the same as the first, below the service's path, which is taken
                                                      off (only with ``pathTemplate``)
========================  ==========================  =============================================================

Paths are matched by regular expressions, as KServe's are, but not below a path: a prefix is only replaced where one is
matched, so that there it is ``PathPrefix``. For the same reason the paths of explanations are exact there, with the
model's name that transformers and explainers are told, the service's. The paths have a route of their own, because all
services share that host: a rule for every path of it would be a rule of all services for the same requests. No service
has a dot in its name, so that the name of that route is nobody else's.

All rules whose backend is the predictor have the weights of its canaries, and no other rule has. Routes are there
whether or not what they lead to is ready: a route that comes and goes with readiness makes 404 of a 503.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead.resolve.hosts import is_host
from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import canaries, hosts, metadata
from fairlead_operator.desired import service as kubernetes_service
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["GATEWAY_GROUP", "duration", "gateway", "names", "objects"]

GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
"""The API group of HTTPRoutes and Gateways."""

_VERSION: Final = f"{GATEWAY_GROUP}/v1"
_MOST_HOSTS: Final = 16  # what the schema of HTTPRoute has room for
_TIMEOUT: Final = 60.0
_ALL: Final = "^/.*$"
_EXPLAIN: Final = (r"^/v1/models/[\w-]+:explain$", r"^/v2/models/[\w-]+/explain$")
_GRPC: Final = {
    "path": {"type": "RegularExpression", "value": r"^/inference\.GRPCInferenceService/.*$"},
    "headers": [{"type": "RegularExpression", "name": "content-type", "value": "^application/grpc.*"}],
}
_UNITS: Final = ((3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))
_PATH: Final = re.compile(r"[-A-Za-z0-9/._~]+")
_LONGEST_PATH: Final = 512  # with what follows it for an explanation, within the 1024 of the schema
_LONGEST: Final = 99_999 * 3_600_000 + 3_599_999  # five digits of hours


class _Talk(enum.StrEnum):
    """What a port is asked over."""

    REST = "REST"
    GRPC = "gRPC"


def gateway(surroundings: Surroundings) -> tuple[str, str] | None:
    """Namespace and name of the Gateway; None where the configuration names none."""
    namespace, slash, name = surroundings.config.ingress.gateway.partition("/")
    return (namespace, name) if slash and is_host(namespace) and is_host(name) else None


def names(service: ResolvedService, surroundings: Surroundings) -> dict[str, str]:
    """The names of all routes, and what each leads to, as conditions call it."""
    found = {
        hosts.route_name(service, kind): kind.value.capitalize()
        for kind in ComponentKind
        if kind in service.components and hosts.hosts_of_component(service, kind, surroundings)
    }
    found[service.name] = "InferenceService"
    if _prefix(service):
        found[_path_name(service)] = "InferenceService"
    return found


def objects(service: ResolvedService, surroundings: Surroundings) -> tuple[list[Manifest], list[Problem]]:
    """The HTTPRoutes of a service, and why there are none or not all of what they should be."""
    parent = gateway(surroundings)
    if parent is None:
        return [], [_no_gateway(surroundings)]
    routes = _Routes(service, surroundings, parent)
    found = [
        routes.route(hosts.route_name(service, kind), own, routes.rules(component))
        for kind, component in service.components.items()
        if (own := hosts.hosts_of_component(service, kind, surroundings))
    ]
    top = hosts.hosts_of_service(service, surroundings)
    found.append(routes.route(service.name, top[:_MOST_HOSTS], [*routes.explaining(), *routes.rules(service.entry)]))
    if prefix := _prefix(service):
        domain = surroundings.config.resolve.ingress_domain
        found.append(routes.route(_path_name(service), (domain,), routes.below(prefix)))
    return found, [*_too_many(top), *_no_path(service), *_unasked(service)]


@dataclasses.dataclass(frozen=True, slots=True)
class _Routes:
    """Makes the routes of one service that belong to one Gateway."""

    service: ResolvedService
    surroundings: Surroundings
    parent: tuple[str, str]

    def route(self, name: str, names: Sequence[str], rules: Sequence[Manifest]) -> Manifest:
        """An HTTPRoute."""
        namespace, gateway = self.parent
        return {
            "apiVersion": _VERSION,
            "kind": "HTTPRoute",
            "metadata": metadata.of_service(self.service, self.surroundings, name),
            "spec": {
                "parentRefs": [{"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": namespace, "name": gateway}],
                "hostnames": list(names),
                "rules": list(rules),
            },
        }

    def rules(self, component: ResolvedComponent) -> list[Manifest]:
        """Every path to a component; calls over gRPC to its port for those, where it has one beside the other."""
        every = self._rule([_matching(_ALL)], component)
        return [self._rule([_GRPC], component, _Talk.GRPC), every] if len(_ports(component)) > 1 else [every]

    def explaining(self) -> list[Manifest]:
        """Questions for an explanation, where there is an explainer."""
        explainer = self.service.components.get(ComponentKind.EXPLAINER)
        return [] if explainer is None else [self._rule([_matching(each) for each in _EXPLAIN], explainer)]

    def below(self, prefix: str) -> list[Manifest]:
        """The service below a path, which is taken off."""
        name, found = self.service.name, []
        if (explainer := self.service.components.get(ComponentKind.EXPLAINER)) is not None:
            for asked in (f"/v1/models/{name}:explain", f"/v2/models/{name}/explain"):
                match = {"path": {"type": "Exact", "value": f"{prefix}{asked}"}}
                rewrite = {"type": "ReplaceFullPath", "replaceFullPath": asked}
                found.append(self._rule([match], explainer, rewrite=rewrite))
        match = {"path": {"type": "PathPrefix", "value": prefix}}
        rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        return [*found, self._rule([match], self.service.entry, rewrite=rewrite)]

    def _rule(
        self,
        matches: list[Manifest],
        component: ResolvedComponent,
        talk: _Talk | None = None,
        rewrite: Mapping[str, str] | None = None,
    ) -> Manifest:
        """A rule that leads to a component, and tells it whose the request is."""
        whose = {"KServe-Isvc-Name": self.service.name, "KServe-Isvc-Namespace": self.service.namespace}
        headers = [{"name": name, "value": value} for name, value in whose.items()]
        filters: list[Manifest] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": headers}}]
        if rewrite is not None:
            filters.append({"type": "URLRewrite", "urlRewrite": {"path": dict(rewrite)}})
        rule = {"matches": matches, "filters": filters, "backendRefs": self._backends(component, talk)}
        if self.surroundings.config.ingress.without_timeout:
            return rule
        seconds = _TIMEOUT if component.timeout is None else component.timeout
        return {**rule, "timeouts": {"request": duration(seconds)}}

    def _backends(self, component: ResolvedComponent, talk: _Talk | None) -> list[Manifest]:
        """Where a rule leads: one Service, or for a predictor with canaries those that share its requests."""
        ports = _ports(component)
        talk = talk or (_Talk.REST if _Talk.REST in ports else _Talk.GRPC)
        port = ports[talk]
        if component.kind is not ComponentKind.PREDICTOR:
            return [self._backend(component.name, port)]
        (stable, rest), *others = canaries.weights(self.service, self.surroundings)
        if not others:
            return [self._backend(stable, port)]
        named = {each.component.name: each.component for each in self.service.canaries}
        found = []
        for name, weight in others:
            if (own := _ports(named[name]).get(talk)) is None:
                rest += weight
            else:
                found.append({**self._backend(name, own), "weight": weight})
        return [{**self._backend(stable, port), "weight": rest}, *found]

    def _backend(self, name: str, port: int) -> Manifest:
        return {"kind": "Service", "namespace": self.service.namespace, "name": name, "port": port}


def duration(seconds: float) -> str:
    """A duration as the Gateway API writes it; 0 is no bound."""
    left, text = min(round(max(0.0, seconds) * 1000), _LONGEST), ""
    if left % 1000 == 0 and left <= 99_999_000:
        return f"{left // 1000}s"
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def _matching(pattern: str) -> Manifest:
    return {"path": {"type": "RegularExpression", "value": pattern}}


def _ports(component: ResolvedComponent) -> dict[_Talk, int]:
    """The ports of a component's Service: the first for each way to talk to it."""
    found: dict[_Talk, int] = {}
    for each in kubernetes_service.ports(component):
        found.setdefault(_Talk.GRPC if "appProtocol" in each else _Talk.REST, each["port"])
    return found


def _path_name(service: ResolvedService) -> str:
    return f"{service.name}.path"


def _prefix(service: ResolvedService) -> str | None:
    """The path of a service without a slash at its end; None where it has none, or one that cannot be routed."""
    path = "/" + (service.path or "").strip("/")
    known = _PATH.fullmatch(path) and len(path) <= _LONGEST_PATH
    return path if known and not {"", ".", ".."} & set(path[1:].split("/")) else None


def _no_gateway(surroundings: Surroundings) -> Problem:
    return Problem(
        "IngressReady",
        "InvalidGateway",
        f"kserveIngressGateway is {surroundings.config.ingress.gateway[:80]!r}, and no <namespace>/<name>. Name the"
        " Gateway in the key ingress of inferenceservice-config.",
    )


def _no_path(service: ResolvedService) -> list[Problem]:
    if service.path is None or _prefix(service):
        return []
    message = (
        f"The path {service.path[:80]!r} cannot be routed. Make pathTemplate in the key ingress of"
        " inferenceservice-config a path of letters, digits and -._~ between slashes, another one for each service."
    )
    return [Problem("ConfigurationReady", "InvalidPath", message)]


def _too_many(names: Sequence[str]) -> list[Problem]:
    if len(names) <= _MOST_HOSTS:
        return []
    message = (
        f"An HTTPRoute has {_MOST_HOSTS} hosts at most, and {', '.join(names[_MOST_HOSTS:])} are beyond. Shorten"
        " additionalIngressDomains in the key ingress of inferenceservice-config."
    )
    return [Problem("ConfigurationReady", "TooManyDomains", message)]


def _unasked(service: ResolvedService) -> list[Problem]:
    """Canaries that lack a port that the stable predictor has."""
    needed = set(_ports(service.predictor))
    told = [
        f"{each.name} gets no requests over {talk}: it has no port for them, and the stable predictor has one."
        for each in service.canaries
        if each.traffic_percent
        for talk in sorted(needed - set(_ports(each.component)))
    ]
    remedy = "Give both the same container ports; the name of one for gRPC has grpc or h2c in it."
    return [Problem(canaries.CONDITION, "PortMissing", " ".join([*told, remedy]))] if told else []
