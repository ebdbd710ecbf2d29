"""What Envoy is started with: its administration, the activator, the public listener, and where the rest is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.local.gateway import listeners
from fairlead.local.gateway.rendering import CLUSTERS, LISTENERS, ROUTES

if TYPE_CHECKING:
    from fairlead.local.gateway.messages import Message

__all__ = ["bootstrap"]

_STATISTICS: Final = (
    r"cluster\..*\.(upstream_rq_active|upstream_rq_pending_active|upstream_rq_total|upstream_rq_timeout|version_text)",
    r"http\.gateway\.(downstream_rq_active|rds\..*)",
    r"cluster_manager\.(cds\..*|warming_clusters|active_clusters)",
    r"listener_manager\.(lds\..*|total_listeners_warming|total_listeners_active)",
    r"server\..*",
)
"""The statistics that are kept; each costs memory for each cluster."""


def bootstrap(
    *, admin: Path, activator: Path, discovery: Path, host: str, port: int, access_log: Path | None = None
) -> str:
    """The file that Envoy is started with.

    Args:
        admin: the unix socket on which Envoy is asked how it is.
        activator: the unix socket of the activator.
        discovery: the folder of the files that it reads, and reads again when they are replaced; absolute.
        host: the IP address that the gateway listens at.
        port: its port.
        access_log: the file that gets a line of JSON for each request; None for none.
    """
    document: Message = {
        "node": {"id": "fairlead", "cluster": "fairlead"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "dynamic_resources": {
            "cds_config": _source(discovery / CLUSTERS),
            "lds_config": _source(discovery / LISTENERS),
        },
        "static_resources": {
            "listeners": [listeners.public_listener(host, port, discovery / ROUTES, access_log=access_log)],
            "clusters": [_activator(activator)],
        },
        "stats_config": {
            "use_all_default_tags": False,
            "stats_matcher": {
                "inclusion_list": {"patterns": [{"safe_regex": {"regex": each}} for each in _STATISTICS]}
            },
        },
    }
    return json.dumps(document, indent=1)


def _source(path: Path) -> Message:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _activator(socket: Path) -> Message:
    address = {"pipe": {"path": str(socket)}}
    unbounded = 1 << 30
    bounds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), unbounded)
    return {
        "name": "activator",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [bounds]},
        "load_assignment": {
            "cluster_name": "activator",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
