"""The ServiceAccounts that pods run as: asked for by name, and remembered for a while, because nobody may list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve.secrets import DEFAULT_ACCOUNT
from fairlead_operator.cluster import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest

__all__ = ["Accounts"]

_AGE: Final = 30.0
_MOST: Final = 10_000
_KIND: Final = kinds.BY_KIND["ServiceAccount"]


class Accounts:
    """ServiceAccounts, as they were at most half a minute ago.

    Args:
        cluster: the API server.
        clock: seconds of any clock.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Manifest | None]] = {}

    async def of(self, service: Mapping[str, Any]) -> list[Manifest]:
        """Those of an InferenceService; one that is not there is left out, and its pods say so.

        Raises:
            ClusterUnavailable: the API server cannot be asked.
        """
        namespace = service["metadata"].get("namespace") or ""
        found = [await self._get(namespace, name) for name in sorted(_names(service.get("spec")))]
        return [each for each in found if each is not None]

    async def _get(self, namespace: str, name: str) -> Manifest | None:
        known = self._known.get((namespace, name))
        now = self._clock()
        if known is not None and now - known[0] < _AGE:
            return known[1]
        try:
            account: Manifest | None = await self._cluster.get(_KIND, name, namespace)
        except errors.ObjectNotFound:
            account = None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[namespace, name] = (now, account)
        return account


def _names(spec: object) -> set[str]:
    """The accounts that the components of a spec name, whatever else it holds."""
    if not isinstance(spec, dict):
        return {DEFAULT_ACCOUNT}
    components = [spec.get(each) for each in ("predictor", "transformer", "explainer")]
    canaries = spec.get("canary")
    components += (
        [each.get("predictor") for each in canaries if isinstance(each, dict)] if isinstance(canaries, list) else []
    )
    said = (each.get("serviceAccountName") for each in components if isinstance(each, dict))
    return {DEFAULT_ACCOUNT, *(each for each in said if isinstance(each, str) and each)}
