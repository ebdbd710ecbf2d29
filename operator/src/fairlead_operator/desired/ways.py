"""Which objects bring requests to an InferenceService."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from fairlead_operator.desired import hosts

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Surroundings

__all__ = ["HTTP_ROUTE", "Way", "way"]

HTTP_ROUTE: Final = "gateway.networking.k8s.io/HTTPRoute"
"""The kind that the Gateway API brings, as `Surroundings.apis` names it."""


class Way(enum.Enum):
    """How requests come from outside of the cluster."""

    HTTP_ROUTES = enum.auto()
    """By HTTPRoutes of the Gateway API."""
    MISSING = enum.auto()
    """By HTTPRoutes, which the cluster does not know."""
    INGRESS = enum.auto()
    """By an Ingress."""
    FOREIGN = enum.auto()
    """By what somebody else makes (``disableIngressCreation``)."""
    LOCAL = enum.auto()
    """Not at all: the service is asked from within the cluster alone."""


def way(service: ResolvedService, surroundings: Surroundings) -> Way:
    """How requests come to a service."""
    ingress = surroundings.config.ingress
    if hosts.is_local(service, surroundings):
        return Way.LOCAL
    if ingress.disabled:
        return Way.FOREIGN
    if not ingress.gateway_api:
        return Way.INGRESS
    return Way.HTTP_ROUTES if HTTP_ROUTE in surroundings.apis else Way.MISSING
