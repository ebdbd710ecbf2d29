"""Which components of a service the operator scales itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead_operator.desired import autoscaling, canaries
from fairlead_operator.scaling.reach import Subject

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Surroundings

__all__ = ["subjects"]


def subjects(service: ResolvedService, surroundings: Surroundings) -> list[Subject]:
    """The components whose strategy decides and does not delegate, canaries among them; none of a stopped service."""
    if service.stopped:
        return []
    running = (
        (each, autoscaling.in_process(each, surroundings)) for each in canaries.components(service, surroundings)
    )
    return [
        Subject(namespace=service.namespace, service=service.name, component=component, strategy=strategy)
        for component, strategy in running
        if strategy is not None
    ]
