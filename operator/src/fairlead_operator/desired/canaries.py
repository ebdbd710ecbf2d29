"""Predictors of ``spec.canary`` in a cluster: what runs, and who gets how much.

A canary gets traffic once it is ready. Routes to the predictor give it its weight; behind a transformer it gets its
part of the replicas (see `fairlead_operator.desired.sharing`). No rule leads past the transformer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import sharing, ways
from fairlead_operator.desired.model import Problem
from fairlead_operator.desired.ways import Way

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedCanary, ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Surroundings

__all__ = ["CONDITION", "components", "problems", "weights"]

CONDITION: Final = "CanaryTrafficExact"
"""The condition that is False where requests are split in another way than the percentages say."""

_PERCENT: Final = (
    "canaryTrafficPercent of the {} is not followed, and its latest spec gets all traffic: a Deployment has no"
    " revisions to go back to. Use spec.canary for a predictor, and take canaryTrafficPercent out."
)
_MIRROR: Final = "No requests are copied in a cluster. Take the annotation fairlead.io/mirror-percent out."
_NO_ROUTE: Final = (
    "The canaries get no requests: no route is made for this service, and the Service of the predictor has no weights. "
)
_UNSPLIT: Final = {
    Way.LOCAL: ("NotRouted", f"{_NO_ROUTE}Ask the Service of each canary, or make the service visible from outside."),
    Way.FOREIGN: ("NotRouted", f"{_NO_ROUTE}Give the Service of each canary its weight where you route requests."),
    Way.INGRESS: (
        "GatewayAPINeeded",
        (
            "The canaries get no requests: an Ingress has no weights. Set enableGatewayApi in the key ingress of"
            " inferenceservice-config, or take spec.canary out."
        ),
    ),
}


def components(service: ResolvedService, surroundings: Surroundings) -> tuple[ResolvedComponent, ...]:
    """The components that run.

    The stable predictor has as many replicas fewer as those canaries have that get traffic, but at least one. One that
    is not ready, or gets nothing, takes no replica from it.
    """
    others = [each for kind, each in service.components.items() if kind is not ComponentKind.PREDICTOR]
    stable, spec = service.predictor, service.predictor.scaling.spec
    taken = sum(each.component.scaling.spec.min_replicas for each in _receiving(service, surroundings))
    fewest = sharing.stable_replicas(spec.min_replicas, taken)
    if fewest != spec.min_replicas:
        scaling = dataclasses.replace(stable.scaling, spec=dataclasses.replace(spec, min_replicas=fewest))
        stable = dataclasses.replace(stable, scaling=scaling)
    return (stable, *others, *(each.component for each in service.canaries))


def weights(service: ResolvedService, surroundings: Surroundings) -> tuple[tuple[str, int], ...]:
    """How requests to the predictor are split: Services and their percent, the stable predictor first.

    Only canaries that are ready are in it.
    """
    ready = [each for each in _weighted(service) if each.component.name in surroundings.ready]
    shared = sharing.is_shared(service)
    stable = sharing.stable_name(service) if shared else service.predictor.name
    rest = 100 - sum(each.traffic_percent for each in ready)
    return ((stable, max(0, rest)), *((each.component.name, each.traffic_percent) for each in ready))


def problems(service: ResolvedService, surroundings: Surroundings) -> list[Problem]:
    """Where requests are split in another way than asked for; one problem that has all of it."""
    found = [*_unsupported(service), *_split(service, surroundings)]
    if not found:
        return []
    return [Problem(CONDITION, found[0][0], " ".join(message for _, message in found))]


def _weighted(service: ResolvedService) -> list[ResolvedCanary]:
    return [each for each in service.canaries if each.traffic_percent]


def _receiving(service: ResolvedService, surroundings: Surroundings) -> list[ResolvedCanary]:
    """The canaries that answer a part of the service's requests now."""
    if ComponentKind.TRANSFORMER in service.components:
        reached = sharing.is_shared(service)
    else:
        reached = ways.way(service, surroundings) is Way.HTTP_ROUTES
    return [each for each in _weighted(service) if reached and each.component.name in surroundings.ready]


def _unsupported(service: ResolvedService) -> list[tuple[str, str]]:
    """What splits traffic without a cluster, and not in one: reason and message."""
    found = [
        ("PercentNotSupported", _PERCENT.format(kind))
        for kind, each in service.components.items()
        if each.canary_traffic_percent not in (None, 100)
    ]
    if service.mirror_percent:
        found.append(("MirrorNotSupported", _MIRROR))
    return found


def _split(service: ResolvedService, surroundings: Surroundings) -> list[tuple[str, str]]:
    if not _weighted(service):
        return []
    if sharing.is_asked_for(service):
        return [_behind_transformer(service)]
    found = ways.way(service, surroundings)
    return [_UNSPLIT[found]] if found in _UNSPLIT else []


def _behind_transformer(service: ResolvedService) -> tuple[str, str]:
    if hindrance := sharing.hindrance(service):
        return "NotShared", f"The canaries get nothing of what the transformer asks. {hindrance}"
    parts = sharing.percents(service)
    told = (f"{each.name} about {parts[each.name]:.0f} for {each.traffic_percent}" for each in service.canaries)
    message = (
        "What the transformer asks is split as there are replicas, each connection anew, and not by weights. In"
        f" percent: {', '.join(told)}; less while the stable predictor has more than its fewest replicas."
    )
    return "SharedByReplicas", message
