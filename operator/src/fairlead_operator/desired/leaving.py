"""When objects that are not desired any more may be deleted.

Promoting a canary gives the predictor the canary's name. It answers already, and still two ask by the old name for a
while: pods of a transformer or an explainer that are being replaced, and a gateway that has not read the changed route.
What they ask stays until they are done. A predictor that does not answer waits for nobody: what there was before may
hold the devices that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import routed, ways
from fairlead_operator.desired.ways import Way

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["may_go", "staying"]


def may_go(service: ResolvedService, surroundings: Surroundings, live: Mapping[tuple[str, str], Manifest]) -> bool:
    """Whether nobody asks what is not desired any more.

    Args:
        service: the InferenceService.
        surroundings: what it is rendered in.
        live: its objects, after what is desired was applied, by kind and name.
    """
    if service.stopped or service.predictor.name not in surroundings.ready:
        return True
    for kind, component in service.components.items():
        if kind is not ComponentKind.PREDICTOR and not _is_rolled_out(live.get(("Deployment", component.name))):
            return False
    found = ways.way(service, surroundings)
    return found is not Way.HTTP_ROUTES or not routed.lags(service, surroundings, live)


def staying(
    service: ResolvedService, surroundings: Surroundings, live: Mapping[tuple[str, str], Manifest]
) -> tuple[Manifest, ...]:
    """What stays although it is not desired any more: an Ingress, until HTTPRoutes lead where it does.

    Where the cluster does not know HTTPRoutes, or nobody follows them, requests still come by it.

    Args:
        service: the InferenceService.
        surroundings: what it is rendered in.
        live: its objects, after what is desired was applied, by kind and name.
    """
    found = ways.way(service, surroundings)
    if service.stopped or found not in (Way.HTTP_ROUTES, Way.MISSING):
        return ()
    if found is Way.HTTP_ROUTES and routed.by_routes(service, surroundings, live).ready:
        return ()
    return tuple(each for (kind, _), each in live.items() if kind == "Ingress")


def _is_rolled_out(deployment: Mapping[str, Any] | None) -> bool:
    """Whether all pods of a Deployment are of its present spec, and as many are available as there are."""
    if deployment is None:
        return False
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    counts = {status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")}
    return len(counts) == 1
