"""Keeps the copies of the operator's authorities in the namespaces of services up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_operator import differences
from fairlead_operator.cluster import kinds
from fairlead_operator.configuration.reading import CONDITION
from fairlead_operator.desired.authorities import copied
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead_operator.cluster.client import Cluster

__all__ = ["Bundles"]

_AGE: Final = 60.0
_KIND: Final = kinds.BY_KIND["ConfigMap"]


class Bundles:
    """Copies of one ConfigMap, looked at once a minute at most.

    Args:
        cluster: the API server.
        home: the operator's namespace.
        clock: seconds of any clock.
    """

    def __init__(self, cluster: Cluster, home: str, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._home = home
        self._clock = clock
        self._looked_at: dict[tuple[str, str], tuple[float, tuple[Problem, ...]]] = {}

    async def keep(self, name: str, namespace: str) -> tuple[Problem, ...]:
        """Have a namespace have the authorities of a ConfigMap of the operator's; returns why it cannot.

        Args:
            name: the ConfigMap; empty for none.
            namespace: the namespace.

        Raises:
            ClusterUnavailable: the API server cannot be asked.
        """
        if not name or namespace == self._home:
            return ()
        known = self._looked_at.get((namespace, name))
        if known is not None and self._clock() - known[0] < _AGE:
            return known[1]
        problems = await self._copy(name, namespace)
        self._looked_at[namespace, name] = (self._clock(), problems)
        return problems

    async def _copy(self, name: str, namespace: str) -> tuple[Problem, ...]:
        try:
            wanted = copied(await self._cluster.get(_KIND, name, self._home), namespace)
            try:
                live = await self._cluster.get(_KIND, wanted["metadata"]["name"], namespace)
            except errors.ObjectNotFound:
                live = {}
            if not differences.covers(live, wanted):
                await self._cluster.apply(wanted, force=True)
        except errors.ObjectNotFound:
            told = f"caBundleConfigMapName names {name}, and there is no such ConfigMap in {self._home}. Make it there."
            return (Problem(CONDITION, "NoAuthorities", told),)
        except (errors.ConfigurationError, errors.ObjectRefused, errors.ObjectConflict) as error:
            return (Problem(CONDITION, "NoAuthorities", str(error)),)
        return ()
