"""From the services to what the gateway routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from fairlead.local.gateway.topology import Internal, Route, Split, Topology
from fairlead.resolve import rollout
from fairlead.resolve.service import ComponentKind

if TYPE_CHECKING:
    from fairlead.local.deployment import Deployment
    from fairlead.local.service import Service
    from fairlead.local.track import Track
    from fairlead.resolve.observation import Share

__all__ = ["DEFAULT_TIMEOUT", "canary_shares", "topology"]

DEFAULT_TIMEOUT: Final = 300.0
"""Seconds within which a request is answered whose component sets no ``timeout``; as Knative has it."""

_STARTING: Final = "is not ready yet"


def topology(services: Iterable[Service], *, leaving: bool) -> Topology:
    """What the gateway is to route.

    Args:
        services: the services.
        leaving: whether replicas that are let go are still there; so it is while routes change.
    """
    routes: list[Route] = []
    internals: list[Internal] = []
    named: dict[str, Deployment] = {}
    for service in services:
        if service.deleted or service.resolved is None:
            continue
        routes += _routes(service)
        if service.internal_port is not None:
            split = _split(service, ComponentKind.PREDICTOR)
            internals.append(Internal(name=service.label, port=service.internal_port, split=split))
        named.update((each.backend, each) for each in service.deployments())
    used = {name for split in _splits(routes, internals) for name, _ in (*split.weights, *split.mirrors)}
    backends = tuple(named[name].at(leaving=leaving) for name in sorted(used))
    return Topology(routes=tuple(routes), internals=tuple(internals), backends=backends)


def _splits(routes: Iterable[Route], internals: Iterable[Internal]) -> Iterator[Split]:
    for route in routes:
        yield route.entry
        if route.explain is not None:
            yield route.explain
    for internal in internals:
        yield internal.split


def _routes(service: Service) -> Iterator[Route]:
    """The way in to a service, and one to each of its components."""
    resolved = service.resolved
    assert resolved is not None
    kinds = resolved.components
    explain = _split(service, ComponentKind.EXPLAINER) if ComponentKind.EXPLAINER in kinds else None
    entry = ComponentKind.TRANSFORMER if ComponentKind.TRANSFORMER in kinds else ComponentKind.PREDICTOR
    yield Route(hosts=(resolved.host,), path=resolved.path, entry=_split(service, entry), explain=explain)
    domain = resolved.host.removeprefix(f"{resolved.name}-{resolved.namespace}.")
    for kind in kinds:
        host = f"{resolved.name}-{kind}-{resolved.namespace}.{domain}"
        yield Route(hosts=(host,), path=None, entry=_split(service, kind))


def _split(service: Service, kind: ComponentKind) -> Split:
    resolved = service.resolved
    assert resolved is not None
    component = resolved.components[kind]
    timeout = DEFAULT_TIMEOUT if component.timeout is None else (component.timeout or None)
    if resolved.stopped:
        reason = f"InferenceService {service.label} is stopped; remove its annotation serving.kserve.io/stop."
        return Split(weights=(), timeout=timeout, reason=reason)
    track = service.tracks.get(service.serving.get(kind, ""))
    shares = _shares(service, track, kind) if track is not None else ()
    backends = {each.name: each for each in service.deployments()}
    weights = tuple((backends[each.revision].backend, each.percent) for each in shares if each.percent)
    if not weights:
        reason = f"InferenceService {service.label} {_STARTING}: fairlead describe {service.key[1]} says why."
        return Split(weights=(), timeout=timeout, reason=reason)
    if kind is not ComponentKind.PREDICTOR:
        return Split(weights=weights, timeout=timeout)
    answering = [name for name, each in backends.items() if each.ready]
    copies = rollout.mirrors(shares, answering, resolved.mirror_percent)
    mirrors = tuple((backends[name].backend, percent) for name, percent in copies)
    return Split(weights=weights, mirrors=mirrors, timeout=timeout)


def _shares(service: Service, track: Track, kind: ComponentKind) -> tuple[Share, ...]:
    """How a component's requests are split; canaries take their part of the predictor's."""
    shares = tuple(each for each in track.shares if each.revision in track.deployments)
    if kind is not ComponentKind.PREDICTOR or not shares:
        return shares
    canaries = [(each.name, percent, ready) for _, percent, ready, each in canary_shares(service)]
    return rollout.canary_split(shares, canaries)


def canary_shares(service: Service) -> list[tuple[str, int, bool, Deployment]]:
    """Each canary of ``spec.canary``: its name, its percent, whether it is ready, and its latest deployment."""
    found: list[tuple[str, int, bool, Deployment]] = []
    for canary in service.resolved.canaries if service.resolved is not None else ():
        track = service.tracks.get(canary.component.name)
        if track is None or track.name in service.serving.values():
            continue
        ready = track.deployments.get(track.ledger.latest_ready or "")
        if (deployment := ready or next(iter(track.active), None)) is not None:
            found.append((canary.name, canary.traffic_percent, ready is not None and ready.may_serve, deployment))
    return found
