"""From an InferenceService as it is to run to its Kubernetes objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead_operator.desired import (
    autoscaling,
    canaries,
    deployment,
    disruption,
    multinode,
    routing,
    sharing,
    storage,
)
from fairlead_operator.desired import service as kubernetes_service
from fairlead_operator.desired.model import Desired

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Manifest, Problem, Surroundings

__all__ = ["render"]


def render(service: ResolvedService, surroundings: Surroundings) -> Desired:
    """All objects of an InferenceService, in the order in which they are made; none where it is stopped.

    Args:
        service: what it comes to.
        surroundings: what it is rendered in.

    Raises:
        Unresolvable: a component cannot run in a cluster as it stands. Nothing is to be changed then.
    """
    if service.stopped:
        return Desired()
    found: list[Manifest] = []
    problems: list[Problem] = []
    for component in canaries.components(service, surroundings):
        objects, more = _of_component(component, surroundings)
        found += objects
        problems += more
    routes, more = routing.objects(service, surroundings)
    return Desired(
        objects=(*sharing.services(service, found), *routes), problems=tuple(dict.fromkeys([*problems, *more]))
    )


def _of_component(component: ResolvedComponent, surroundings: Surroundings) -> tuple[list[Manifest], list[Problem]]:
    """Service, Deployment, autoscaler and disruption budget of a component, and what of that cannot be."""
    pods = (
        [deployment.of(component, surroundings)]
        if component.workers is None
        else multinode.objects(component, surroundings)
    )
    scalers, problems = autoscaling.objects(component, surroundings)
    found = [
        kubernetes_service.of(component, surroundings),
        *pods,
        *scalers,
        *disruption.objects(component, surroundings),
    ]
    return found, [*problems, *storage.problems(component, surroundings)]
