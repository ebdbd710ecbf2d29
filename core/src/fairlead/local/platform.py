"""The platform: reads the whole world, works out what should be, and applies the difference, again and again.

Whatever happens (a file changes, a replica answers or ends, a request waits, a strategy decides) only asks for another
pass; what a pass does depends on what is there, and not on what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.api import InferenceService
from fairlead.local import catalogues, views
from fairlead.local.config import CONFIG
from fairlead.local.datapath import DataPath
from fairlead.local.declared import Declared
from fairlead.local.foundry import Foundry, free_port
from fairlead.local.keeper import Keeper
from fairlead.local.machine import Machine
from fairlead.local.scaling import Scaling
from fairlead.local.service import Key, Service, key_of
from fairlead.resolve.catalogue import Catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.api import Resource
    from fairlead.local.deployment import Deployment
    from fairlead.local.folder import Folder
    from fairlead.local.replicas.replica import Replica
    from fairlead.plugins import Plugins

__all__ = ["Platform"]

_log = logging.getLogger("fairlead.local")

_RESYNC: Final = 1.0
"""Seconds after which a pass is made though nothing asked for one."""
_AT_REST: Final = 10.0
"""The same while nothing runs, waits or ends: with many services a pass costs more than they all do otherwise."""
_MEASURE: Final = 0.25
"""Seconds between two readings of what is in flight."""
_QUIET: Final = 0.25
"""Seconds between two looks at whether a replica that is to end still has requests."""
_GRACE: Final = 30.0
"""Seconds that a replica has to finish what it does, where its PodSpec does not say."""
_RETRY: Final = 1.0
"""Seconds after a failed pass until the next."""


class Platform:
    """InferenceServices on this machine.

    Args:
        folder: where it keeps what it has to know, and its sockets; acquired.
        host: the address that the gateway listens on.
        port: its port; 0 for one that the system chooses.
        plugins: the plugins that there are.
        access_log: the file that requests are logged to; None for none.
        on_change: called after each pass that changed what `views` gives.
        clock: seconds of Unix time.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        host: str,
        port: int,
        plugins: Plugins,
        access_log: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._plugins, self._clock, self._on_change = folder, plugins, clock, on_change
        self._host, self._port = host, port or free_port()
        self._services: dict[Key, Service] = {}
        self._catalogue = Catalogue()
        self._dirty = asyncio.Event()
        self._loops: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._keeper = Keeper(folder)
        machine = Machine()
        self._scaling = Scaling(plugins, clock, machine)
        self._declared = Declared()
        self._foundry = Foundry(
            folder,
            plugins,
            clock,
            machine,
            declared=self._declared,
            on_change=self.touch,
            follow=self._scaling.follow,
        )
        self._path = DataPath(
            folder,
            host=host,
            port=self._port,
            access_log=access_log,
            on_wake=self._wake,
            on_trouble=self._tell_all,
            on_change=self.touch,
        )
        self._settled = False

    @property
    def address(self) -> str:
        """Where requests come in: host and port."""
        return f"{self._host}:{self._port}"

    @property
    def services(self) -> list[Service]:
        """The services, by name."""
        return [self._services[key] for key in sorted(self._services)]

    # -- its life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the gateway and the activator, and meanwhile begin to make what is declared.

        Raises:
            ConfigurationError: the port is taken, or the gateway is not installed.
        """
        self._spawn(self._passes())
        try:
            await self._path.start()
        except BaseException:
            await self.stop()
            raise
        self._spawn(self._measurements())
        self.touch()

    async def stop(self) -> None:
        """End everything: first nobody is let in, then what is in flight is answered, then the replicas end."""
        self._stopping = True
        for task in list(self._loops):
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._path.close(_GRACE)
        replicas = [
            replica
            for service in self._services.values()
            for deployment in service.deployments()
            for replica in (*deployment.replicas, *deployment.leaving)
        ]
        ending = [
            task
            for service in self._services.values()
            for each in service.deployments()
            for task in each.ending.values()
        ]
        await asyncio.gather(*(each.stop(_GRACE) for each in replicas), *ending, return_exceptions=True)
        await self._path.stop()
        self._save()

    def touch(self) -> None:
        """Ask for another pass."""
        self._dirty.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)

    # -- what is declared -------------------------------------------------------------------------------

    def declare(self, resources: Sequence[Resource]) -> None:
        """Take the whole world as it is declared now: services that are not in it any more go."""
        catalogue = catalogues.installed(self._plugins, resources)
        if catalogue != self._catalogue:  # so that services know by one look that theirs is the same
            self._catalogue = catalogue
        self._declared.vault = catalogue.vault
        now = self._clock()
        declared = {key_of(each): each for each in resources if isinstance(each, InferenceService)}
        for key in self._services.keys() - declared.keys():
            self._delete(key, now)
        for key, manifest in declared.items():
            if (service := self._services.get(key)) is None:
                service = self._services[key] = Service(key, self._foundry, self._keeper.load(key))
            service.declare(manifest, self._catalogue, CONFIG, now)
            self._open_internal_port(service)
        self.touch()

    def remove(self, namespace: str, name: str) -> bool:
        """Delete a service until it is declared again; returns whether there was one."""
        key = (namespace, name)
        if key not in self._services or self._services[key].deleted:
            return False
        self._delete(key, self._clock())
        self.touch()
        return True

    def _delete(self, key: Key, now: float) -> None:
        service = self._services[key]
        if not service.deleted:
            service.events.normal(now, "Deleted", "It is not declared any more.")
            service.delete()
            self._keeper.forget(key)

    def _open_internal_port(self, service: Service) -> None:
        resolved = service.resolved
        if resolved is not None and len(resolved.components) > 1 and service.internal_port is None:
            service.internal_port = free_port()

    # -- one pass ---------------------------------------------------------------------------------------

    async def _passes(self) -> None:
        while True:
            # `asyncio.wait_for` loses a cancellation that comes in the same turn as what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AT_REST if self._rests else _RESYNC):
                    await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._pass()
            except Exception as error:  # noqa: BLE001  # the loop has to outlive whatever one pass meets
                _log.exception("A pass over the services failed; another follows.")
                self._tell(f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY)

    @property
    def _rests(self) -> bool:
        """Whether everything is as it should be, and will be until something asks for another pass."""
        deployments = [each for service in self.services for each in service.deployments()]
        ending = any(each.retired or each.ending for each in deployments)
        return self._settled and self._scaling.idle and not (self._foundry.waits or ending)

    async def _pass(self) -> None:
        self._settled = False
        for service in self.services:
            service.settle()
        self._scale()
        await self._path.connect(self.services, self._foundry.refusal, self._clock())
        gone = False
        for service in self.services:
            self._release(service)
            service.sweep()
            if service.gone:
                del self._services[service.key]
                gone = True
        changed = [views.publish(each, self._ingress(), self.address, self._clock()) for each in self.services]
        if any(changed) or gone:
            self._on_change()
        saved = self._save()
        self._settled = saved and not (any(changed) or gone or self._path.down)

    def _scale(self, growing: str | None = None) -> None:
        """Have as many replicas of each revision as is decided, and as the machine allows; see `Scaling.apply`."""
        owners = {each.backend: service for service in self.services for each in service.deployments()}
        wanted = [each for service in self.services for track in service.tracks.values() for each in track.active]
        for change in self._scaling.apply(wanted, growing=growing):
            events = owners[change.deployment.backend].events
            (events.warning if change.bad else events.normal)(self._clock(), change.reason, change.message)
        self._scaling.keep({each.backend for each in wanted})
        self._foundry.start(wanted, self._scaling.waits)

    def _release(self, service: Service) -> None:
        for deployment in service.deployments():
            deployment.release(lambda replica, whose=deployment: asyncio.create_task(self._end(whose, replica)))  # type: ignore[misc]  # bound now

    async def _end(self, deployment: Deployment, replica: Replica) -> None:
        """End a replica that nobody is sent to, once it has answered what it has."""
        grace = float(deployment.component.pod.get("terminationGracePeriodSeconds", _GRACE))
        clock = asyncio.get_running_loop().time
        end = clock() + grace
        quiet = 0
        while quiet < 2 and clock() < end:
            await asyncio.sleep(_QUIET)
            quiet = 0 if await self._path.busy(deployment, replica) else quiet + 1
        await replica.stop(max(1.0, end - clock()))
        self.touch()

    # -- what is measured -------------------------------------------------------------------------------

    async def _measurements(self) -> None:
        """Read what is in flight and what waits, and let the strategies decide when it is their time."""
        told = ""
        while True:
            await asyncio.sleep(_MEASURE)
            try:
                self._path.mend()
                await self._measure()
                told = ""
            except Exception as error:  # noqa: BLE001  # the loop has to outlive whatever one reading meets
                if str(error) != told:
                    told = str(error)
                    _log.warning("What is in flight cannot be read; it is tried again.", exc_info=True)

    async def _measure(self) -> None:
        if not self._scaling.idle and (found := await self._path.measure()) is not None:
            self._scaling.observe(*found)
        if self._scaling.decide():
            self.touch()

    def _wake(self, backend: str) -> None:
        """A request waits for a revision that has no replicas: they start now, whatever a pass is waiting for.

        None is let go now, since that pass may be about to end what it has taken from the routes.
        """
        self._scaling.wake(backend)
        if not self._stopping:
            self._scale(growing=backend)
        self.touch()

    # -- what is told -----------------------------------------------------------------------------------

    def _ingress(self) -> views.Way:
        return views.Way(down=self._path.down, internal=f"http://{self.address}")

    def _tell_all(self, reason: str, message: str) -> None:
        _log.warning(message)
        for service in self.services:
            service.events.warning(self._clock(), reason, message)
        self.touch()

    def _tell(self, message: str) -> None:
        for service in self.services:
            service.events.warning(self._clock(), "PassFailed", message)

    def _save(self) -> bool:
        """Keep what the next life has to know; whether that succeeded."""
        saved = True
        for service in self.services:
            if (problem := self._keeper.save(service)) is not None:
                service.events.warning(self._clock(), "StateNotSaved", problem)
                saved = False
        return saved

    def views(self) -> list[dict[str, Any]]:
        """Every service with its status, replicas, events and scaling, as `fairlead describe` shows them."""
        return [views.view(each) for each in self.services]
