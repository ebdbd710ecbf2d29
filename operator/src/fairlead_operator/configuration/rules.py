"""What fields have to be together, once all levels have had their say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from fairlead.contracts.quantities import quantity
from fairlead_operator.configuration.fields import BY_PATH

__all__ = ["RULES", "Rule"]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule over several fields.

    Attributes:
        paths: the fields, which get back their defaults where they break it.
        broken: says what is wrong with values, in a sentence; None where nothing is.
    """

    paths: tuple[str, ...]
    broken: Callable[[Mapping[str, Any]], str | None]


def _requests() -> Iterator[Rule]:
    """No request may be more than the limit of the same."""
    for path in BY_PATH:
        if path.endswith("Request") and BY_PATH[path].effect:
            yield _within(path, f"{path.removesuffix('Request')}Limit")


def _within(request: str, limit: str) -> Rule:
    def broken(values: Mapping[str, Any]) -> str | None:
        wanted, most = values[request], values[limit]
        if not wanted or not most or quantity(wanted) <= quantity(most):
            return None
        return f"{request} is {wanted}, which is more than {limit}, {most}."

    return Rule((request, limit), broken)


_ROLLOUT: Final = "deploy.deploymentRolloutStrategy.defaultRollout"
_SURGE: Final = f"{_ROLLOUT}.maxSurge"
_UNAVAILABLE: Final = f"{_ROLLOUT}.maxUnavailable"
_GATEWAY_API: Final = "ingress.enableGatewayApi"
_GATEWAY: Final = "ingress.kserveIngressGateway"


def _standstill(values: Mapping[str, Any]) -> str | None:
    if all(int(values[path].removesuffix("%")) == 0 for path in (_SURGE, _UNAVAILABLE)):
        return f"{_SURGE} and {_UNAVAILABLE} are both 0, so that no pod could ever be replaced."
    return None


def _no_gateway(values: Mapping[str, Any]) -> str | None:
    if values[_GATEWAY_API] and not values[_GATEWAY]:
        return f"{_GATEWAY_API} is true, and {_GATEWAY} names no Gateway."
    return None


RULES: Final = (*_requests(), Rule((_SURGE, _UNAVAILABLE), _standstill), Rule((_GATEWAY,), _no_gateway))
"""Every rule."""
