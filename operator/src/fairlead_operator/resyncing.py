"""Lists everything now and then: a watch may miss that an object went away while it was not connected."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_operator.cluster import kinds
from fairlead_operator.world import CONFIG_MAP

if TYPE_CHECKING:
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.cluster.kinds import Kind
    from fairlead_operator.world import World

__all__ = ["Resync"]

_PAUSE: Final = 1.0
"""Seconds in which events of a list that was read again are taken for one."""

_LONGEST_PAUSE: Final = 30.0

_CONFIG: Final = "ConfigMap"
_DEFINITION: Final = kinds.BY_KIND["CustomResourceDefinition"]
_AGAIN: Final = 5.0
"""Seconds after which a kind is listed again that could not be."""

_OF_HOME: Final = 15.0
"""Seconds between two looks at the operator's own ConfigMap, where no watch tells of it."""

_log = logging.getLogger("fairlead.operator")


class Resync:
    """Lists kinds: all of them at intervals, and one soon after its watch had to begin anew.

    Args:
        cluster: the API server.
        world: what is told of what was found.
        home: the operator's namespace.
        namespaces: the namespaces that are looked at; none of them for all.
        interval: seconds between two lists of everything.
    """

    def __init__(
        self, cluster: Cluster, world: World, *, home: str, namespaces: tuple[str, ...], interval: float
    ) -> None:
        self._cluster = cluster
        self._kinds = cluster.kinds
        self._world = world
        self._home = home
        self._namespaces = namespaces
        self._interval = interval
        self._asked: set[str] = set()
        self._wanted = asyncio.Event()
        self.known = asyncio.Event()
        """Set once everything was listed: before, nobody acts on half of the world."""

    @property
    def _is_unwatched(self) -> bool:
        """Whether no watch tells of the ConfigMap of the operator's own namespace."""
        return bool(self._namespaces) and self._home not in self._namespaces

    def ask(self, *names: str) -> None:
        """Ask for kinds to be listed soon; for all of them where none is named."""
        self._asked.update(names or (each.name for each in self._kinds.listed))
        self._wanted.set()

    async def run(self) -> None:
        """List until it is cancelled; what fails is tried again at the next time."""
        await self._begin()
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        if self._is_unwatched:
            self.ask(_CONFIG)
        while True:
            pause = max(0.0, due - loop.time())
            try:
                async with asyncio.timeout(min(pause, _OF_HOME) if self._is_unwatched else pause):
                    await self._wanted.wait()
                await asyncio.sleep(_PAUSE)
                wanted, self._asked = self._asked, set()
                self._wanted.clear()
            except TimeoutError:
                if loop.time() < due:
                    wanted = {_CONFIG}
                else:
                    wanted = {each.name for each in self._kinds.listed}
                    due = loop.time() + self._interval
            for kind in self._kinds.listed:
                if kind.name in wanted and not await self._list(kind):
                    loop.call_later(_AGAIN, self.ask, kind.name)

    async def _begin(self) -> None:
        for kind in (_DEFINITION, *self._kinds.listed):
            pause = _PAUSE
            while not await self._list(kind):
                if kind in self._kinds.others:  # one plugin that lacks a rule must not keep all services waiting
                    self.ask(kind.name)
                    break
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        self.known.set()

    async def _list(self, kind: Kind) -> bool:
        """List a kind; returns False where that is to be tried again soon."""
        if self._kinds.is_optional(kind) and kind.served_as not in self._world.apis():
            return True
        labels = kinds.SELECTOR if kind in self._kinds.labelled else ""
        fields = f"metadata.name={CONFIG_MAP}" if kind.name == _CONFIG else ""
        namespaces: tuple[str | None, ...] = self._namespaces if kind.namespaced and self._namespaces else (None,)
        if kind.name == _CONFIG and self._is_unwatched:
            namespaces = (*namespaces, self._home)
        try:
            found, versions = [], []
            for namespace in namespaces:
                objects, version = await self._cluster.every(kind, labels=labels, fields=fields, namespace=namespace)
                found += objects
                versions.append(version)
        except errors.ObjectNotFound:
            _log.warning("The cluster does not know %s. Apply operator/manifests/crd.", kind.plural)
            return True
        except errors.ClusterError as error:
            _log.warning("%s cannot be listed: %s", kind.plural, error)
            return False
        self._world.replace(kind.name, found, min(versions, key=lambda each: int(each) if each.isdigit() else 0))
        return True
