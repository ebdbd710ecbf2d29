"""Which requests go where: hosts, paths, protocols, shares and copies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

from fairlead.local.gateway import clusters
from fairlead.local.gateway.clusters import Protocol
from fairlead.local.gateway.messages import Message, typed
from fairlead.local.gateway.topology import Backend, Internal, Route, Split, Topology

__all__ = ["ADDRESS_HEADER", "HOLD", "NAME", "PUBLIC_WAY", "WAY_HEADER", "configuration", "conflicts", "internal_way"]

ADDRESS_HEADER: Final = "x-envoy-original-dst-host"
"""The header in which the activator names the address that a request is sent to."""

NAME: Final = "routes"
"""The name that listeners ask for their routes by."""

WAY_HEADER: Final = "x-fairlead-way"
"""The header in which a listener notes how a request came in; no server gets it."""

PUBLIC_WAY: Final = "public/"
"""What that header has before the host in a request that came in where everybody asks."""

HOLD: Final = "envoy.filters.http.ext_authz"
"""The filter that asks the activator; it is off but where a route turns it on."""

_EXPLAIN: Final = r"[^?]*[:/]explain(\?.*)?"
"""Paths, with what follows ``?``, that ask for an explanation: ``:explain`` in V1 and ``/explain`` in V2."""

_RETRIES: Final[Message] = {
    # Nothing else is tried again: these requests are known not to have reached a server.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
        }
    ],
    "host_selection_retry_max_attempts": 5,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.1s"},
}

_REASON_BYTES: Final = 65536

_LONGEST: Final = 10 * 365 * 86400.0
"""Seconds that Envoy is told where more are asked for: it takes no routes at all where one has too many."""


def conflicts(routes: Iterable[Route]) -> tuple[str, ...]:
    """What is declared twice, one sentence each; the first route of those that claim a host or a path has it.

    ``a`` in namespace ``b-c`` and ``a-b`` in ``c`` have one host in common, for example.
    """
    seen: dict[str, int] = {}
    for route in routes:
        for way in (*_hosts(route), *_paths(route)):
            seen[way] = seen.get(way, 0) + 1
    return tuple(
        f"{count} services claim {way}: the first has it. Give the others another name, or ask them by their path."
        for way, count in seen.items()
        if count > 1
    )


def configuration(topology: Topology) -> Message:
    """The routes of all listeners: a virtual host for each route, one for what comes by path, and one for each port.

    Listeners share them, because each file that Envoy reads takes an inotify instance; what tells their requests apart
    is the header `WAY_HEADER`, which each listener sets.

    Args:
        topology: what is to be routed.
    """
    backends = {each.name: each for each in topology.backends}
    taken: set[str] = set()
    hosts: list[Message] = []
    by_path: list[Message] = []
    for route in topology.routes:
        if domains := [each for each in _hosts(route) if each not in taken]:
            taken.update(domains)
            rules = list(_rules({"prefix": "/"}, {}, route, backends))
            hosts.append(_virtual_host([PUBLIC_WAY + each for each in domains], rules))
        for path in _paths(route):
            if path not in taken:
                taken.add(path)
                by_path += _rules({"prefix": f"{path}/"}, {"prefix_rewrite": "/"}, route, backends)
                by_path += _rules({"path": path}, {"prefix_rewrite": "/"}, route, backends)
    if by_path:
        hosts.append(_virtual_host([f"{PUBLIC_WAY}*"], by_path))
    for internal in topology.internals:
        alone = Route(hosts=(), path=None, entry=internal.split)
        hosts.append(_virtual_host([internal_way(internal)], list(_rules({"prefix": "/"}, {}, alone, backends))))
    return typed(
        "envoy.config.route.v3.RouteConfiguration",
        name=NAME,
        virtual_hosts=hosts,
        vhost_header=WAY_HEADER,
        request_headers_to_remove=[WAY_HEADER, "x-envoy-external-address", "x-envoy-internal"],
        ignore_port_in_host_matching=True,
        max_direct_response_body_size_bytes=_REASON_BYTES,
    )


def internal_way(internal: Internal) -> str:
    """What the requests of a port that leads to one component have in the header `WAY_HEADER`."""
    return f"internal/{internal.name}".lower()


def _virtual_host(domains: list[str], routes: list[Message]) -> Message:
    # What all routes have in common is said once: Envoy takes its time to read what there is of many services.
    return {"name": domains[0], "domains": domains, "retry_policy": _RETRIES, "routes": routes}


def _hosts(route: Route) -> Iterable[str]:
    return dict.fromkeys(host.lower() for host in route.hosts)


def _paths(route: Route) -> Iterable[str]:
    return () if route.path is None else (route.path.rstrip("/"),)


def _rules(match: Message, rewrite: Message, route: Route, backends: Mapping[str, Backend]) -> Iterator[Message]:
    """What becomes of the requests that match, the first rule that fits."""
    if route.explain is not None and "prefix" in match:
        explains = {"name": ":path", "string_match": {"safe_regex": {"regex": _EXPLAIN}}}
        rule = _rule(route.explain, Protocol.REST, rewrite, backends)
        yield {"match": {**match, "headers": [explains]}, **rule}
    yield {"match": {**match, "grpc": {}}, **_rule(route.entry, Protocol.GRPC, rewrite, backends)}
    yield {"match": match, **_rule(route.entry, Protocol.REST, rewrite, backends)}


def _rule(split: Split, protocol: Protocol, rewrite: Message, backends: Mapping[str, Backend]) -> Message:
    """Where the requests of one protocol go."""
    shares = [(backends[name], percent) for name, percent in split.weights if percent > 0]
    if not shares:
        return _refusal(503, split.reason or "Nothing is ready to answer.")
    if not any(_speaks(backend, protocol) for backend, _ in shares):
        return _refusal(404, f"This component does not answer {_words(protocol)}.")
    common = {
        **rewrite,
        "timeout": _seconds(split.timeout),
        **({"request_mirror_policies": mirrors} if (mirrors := list(_mirrors(split, protocol, backends))) else {}),
        # A backend that does not speak what its split does has no cluster.
        "cluster_not_found_response_code": "NOT_FOUND",
    }
    if len(shares) == 1:
        destination, filters = _destination(shares[0][0], protocol)
        return {"route": {"cluster": destination, **common}, **filters}
    weighted: list[Message] = []
    for backend, percent in shares:
        destination, filters = _destination(backend, protocol)
        weighted.append({"name": destination, "weight": percent, **filters})
    return {"route": {"weighted_clusters": {"clusters": weighted}, **common}}


def _seconds(timeout: float | None) -> str:
    """A time as Envoy reads it: no exponent, and no more than a number of seconds that it takes; ``0s`` is without."""
    return "0s" if timeout is None else f"{min(timeout, _LONGEST):.9f}".rstrip("0").rstrip(".") + "s"


def _refusal(status: int, reason: str) -> Message:
    return {"direct_response": {"status": status, "body": {"inline_string": reason}}}


def _words(protocol: Protocol) -> str:
    return "HTTP requests: ask it over gRPC" if protocol is Protocol.REST else "gRPC: ask it over HTTP"


def _speaks(backend: Backend, protocol: Protocol) -> bool:
    return (backend.rest if protocol is Protocol.REST else backend.grpc) is not None


def _destination(backend: Backend, protocol: Protocol) -> tuple[str, Message]:
    """The cluster of a backend's requests, and what filters are to know of it."""
    if not backend.through_activator:
        return clusters.name_of(backend.name, protocol), {}
    return clusters.held(backend.name, protocol), {"typed_per_filter_config": _hold(backend.name, protocol)}


def _hold(backend: str, protocol: Protocol) -> Message:
    """Has the activator hold requests, and name an address for each."""
    service = {
        "server_uri": {"uri": "http://activator", "cluster": "activator", "timeout": "86400s"},
        "path_prefix": f"/hold/{protocol}/{quote(backend, safe='')}",
        "authorization_response": {
            "allowed_upstream_headers": {"patterns": [{"exact": ADDRESS_HEADER}]},
            "allowed_client_headers": {"patterns": [{"exact": "retry-after"}, {"exact": "content-type"}]},
        },
    }
    check = typed(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", check_settings={"http_service": service}
    )
    return {HOLD: typed("envoy.config.route.v3.FilterConfig", config=check)}


def _mirrors(split: Split, protocol: Protocol, backends: Mapping[str, Backend]) -> Iterator[Message]:
    for name, percent in split.mirrors:
        if percent > 0 and _speaks(backends[name], protocol):
            yield {
                "cluster": clusters.name_of(name, protocol),
                "runtime_fraction": {"default_value": {"numerator": percent, "denominator": "HUNDRED"}},
                "disable_shadow_host_suffix_append": True,
            }
