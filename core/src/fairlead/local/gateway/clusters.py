"""Where requests can be sent: for each backend and protocol its replicas, and whatever address the activator names."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fairlead.local.gateway.messages import BUFFER_LIMIT, Message, typed

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Address, Backend

__all__ = ["HELD", "Protocol", "addresses", "backend_of", "clusters", "held", "name_of", "socket_address"]

HELD: Final = "/held"
"""What the name of a cluster ends with whose requests were held by the activator, which then names an address."""

_UNBOUNDED: Final = 1 << 30
_CONNECT_TIMEOUT: Final = "2s"

_IDLE: Final = "1.5s"
"""A connection is given up when it was idle for so long: before the server at its end closes it, which would cost the
request that meets the closing. The shortest time in common use is two seconds (gunicorn)."""


class Protocol(enum.StrEnum):
    """What a backend is asked in."""

    REST = "rest"
    """HTTP/1.1."""
    GRPC = "grpc"
    """HTTP/2 without TLS."""


def name_of(backend: str, protocol: Protocol) -> str:
    """The name of the cluster of a backend's ready replicas."""
    return f"{backend}/{protocol}"


def held(backend: str, protocol: Protocol) -> str:
    """The name of the cluster for a backend's requests that the activator gives an address to."""
    return f"{backend}/{protocol}{HELD}"


def backend_of(cluster: str) -> str | None:
    """The backend that a cluster belongs to; None for a cluster of the gateway itself."""
    name, _, protocol = cluster.removesuffix(HELD).rpartition("/")
    return name if name and protocol in tuple(Protocol) else None


def addresses(backend: Backend) -> Iterator[tuple[Protocol, tuple[Address, ...]]]:
    """The protocols that a backend speaks, each with where it does."""
    if backend.rest is not None:
        yield Protocol.REST, backend.rest
    if backend.grpc is not None:
        yield Protocol.GRPC, backend.grpc


def clusters(backend: Backend) -> Iterator[Message]:
    """The clusters of a backend, as CDS announces them.

    The addresses of the replicas are part of them. A cluster whose addresses change is made anew: what is in flight is
    answered over the connections of the old one, and what comes next opens new ones. Endpoints in files of their own
    (EDS) would keep the connections, but Envoy takes an inotify instance for each such file, of which Linux gives a
    user 128 unless told otherwise, and ends when there are no more.
    """
    for protocol, listening in addresses(backend):
        common = _common(protocol, backend.max_requests)
        name = name_of(backend.name, protocol)
        members = [{"endpoint": {"address": socket_address(each.host, each.port)}} for each in sorted(listening)]
        loads = {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]}
        yield {"name": name, "type": "STATIC", "load_assignment": loads, **_LEAST_REQUESTS, **common}
        name = held(backend.name, protocol)
        yield {"name": name, "type": "ORIGINAL_DST", **_NAMED_ADDRESS, **common}


def socket_address(host: str, port: int) -> Message:
    """An address of TCP."""
    return {"socket_address": {"address": host, "port_value": port}}


_LEAST_REQUESTS: Final[Message] = {"lb_policy": "LEAST_REQUEST"}
_NAMED_ADDRESS: Final[Message] = {
    "lb_policy": "CLUSTER_PROVIDED",
    "original_dst_lb_config": {"use_http_header": True},
    # Seconds after which an address is forgotten that nothing was sent to.
    "cleanup_interval": "60s",
}


def _common(protocol: Protocol, max_requests: int | None) -> Message:
    """What all clusters of a backend have, whichever way its addresses come."""
    options: Message = {"http_protocol_options": {}} if protocol is Protocol.REST else {"http2_protocol_options": {}}
    http = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config=options,
        common_http_protocol_options={"idle_timeout": _IDLE},
    )
    bounds = {
        "max_connections": _UNBOUNDED,
        "max_pending_requests": _UNBOUNDED,
        "max_requests": _UNBOUNDED if max_requests is None else min(max_requests, _UNBOUNDED),
        "max_retries": _UNBOUNDED,
    }
    return {
        "connect_timeout": _CONNECT_TIMEOUT,
        "per_connection_buffer_limit_bytes": BUFFER_LIMIT,
        "circuit_breakers": {"thresholds": [bounds]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http},
    }
