"""Where the gateway listens, and what it does with a request before its route is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.local.gateway import replies
from fairlead.local.gateway.clusters import socket_address
from fairlead.local.gateway.messages import BUFFER_LIMIT, Message, typed
from fairlead.local.gateway.replies import STATUS_HEADER
from fairlead.local.gateway.routes import HOLD, NAME, PUBLIC_WAY, WAY_HEADER, internal_way

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Internal

__all__ = ["internal_listener", "public_listener"]

_STREAM_IDLE: Final = "86400s"
"""Nothing may happen on a request for so long: what a model takes is bounded by the timeout of its route, what the
activator holds by the activator's deadlines."""

_HEADERS_TIMEOUT: Final = "15s"

_PATH_HEADER: Final = "x-fairlead-path"
"""What the path of a request is kept in for the access log, where one is asked for; `prefix_rewrite` changes it."""


def public_listener(host: str, port: int, routes: Path, *, access_log: Path | None) -> Message:
    """The listener that everybody asks, HTTP/1.1 and HTTP/2 without TLS on one port.

    Args:
        host: the IP address that it listens at.
        port: its port.
        routes: the file of the routes.
        access_log: the file that gets a line of JSON for each request, such as ``/dev/stdout``; None for none.
    """
    return _listener("public", host, port, f"{PUBLIC_WAY}%REQ(:AUTHORITY)%", routes, access_log)


def internal_listener(internal: Internal, routes: Path) -> Message:
    """A port on loopback that leads to one component.

    Args:
        internal: the port.
        routes: the file of the routes.
    """
    way = internal_way(internal)
    return _listener(way, "127.0.0.1", internal.port, way, routes, None)


def _listener(name: str, host: str, port: int, way: str, routes: Path, access_log: Path | None) -> Message:
    manager = _connection_manager(way, routes, access_log)
    return {
        "name": name,
        "address": socket_address(host, port),
        # Two gateways with one port would otherwise share it, and each have a part of the connections.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": BUFFER_LIMIT,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _connection_manager(way: str, routes: Path, access_log: Path | None) -> Message:
    source = {"path_config_source": {"path": str(routes)}, "resource_api_version": "V3"}
    return typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="gateway",
        codec_type="AUTO",
        rds={"route_config_name": NAME, "config_source": source},
        http_filters=_filters(),
        early_header_mutation_extensions=[_early(way, logged=access_log is not None)],
        use_remote_address=True,
        preserve_external_request_id=True,
        normalize_path=True,
        server_header_transformation="PASS_THROUGH",
        stream_idle_timeout=_STREAM_IDLE,
        request_headers_timeout=_HEADERS_TIMEOUT,
        http_protocol_options={"accept_http_10": True, "default_host_for_http_10": "localhost"},  # ab speaks it
        http2_protocol_options={"max_concurrent_streams": 1024},
        local_reply_config=replies.local_replies(),
        access_log=[] if access_log is None else [_access_log(access_log)],
    )


def _filters() -> list[Message]:
    # Routes that lead through the activator turn it on, and say whom it is to ask.
    hold = typed(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        status_on_error={"code": "ServiceUnavailable"},
        http_service={"server_uri": {"uri": "http://activator", "cluster": "activator", "timeout": "86400s"}},
    )
    router = typed("envoy.extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    name = "envoy.filters.http.header_mutation"
    mutations = {"response_mutations": [_set("grpc-status", f"%RESP({STATUS_HEADER})%"), {"remove": STATUS_HEADER}]}
    statuses = typed("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", mutations=mutations)
    return [
        {"name": name, "typed_config": statuses},
        {"name": HOLD, "disabled": True, "typed_config": hold},
        {"name": "envoy.filters.http.router", "typed_config": router},
    ]


def _early(way: str, *, logged: bool) -> Message:
    """Takes from each request what would tell Envoy where to send it, and notes how it came in."""
    mutations: list[Message] = [{"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}}]
    mutations.append(_set(WAY_HEADER, way))
    if logged:
        mutations.append(_set(_PATH_HEADER, "%REQ(:PATH)%"))
    mutation = typed(
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=mutations,
    )
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": mutation}


def _set(name: str, value: str) -> Message:
    """Sets a header; one whose value comes to nothing stays as it is."""
    return {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}


def _access_log(path: Path) -> Message:
    line: dict[str, Any] = {
        "time": "%START_TIME%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "method": "%REQ(:METHOD)%",
        "host": "%REQ(:AUTHORITY)%",
        "path": f"%REQ({_PATH_HEADER})%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "seconds": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "destination": "%UPSTREAM_CLUSTER_RAW%",
        "address": "%UPSTREAM_HOST%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": typed(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=str(path),
            log_format={"json_format": line},
        ),
    }
