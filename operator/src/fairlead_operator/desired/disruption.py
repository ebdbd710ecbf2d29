"""PodDisruptionBudgets: of a component with several replicas, one at a time may be evicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead_operator.desired import metadata

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["objects"]

_FEWEST: Final = 2


def objects(component: ResolvedComponent, surroundings: Surroundings) -> list[Manifest]:
    """The budget of a component that always has two replicas or more; nothing for any other.

    What somebody else scales may have one replica, whatever is declared. Pods that are not ready do not count, so that
    a broken rollout keeps no node from being drained.
    """
    scaling = component.scaling
    if scaling.external or component.workers is not None or scaling.spec.min_replicas < _FEWEST:
        return []
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata.of(component, surroundings),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": metadata.selector(component.name)},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        }
    ]
