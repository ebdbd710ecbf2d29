"""One life of a platform in the foreground: it starts, follows what is declared and asked, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from fairlead import errors
from fairlead.cli import viewing
from fairlead.local.control import Control

if TYPE_CHECKING:
    from fairlead.api import Resource
    from fairlead.cli.display import Display
    from fairlead.cli.hangup import Hangup
    from fairlead.cli.world import World
    from fairlead.local.folder import Folder
    from fairlead.local.watching import Watcher

__all__ = ["Running", "Session"]

_log = logging.getLogger("fairlead.up")

_GATHER: Final = 0.1
"""Seconds in which changes are gathered before they are shown."""

_RESTS: Final = 10
"""How many times as long as showing takes nothing is shown: many services must not keep the platform from its work."""

_SIGNALLED: Final = 128  # what shells add to the number of a signal


class Running(Protocol):
    """What a session needs of `fairlead.local.platform.Platform`."""

    @property
    def address(self) -> str:
        """Where requests come in."""

    async def start(self) -> None:
        """Start."""

    def declare(self, resources: Sequence[Resource]) -> None:
        """Take the whole world."""

    def remove(self, namespace: str, name: str) -> bool:
        """Delete a service until it is declared again."""

    def views(self) -> list[dict[str, Any]]:
        """Every service."""

    async def stop(self) -> None:
        """End in order."""


class Session:
    """Runs a platform until a signal or ``fairlead down`` ends it.

    Args:
        folder: its folder, acquired.
        world: what is declared, read once.
        display: what shows it.
        make: makes the platform from what it is to call when something changed.
        watcher: tells when the manifests change; None to read them at SIGHUP only.
        hangup: tells what SIGHUP means; None where the signal is left alone.
    """

    def __init__(
        self,
        folder: Folder,
        world: World,
        display: Display,
        make: Callable[[Callable[[], None]], Running],
        *,
        watcher: Watcher | None = None,
        hangup: Hangup | None = None,
    ) -> None:
        self._folder, self._world, self._display, self._make = folder, world, display, make
        self._watcher, self._hangup = watcher, hangup
        self._changed, self._ending, self._again = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._removed: dict[tuple[str, str], Any] = {}
        self._forced: signal.Signals | None = None
        self._reading, self._mistake = False, ""

    async def run(self) -> int:
        """Run it; the exit status is 0, or that of the signal at which it ended out of order.

        Raises:
            ConfigurationError: it cannot start.
        """
        loop = asyncio.get_running_loop()

        def changed() -> None:
            loop.call_soon_threadsafe(self._changed.set)

        platform = self._make(changed)
        live = asyncio.ensure_future(self._live(platform))
        with self._signals(loop, live):
            try:
                await live
            except asyncio.CancelledError:
                if self._forced is None:
                    raise
        if self._forced is not None:
            _log.warning("ended at once, with whatever was in flight")
            self._folder.clean(0.0)
            return _SIGNALLED + self._forced
        for each in self._folder.clean():
            _log.warning("%s was left over, and was ended", each)
        return 0

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop, live: asyncio.Future[None]) -> Iterator[None]:
        numbers = [signal.SIGINT, signal.SIGTERM]
        for number in numbers:
            loop.add_signal_handler(number, self._end, number, live)
        if (hangup := self._hangup) is not None:
            numbers.append(signal.SIGHUP)
            gone = signal.SIGHUP
            loop.add_signal_handler(gone, lambda: hangup.tell(self._again.set, lambda: self._end(gone, live)))
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _end(self, number: signal.Signals, live: asyncio.Future[None]) -> None:
        if not self._ending.is_set():
            self._ending.set()
        elif self._forced is None:
            self._forced = number
            live.cancel()

    # -- its life ---------------------------------------------------------------------------------------

    async def _live(self, platform: Running) -> None:
        control = Control(self._folder.control, self._commands(platform))
        self._declare(platform)  # what is declared starts together with the platform
        await platform.start()
        try:
            await control.start()
            self._folder.announce(platform.address)
            self._display.begin(platform.address)
            await self._follow(platform)
        finally:
            try:
                if self._forced is None:
                    await platform.stop()
            finally:
                self._display.end()
                await control.stop()

    async def _follow(self, platform: Running) -> None:
        """Show and follow what changes, until the end is asked for."""
        showing = asyncio.ensure_future(self._show(platform))
        reading = asyncio.ensure_future(self._read(platform))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            done, _ = await asyncio.wait((showing, reading, ending), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # it ended by an error, which is told once everything has ended
            left = sum(len(view["replicas"]) for view in platform.views())
            ends = "1 replica ends" if left == 1 else f"{left} replicas end"
            _log.info("ending: what is in flight is answered, and %s; a second signal ends at once", ends)
        finally:
            for task in (showing, reading, ending):
                task.cancel()

    async def _show(self, platform: Running) -> None:
        clock, took = asyncio.get_running_loop().time, 0.0
        while True:
            await self._changed.wait()
            await asyncio.sleep(max(_GATHER, _RESTS * took))
            self._changed.clear()
            before = clock()
            self._display.show(platform.views())
            took = clock() - before

    # -- what is declared -------------------------------------------------------------------------------

    def _declare(self, platform: Running) -> None:
        for warning in self._world.warnings:
            _log.warning(warning)
        platform.declare([each for each in self._world.resources if not self._is_removed(each)])
        self._changed.set()

    def _is_removed(self, resource: Resource) -> bool:
        """Whether `fairlead delete` removed it, and it was not declared anew since."""
        key = (resource.metadata.namespace or "default", resource.metadata.name)
        return resource.kind == "InferenceService" and self._removed.get(key) == resource

    async def _read(self, platform: Running) -> None:
        """Read the manifests again whenever they change, and at SIGHUP."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_at_hangup(platform))
            if self._watcher is not None:
                tasks.create_task(self._watch(platform, self._watcher))

    async def _watch(self, platform: Running, watcher: Watcher) -> None:
        async for changed in watcher.changes():
            await self._reread(platform, ", ".join(sorted(map(str, changed))))

    async def _read_at_hangup(self, platform: Running) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            self._removed.clear()
            await self._reread(platform, "SIGHUP")

    async def _reread(self, platform: Running, why: str) -> None:
        self._reading = True
        try:
            await asyncio.to_thread(self._world.read)
            self._declare(platform)
        except errors.FairleadError as error:
            self._mistake = str(error)
            _log.error("%s: what was declared before stays, since something is wrong:\n%s", why, error)
        except Exception as error:  # noqa: BLE001  # a manifest must not end the platform, whatever it brings about
            self._mistake = f"{type(error).__name__}: {error}"
            _log.exception("%s: what was declared before stays, since it cannot be read", why)
        else:
            self._mistake = ""
            _log.info("%s: read again", why)
        finally:
            self._reading = False

    # -- what is asked ----------------------------------------------------------------------------------

    def _commands(self, platform: Running) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        return {
            "info": lambda _: self._info(platform),
            "views": lambda _: platform.views(),
            "view": lambda request: self._view(platform, *_key(request)),
            "remove": lambda request: self._remove(platform, *_key(request)),
            "down": lambda _: self._down(),
        }

    def _info(self, platform: Running) -> dict[str, Any]:
        """Of the platform itself; ``looks``, ``unread`` and ``mistake`` are about what is declared."""
        watcher = self._watcher
        unread = self._reading or self._again.is_set() or (watcher is not None and watcher.behind)
        return {
            "name": self._folder.name,
            "address": platform.address,
            "ending": self._ending.is_set(),
            "looks": None if watcher is None else list(watcher.looks),
            "unread": unread,
            "mistake": self._mistake,
        }

    def _view(self, platform: Running, namespace: str, name: str) -> Any:
        wanted = f"{namespace}/{name}"
        return next((view for view in platform.views() if viewing.name_of(view) == wanted), None)

    def _remove(self, platform: Running, namespace: str, name: str) -> bool:
        removed = platform.remove(namespace, name)
        for each in self._world.resources if removed else ():
            if each.kind == "InferenceService" and (each.metadata.namespace or "default", each.metadata.name) == (
                namespace,
                name,
            ):
                self._removed[namespace, name] = each
        return removed

    def _down(self) -> bool:
        self._ending.set()
        return True


def _key(request: Mapping[str, Any]) -> tuple[str, str]:
    """The namespace and the name that a request is about.

    Raises:
        PlatformError: it names none.
    """
    match request:
        case {"namespace": str(namespace), "name": str(name)}:
            return namespace, name
    raise errors.PlatformError("The command needs a namespace and a name.")
