"""The files that Envoy reads while it runs: each replaced as a whole, and waited for until Envoy works by it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.errors import PlatformError
from fairlead.local.gateway import admin
from fairlead.local.gateway.process import last_words
from fairlead.local.gateway.rendering import Discovery, announced, render
from fairlead.local.gateway.topology import Topology

if TYPE_CHECKING:
    from fairlead.local.gateway.messages import Message, Resource

__all__ = ["Files", "replace"]

_SECONDS: Final = 30.0
_REFUSED: Final = "config update rejected: "
_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.05


class Files:
    """What Envoy is told.

    Args:
        folder: the folder of the files, by an absolute path.
        socket: the unix socket of Envoy's administration.
        log: where Envoy writes why it refuses something.
    """

    def __init__(self, folder: Path, *, socket: Path, log: Path) -> None:
        self._folder, self._socket, self._log = folder, socket, log
        self._written: dict[str, str] = {}
        """The versions of the files."""
        self._clusters: Mapping[str, Message] = {}
        """The clusters in their file."""

    def prepare(self) -> None:
        """Make the files with which nothing is routed, unless some were written here already.

        What lies there otherwise is of a platform before this one, and leads to replicas that are gone.

        Raises:
            OSError: they cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._written:
            nothing = render(Topology(), folder=self._folder)
            for resource in (announced({}), nothing.routes, nothing.listeners):
                self._write(resource)

    async def apply(self, wanted: Discovery) -> None:
        """Have Envoy work by these, in the order that loses no request: what is new, its routes, and then the rest.

        Raises:
            PlatformError: Envoy does not answer, or does not take it.
        """
        both = {**self._clusters, **wanted.clusters}
        await self._announce(both)
        await self._put(wanted.routes)
        await self._put(wanted.listeners)
        if len(both) != len(wanted.clusters):
            await self._announce(wanted.clusters)

    async def _announce(self, known: Mapping[str, Message]) -> None:
        resource = await asyncio.to_thread(announced, known)
        self._clusters = known
        await self._put(resource)

    async def _put(self, resource: Resource) -> None:
        """Write a file if its content is another, and wait until Envoy works by it."""
        pattern = f"^{re.escape(resource.counter)}[.](version_text|update_rejected|update_failure)$"
        version = f"{resource.counter}.version_text"
        # What is no message at all counts as a failure; what is one and cannot be, as rejected.
        refused = [f"{resource.counter}.{each}" for each in ("update_rejected", "update_failure")]
        before = await admin.statistics(self._socket, pattern)
        if before.get(version) == resource.version == self._written.get(resource.file):
            return
        logged = self._log.stat().st_size
        try:
            await asyncio.to_thread(self._write, resource)
        except OSError as error:
            raise PlatformError(
                f"{self._folder / resource.file} cannot be written: {error.strerror}.",
                remedy="The gateway goes on with what it was told before.",
            ) from error
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SECONDS
        pause = _PAUSE
        while loop.time() < deadline:
            now = await admin.statistics(self._socket, pattern)
            if any(now.get(each) != before.get(each) for each in refused):
                words = last_words(self._log, logged)
                raise PlatformError(f"The gateway refuses {resource.file}: {words.rpartition(_REFUSED)[2]}")
            if now.get(version) == resource.version:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        raise PlatformError(f"The gateway has not taken {resource.file} within {_SECONDS:g} seconds.")

    def _write(self, resource: Resource) -> None:
        replace(self._folder / resource.file, resource.text)
        self._written[resource.file] = resource.version


def replace(path: Path, text: str) -> None:
    """Write a file beside another and put it in its place, which is what Envoy watches for.

    Raises:
        OSError: it cannot be written; the other is still there.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
