"""The one certificate of all replicas: read from its Secret, made where it is missing, renewed before it expires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_operator import certificates
from fairlead_operator.cluster import kinds

if TYPE_CHECKING:
    from fairlead_operator.certificates import Bundle
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest

__all__ = ["Keeper"]

_ATTEMPTS: Final = 5


class Keeper:
    """Keeps a certificate in a Secret, together with other replicas that do the same.

    Args:
        cluster: the API server.
        name: the name of the Secret.
        namespace: its namespace.
        names: the names of the server.
        clock: the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        namespace: str,
        names: Sequence[str],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._namespace = namespace
        self._names = tuple(names)
        self._clock = clock

    async def current(self) -> Bundle:
        """The certificate that is to be used now.

        Whoever writes first decides; the others take what that one wrote.

        Raises:
            ConfigurationError: the Secret is somebody else's, and its certificate cannot be used.
            ClusterError: the API server does not let the Secret be read or written.
        """
        for _ in range(_ATTEMPTS):
            known = await self._known()
            before = certificates.from_secret(known)
            bundle = certificates.renewed(before, self._names, self._clock())
            if bundle == before:
                return bundle
            secret = certificates.to_secret(bundle, self._name, self._namespace, known)
            try:
                await (self._cluster.create(secret) if known is None else self._cluster.replace(secret))
            except (errors.ObjectConflict, errors.ObjectNotFound):
                continue
            return bundle
        raise errors.ClusterUnavailable(f"The Secret {self._namespace}/{self._name} changes faster than it is read.")

    async def _known(self) -> Manifest | None:
        try:
            return await self._cluster.get(kinds.BY_KIND["Secret"], self._name, self._namespace)
        except errors.ObjectNotFound:
            return None
