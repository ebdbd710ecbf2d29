"""How requests that a transformer has prepared come to canaries of the predictor.

A route that gives canaries their part of a service with a transformer would lead past the transformer, so that the
weights have to hold where the transformer asks the predictor. It asks a Kubernetes Service, which has no weights. What
could have some: a mesh, which a plain cluster does not have; a route that is attached to the Service, which only a mesh
follows; and the gateway, whose address within the cluster, ports and certificates are not known here.

What every cluster does is to spread the connections to a Service over its ready pods. So the Service of the predictor
selects the pods of the canaries too (*shared*), and a canary gets as much as it has of the replicas. It fits that a
canary has its percentage of ``minReplicas``, and the stable predictor has those fewer: with 10 replicas, 20 percent are
2 of 10. The name that the transformer asks stays the same, and so do all pods.

Routes to the predictor itself have exact weights. They need a Service with the pods of the stable predictor alone: a
second one, ``<name>-stable``.

It is approximate: replicas are whole, the stable predictor may be scaled up (which gives canaries less than asked), and
what is spread are connections. Where a canary would get over `TOLERATED` percent of all requests more than it is to
have, because there are too few replicas, nothing is shared, and the problem says how many replicas are needed. Nothing
is shared either where the pods cannot be asked alike, or where an explainer asks the same Service: one explanation asks
many times, and all of it has to be about one model.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fairlead.resolve.labels import COMPONENT_LABEL, SERVICE_LABEL
from fairlead.resolve.metadata_rules import LONGEST_LABEL
from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import service as kubernetes_service

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedCanary, ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Manifest

__all__ = [
    "TOLERATED",
    "hindrance",
    "is_asked_for",
    "is_shared",
    "percents",
    "services",
    "stable_name",
    "stable_replicas",
]

TOLERATED: Final = 5.0
"""Percent of all requests that a canary may get beyond its part, because replicas are whole."""

_STABLE: Final = "-stable"
_MOST_REPLICAS: Final = 100


def is_asked_for(service: ResolvedService) -> bool:
    """Whether canaries are to get requests that a transformer has prepared."""
    return ComponentKind.TRANSFORMER in service.components and any(each.traffic_percent for each in service.canaries)


def is_shared(service: ResolvedService) -> bool:
    """Whether the Service of the predictor selects the pods of the canaries too.

    It depends on what is declared, and not on what is ready: pods that are not ready are asked by no Service.
    """
    return is_asked_for(service) and not _unlike(service) and not _exceeds(service, percents(service))


def hindrance(service: ResolvedService) -> str:
    """Why canaries get nothing of what the transformer asks, with what to do; empty where they do."""
    return _unlike(service) or _too_few(service)


def percents(service: ResolvedService) -> dict[str, float]:
    """The part of the replicas that each canary has while the stable predictor has its fewest, by the canary's name."""
    canaries = {each.name: _replicas(each) for each in service.canaries}
    return _percents(canaries, service.predictor.scaling.spec.min_replicas)


def stable_name(service: ResolvedService) -> str:
    """The name of the Service that has the pods of the stable predictor alone."""
    return f"{service.predictor.name}{_STABLE}"


def stable_replicas(whole: int, canaries: int) -> int:
    """How many replicas the stable predictor has at least.

    Args:
        whole: how many it would have without canaries.
        canaries: how many the canaries that get requests have.
    """
    return min(whole, max(1, whole - canaries))


def services(service: ResolvedService, objects: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The objects of the components, with the Services that sharing takes.

    Args:
        service: the InferenceService.
        objects: the objects of its components, each with the Service of its own pods.
    """
    if not is_shared(service):
        return tuple(objects)
    found: list[Manifest] = []
    for each in objects:
        if each["kind"] != "Service" or each["metadata"]["name"] != service.predictor.name:
            found.append(each)
            continue
        shared, stable = copy.deepcopy(each), copy.deepcopy(each)
        shared["spec"]["selector"] = {SERVICE_LABEL: service.name, COMPONENT_LABEL: ComponentKind.PREDICTOR.value}
        stable["metadata"]["name"] = stable_name(service)
        found += shared, stable
    return tuple(found)


def _unlike(service: ResolvedService) -> str:
    """Why the pods of stable predictor and canaries cannot be asked alike, with what to do; empty where they can."""
    if ComponentKind.EXPLAINER in service.components:
        return (
            "The explainer asks the predictor by the same Service, and an explanation has to be about one model."
            " Make the explainer an InferenceService of its own while there is a canary."
        )
    if service.predictor.workers is not None:
        return "The predictor has replicas of several nodes. Ask the canary by a service of its own."
    if dark := [each.name for each in service.canaries if not each.traffic_percent]:
        return f"{', '.join(dark)} is to get nothing, and would get a part. Take canaries with 0 percent out."
    if len(stable_name(service)) > LONGEST_LABEL:
        return f"The name {stable_name(service)} has over {LONGEST_LABEL} characters. Choose a shorter name."
    ports = _ports(service.predictor)
    if other := [each.name for each in service.canaries if _ports(each.component) != ports]:
        return f"{', '.join(other)} listens on other ports than the stable predictor. Give both the same ports."
    return ""


def _ports(component: ResolvedComponent) -> list[tuple[object, ...]]:
    """What of a Service's ports must be the same for all of its pods."""
    keys = ("port", "targetPort", "protocol", "appProtocol")
    return [tuple(each.get(key) for key in keys) for each in kubernetes_service.ports(component)]


def _replicas(canary: ResolvedCanary) -> int:
    return canary.component.scaling.spec.min_replicas


def _percents(canaries: dict[str, int], whole: int) -> dict[str, float]:
    together = sum(canaries.values())
    everything = together + stable_replicas(whole, together)
    return {name: 100 * replicas / everything for name, replicas in canaries.items() if everything}


def _exceeds(service: ResolvedService, shares: dict[str, float]) -> list[str]:
    """The canaries that would get too much."""
    asked = {each.name: each.traffic_percent for each in service.canaries}
    return [name for name, share in shares.items() if share > asked[name] + TOLERATED]


def _too_few(service: ResolvedService) -> str:
    shares = percents(service)
    if not (over := _exceeds(service, shares)):
        return ""
    told = " and ".join(f"{name} about {shares[name]:.0f}" for name in over)
    needed = _enough(service)
    remedy = f"Set spec.predictor.minReplicas to {needed}" if needed else "Set minReplicas of the canary lower"
    return f"There are so few replicas that of 100 requests {told} would go to it. {remedy}."


def _enough(service: ResolvedService) -> int | None:
    """The fewest replicas of the predictor with which no canary gets too much; None where there is no such number."""
    declared = {each.predictor.name: each.predictor.min_replicas for each in service.declared.spec.canary or ()}
    for whole in range(1, _MOST_REPLICAS + 1):
        canaries = {
            each.name: declared.get(each.name) or max(1, -(-whole * each.traffic_percent // 100))
            for each in service.canaries
        }
        if not _exceeds(service, _percents(canaries, whole)):
            return whole
    return None
