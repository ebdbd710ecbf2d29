"""Views of a service: its status as it follows from what is seen, and the plain values that commands show."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from fairlead.local import routing
from fairlead.local.latest import Latest, look
from fairlead.resolve.observation import ComponentObservation, Ingress, ServiceObservation
from fairlead.resolve.status import derive

if TYPE_CHECKING:
    from fairlead.api.status import InferenceServiceStatus
    from fairlead.local.deployment import Deployment
    from fairlead.local.service import Service
    from fairlead.local.track import Track
    from fairlead.resolve.service import ResolvedService
    from fairlead.resolve.status import Unresolved

__all__ = ["Seen", "Way", "observation", "publish", "view"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way that requests come.

    Attributes:
        down: why the gateway does not answer; empty where it does.
        internal: the gateway's URL.
    """

    down: str
    internal: str


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What a status is derived from, and what is shown beside it.

    Attributes:
        observed: what is seen of the service.
        subject: what is declared, as it was resolved, or why it cannot be.
        events: how many there are.
        latest: the latest revision of each component.
    """

    observed: ServiceObservation | None
    subject: ResolvedService | Unresolved
    events: int
    latest: tuple[Latest, ...]


def publish(service: Service, way: Way, address: str, now: float) -> bool:
    """Derive the status of a service anew; returns whether it, or what is seen of its replicas, changed."""
    subject = service.unresolved or service.resolved
    assert subject is not None
    newest = look(service, now)
    observed = observation(service, way, address)
    seen = Seen(observed, subject, len(service.events.views()), newest)
    if service.seen == seen:
        return False
    service.seen = seen
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = service.status
    service.status = derive(subject, observed, before, stamp)
    _tell_changes(service, before, now)
    return True


def observation(service: Service, way: Way, address: str) -> ServiceObservation | None:
    """What is seen of a service; None while nothing of it could ever be made."""
    resolved = service.resolved
    if resolved is None:
        return None
    port = address.rpartition(":")[2]
    components = {}
    for kind in resolved.components:
        track = service.tracks.get(service.serving.get(kind, "")) or service.tracks.get(resolved.components[kind].name)
        if track is not None:
            host = f"{resolved.name}-{kind}-{resolved.namespace}.localhost:{port}"
            components[kind] = _component(track, host)
    canaries = {
        each.name: _component(track, None)
        for each in resolved.canaries
        if (track := service.tracks.get(each.component.name)) is not None
    }
    ready = bool(components) and all(each.traffic for each in components.values()) and not way.down
    waiting = "No revision is ready to take requests yet."
    return ServiceObservation(
        ingress=Ingress(
            ready=ready,
            reason="" if ready else ("GatewayDown" if way.down else "NotReady"),
            message="" if ready else way.down or waiting,
        ),
        components=components,
        canaries=canaries,
        url=f"http://{resolved.host}:{port}",
        address=f"{way.internal}{resolved.path or ''}",
        generation=service.generation,
    )


def _component(track: Track, host: str | None) -> ComponentObservation:
    speaks = any(each.speaks_grpc for each in track.active)
    return track.observation(f"http://{host}" if host else None, host if speaks else None)


def _tell_changes(service: Service, before: InferenceServiceStatus | None, now: float) -> None:
    """Events of what became ready, where traffic goes now, and whether the service answers."""
    for name, each in ((service.status.components if service.status is not None else None) or {}).items():
        known = ((before.components if before is not None else None) or {}).get(name)
        if each.latest_ready_revision and (known is None or known.latest_ready_revision != each.latest_ready_revision):
            service.events.normal(now, "RevisionReady", f"Revision {each.latest_ready_revision} answers.")
        if each.traffic and (known is None or known.traffic != each.traffic):
            shares = " and ".join(f"{share.percent} % to {share.revision_name}" for share in each.traffic)
            service.events.normal(now, "TrafficChanged", f"Requests to the {name} go {shares}.")
    for canary in (service.status.canary_statuses if service.status is not None else None) or ():
        if canary.ready and canary.name not in _ready_canaries(before):
            said = f"Canary {canary.name} answers, and takes {canary.traffic_percent} % of the requests."
            service.events.normal(now, "CanaryReady", said)
    _tell_readiness(service, before, now)


def _ready_canaries(status: InferenceServiceStatus | None) -> set[str | None]:
    return {each.name for each in (status.canary_statuses if status is not None else None) or () if each.ready}


def _tell_readiness(service: Service, before: InferenceServiceStatus | None, now: float) -> None:
    was = {each.type: each.status for each in (before.conditions or ())} if before is not None else {}
    for each in (service.status.conditions if service.status is not None else None) or ():
        if each.type != "Ready" or was.get("Ready") == each.status:
            continue
        if each.status == "True":
            service.events.normal(now, "InferenceServiceReady", f"InferenceService {service.key[1]} is Ready.")
        elif was.get("Ready") == "True" and service.unresolved is None:  # that is told when it is declared
            service.events.warning(now, "InferenceServiceNotReady", each.message or each.reason or "It is not Ready.")


def view(service: Service) -> dict[str, Any]:
    """One service as `fairlead status`, `describe` and `logs` show it."""
    assert service.declared is not None
    manifest = service.declared.manifest()
    if service.status is not None:
        manifest["status"] = service.status.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    tracks = list(service.tracks.values())
    seen = service.seen
    return {
        "manifest": manifest,
        "current": seen is not None and seen.subject == (service.unresolved or service.resolved),
        "latest": [dataclasses.asdict(each) for each in seen.latest] if seen is not None else [],
        "replicas": [
            _replica(track, deployment, replica)
            for track in tracks
            for deployment in track.deployments.values()
            for replica in (*deployment.replicas, *deployment.leaving)
        ],
        "events": service.events.views(),
        "scaling": {track.name: _scaling(track) for track in tracks if track.active},
        "canaries": {name: percent for name, percent, _, _ in routing.canary_shares(service)},
    }


def _replica(track: Track, deployment: Deployment, replica: Any) -> dict[str, Any]:
    seen, ports = replica.observation, replica.ports
    return {
        "name": seen.name,
        "component": track.component.kind.value,
        "revision": deployment.name,
        "stage": seen.stage.value,
        "reason": seen.reason,
        "message": seen.message,
        "restarts": seen.restarts,
        "http": ports.http if ports else None,
        "grpc": ports.grpc if ports else None,
        "pid": replica.pid,
        "log": str(replica.order.logs),
        "started_at": replica.started_at,
    }


def _scaling(track: Track) -> dict[str, Any]:
    scaling = track.component.scaling
    latest = track.active[0]
    return {
        "component": track.component.kind.value,
        "strategy": scaling.strategy or ("external" if scaling.external else "none"),
        "desired": sum(each.desired for each in track.active),
        "ready": sum(len(each.ready) for each in track.active),
        "reason": latest.limited or latest.reason,
    }
