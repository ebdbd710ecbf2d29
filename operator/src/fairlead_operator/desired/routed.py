"""Whether the objects that bring requests are there, and whether the gateway follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve.observation import Ingress
from fairlead_operator.desired import httproutes

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["by_ingress", "by_routes", "lags", "waiting"]

_UNTOLD: Final = "ParentStatusNotAvailable"
_ACCEPTED: Final = "Accepted"
_BAD_WHEN_TRUE: Final = frozenset({"PartiallyInvalid"})


def waiting(component: str, name: str) -> Ingress:
    """A component that does not answer yet.

    Args:
        component: how conditions call it, such as ``Predictor``.
        name: the name of its objects.
    """
    message = f"Requests would reach nothing: no replica of {name} is available. Its own condition says why."
    return Ingress(ready=False, reason=f"{component} Deployment NotReady", message=message)


def by_ingress(service: ResolvedService, live: Mapping[tuple[str, str], Manifest]) -> Ingress:
    """Whether the Ingress of a service is there; controllers tell nothing more that all of them have in common."""
    if ("Ingress", service.name) in live:
        return Ingress(ready=True)
    return Ingress(ready=False, reason="IngressNotCreated", message=f"The Ingress {service.name} is not there yet.")


def by_routes(
    service: ResolvedService, surroundings: Surroundings, live: Mapping[tuple[str, str], Manifest]
) -> Ingress:
    """Whether the gateway follows every HTTPRoute of a service: the first that it does not follow says why."""
    for name, component in httproutes.names(service, surroundings).items():
        route = live.get(("HTTPRoute", name))
        if route is None:
            message = f"The HTTPRoute {name} is not there yet."
            return Ingress(ready=False, reason=f"{component} HTTPRoute NotCreated", message=message)
        found = _followed(name, component, route, surroundings)
        if not found.ready:
            return found
    return Ingress(ready=True)


def lags(service: ResolvedService, surroundings: Surroundings, live: Mapping[tuple[str, str], Manifest]) -> bool:
    """Whether the gateway still follows an HTTPRoute of a service as it was before its last change."""
    gateway = httproutes.gateway(surroundings)
    routes = (live.get(("HTTPRoute", name), {}) for name in httproutes.names(service, surroundings))
    return any(
        each.get("observedGeneration", 0) < route["metadata"].get("generation", 0)
        for route in routes
        for parent in _dicts(_dict(route.get("status")).get("parents"))
        if _is_of(parent, gateway, route)
        for each in _dicts(parent.get("conditions"))
        if "observedGeneration" in each
    )


def _followed(name: str, component: str, route: Manifest, surroundings: Surroundings) -> Ingress:
    gateway = httproutes.gateway(surroundings)
    parents = [each for each in _dicts(_dict(route.get("status")).get("parents")) if _is_of(each, gateway, route)]
    said = "/".join(gateway or ())
    if not parents:
        return _untold(f"{component}: the Gateway {said} has said nothing of the HTTPRoute {name}. Is it there?")
    generation = _dict(route.get("metadata")).get("generation", 0)
    for parent in parents:
        conditions = _dicts(parent.get("conditions"))
        for each in filter(_is_bad, conditions):
            told = each.get("message") or each.get("reason") or each.get("type")
            return Ingress(ready=False, reason=each.get("reason") or _UNTOLD, message=f"{component} {told}")
        current = [each for each in conditions if each.get("observedGeneration", generation) >= generation]
        if len(current) < len(conditions) or not _accepted(current):
            return _untold(f"{component}: the Gateway {said} has not looked at the HTTPRoute {name} as it is now.")
    return Ingress(ready=True)


def _untold(message: str) -> Ingress:
    return Ingress(ready=False, reason=_UNTOLD, message=message)


def _is_bad(condition: Mapping[str, Any]) -> bool:
    return condition.get("status") == ("True" if condition.get("type") in _BAD_WHEN_TRUE else "False")


def _accepted(conditions: list[dict[str, Any]]) -> bool:
    """Whether nothing is unknown, and the route is accepted."""
    known = {each.get("type"): each.get("status") for each in conditions}
    return known.get(_ACCEPTED) == "True" and "Unknown" not in known.values()


def _is_of(parent: Mapping[str, Any], gateway: tuple[str, str] | None, route: Manifest) -> bool:
    """Whether this is about the Gateway that the route names; others may be left from before."""
    ref = _dict(parent.get("parentRef"))
    home = _dict(route.get("metadata")).get("namespace")
    return ref.get("kind", "Gateway") == "Gateway" and (ref.get("namespace", home), ref.get("name")) == gateway


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
