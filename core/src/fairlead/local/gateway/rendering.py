"""From what is to be routed to the files that Envoy reads: a function without I/O."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.local.gateway import clusters, listeners, routes
from fairlead.local.gateway.messages import Message, Resource, answer, typed

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Topology

__all__ = ["CLUSTERS", "LISTENERS", "ROUTES", "Discovery", "announced", "render"]

CLUSTERS: Final = "clusters.json"
LISTENERS: Final = "listeners.json"
ROUTES: Final = "routes.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What Envoy reads.

    Attributes:
        clusters: what requests can be sent to, by name; `announced` makes their file.
        routes: which requests go where.
        listeners: the ports on loopback that lead to one component.
        conflicts: hosts and paths that more than one route claims, one sentence each; the first route has them.
    """

    clusters: Mapping[str, Message]
    routes: Resource
    listeners: Resource
    conflicts: tuple[str, ...] = ()


def render(topology: Topology, *, folder: Path) -> Discovery:
    """Make Envoy's configuration of what is to be routed.

    Args:
        topology: what is to be routed.
        folder: the folder that the files will lie in; absolute, because Envoy takes no other path.

    Raises:
        ValueError: a split names a backend that there is not, or one name is there twice.
    """
    _check(topology)
    ports = [
        typed("envoy.config.listener.v3.Listener", **listeners.internal_listener(each, folder / ROUTES))
        for each in sorted(topology.internals, key=lambda each: each.name)
    ]
    known = {each["name"]: each for backend in topology.backends for each in clusters.clusters(backend)}
    return Discovery(
        clusters=known,
        routes=answer(ROUTES, f"http.gateway.rds.{routes.NAME}", [routes.configuration(topology)]),
        listeners=answer(LISTENERS, "listener_manager.lds", ports),
        conflicts=routes.conflicts(topology.routes),
    )


def announced(known: Mapping[str, Message]) -> Resource:
    """The file of what requests can be sent to."""
    kind = "envoy.config.cluster.v3.Cluster"
    return answer(CLUSTERS, "cluster_manager.cds", [typed(kind, **known[name]) for name in sorted(known)])


def _check(topology: Topology) -> None:
    names = [each.name for each in topology.backends]
    internals = [each.name for each in topology.internals]
    for kind, given in (("backend", names), ("internal port", internals)):
        if twice := sorted(name for name, count in collections.Counter(given).items() if count > 1):
            raise ValueError(f"one name is given to more than one {kind}: {twice}")
    splits = [split for route in topology.routes for split in (route.entry, route.explain) if split is not None]
    splits += [internal.split for internal in topology.internals]
    named = {name for split in splits for name, _ in (*split.weights, *split.mirrors)}
    if unknown := named.difference(names):
        raise ValueError(f"splits name backends that the topology does not have: {sorted(unknown)}")
