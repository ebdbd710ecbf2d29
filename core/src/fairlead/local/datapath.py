"""The data path: the gateway and the activator together, kept running, and told where requests go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local import routing
from fairlead.local.activator.process import Activator
from fairlead.local.activator.seats import Seats
from fairlead.local.deployment import LOOPBACK
from fairlead.local.gateway.envoy import Gateway
from fairlead.local.gateway.topology import Address, Topology

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.local.activator.seats import Held
    from fairlead.local.deployment import Deployment
    from fairlead.local.folder import Folder
    from fairlead.local.gateway.envoy import Measured
    from fairlead.local.replicas.replica import Replica
    from fairlead.local.service import Service

__all__ = ["DataPath"]

_log = logging.getLogger("fairlead.local")

_MOST_WAITING: Final = 10_000
"""Requests that may wait at the activator for one revision; as Knative has it."""
_HOLD: Final = 600.0
"""Seconds that a request may wait for a replica, where its component sets no ``timeout``."""
_LONGEST_PAUSE: Final = 10.0
"""Seconds between two attempts to start what ended."""


class DataPath:
    """What requests pass.

    Args:
        folder: the folder of the platform.
        host: the address that the gateway listens on.
        port: its port.
        access_log: the file that requests are logged to; None for none.
        on_wake: told the backend that a request waits for.
        on_trouble: told what went wrong, in one word and in a sentence.
        on_change: called when the gateway or the activator is back.

    Attributes:
        down: why the gateway does not answer; empty where it does.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        host: str,
        port: int,
        access_log: Path | None,
        on_wake: Callable[[str], None],
        on_trouble: Callable[[str, str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.down = "The gateway is starting."
        self._folder, self._on_trouble, self._on_change = folder, on_trouble, on_change
        self._activator = Activator(folder.runtime, on_wake=on_wake, on_exit=self._activator_ended)
        self._gateway = Gateway(
            folder.runtime,
            host=host,
            port=port,
            activator=self._activator.socket,
            access_log=access_log,
            on_exit=self._gateway_ended,
        )
        self._routed = Topology()
        self._assigned: dict[str, Seats] = {}
        self._restarts: set[asyncio.Task[None]] = set()
        self._stopping = False

    # -- its life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start both.

        Raises:
            ConfigurationError: the port is taken, or the gateway is not installed.
            PlatformError: one of them does not start.
        """
        activator = asyncio.ensure_future(self._activator.start())
        try:
            await self._gateway.start()
            await activator
        except BaseException:
            activator.cancel()
            await asyncio.gather(activator, return_exceptions=True)
            raise
        self._gateway_back()
        self._record()

    async def close(self, grace: float) -> None:
        """Let nobody in any more, and end the gateway once what is in flight is answered, or after `grace` seconds."""
        self._stopping = True
        for task in list(self._restarts):
            task.cancel()
        await asyncio.gather(*self._restarts, return_exceptions=True)
        await self._gateway.stop(grace)

    async def stop(self) -> None:
        """End the activator, after `close`."""
        await self._activator.stop()

    def mend(self) -> None:
        """End the gateway, or the activator, if its socket was removed: it is started again with another."""
        for part, path in ((self._gateway, self._gateway.admin), (self._activator, self._activator.socket)):
            pid = part.pid
            if pid is not None and not self.down and not path.exists():
                _log.warning("%s was removed; what listens there is started again.", path)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return

    def _gateway_ended(self, status: int) -> None:
        if not self._stopping:
            self.down = f"The gateway ended with status {status} and is started again."
            self._on_trouble("GatewayEnded", self.down)
            self._spawn(self._again(self._gateway.start, self._gateway_back))

    def _gateway_back(self) -> None:
        self.down = ""
        self._routed = Topology()

    def _activator_ended(self, status: int) -> None:
        if not self._stopping:
            told = f"The activator ended with status {status} and is started again."
            self._on_trouble("ActivatorEnded", told)
            self._spawn(self._again(self._activator.start, lambda: None))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _again(self, start: Callable[[], Coroutine[Any, Any, None]], done: Callable[[], None]) -> None:
        """Start something that ended, until it starts."""
        wait = 0.0
        while True:
            await asyncio.sleep(wait)
            try:
                await start()
            except errors.FairleadError as error:
                wait = min(_LONGEST_PAUSE, wait * 2 or 0.5)
                self._on_trouble("CannotStart", str(error))
                continue
            done()
            self._record()
            self._on_change()
            return

    def _record(self) -> None:
        for pid in (self._gateway.pid, self._activator.pid):
            if pid is not None:
                try:
                    self._folder.record(pid)
                except errors.StateNotSaved as error:  # they end with this process all the same
                    _log.warning("%s", error)

    # -- where requests go ------------------------------------------------------------------------------

    async def connect(self, services: Sequence[Service], refusal: Callable[[Deployment], str], now: float) -> None:
        """Send requests where they are to go: first what comes on top, and then what falls away.

        Until the gateway has taken the new routes, requests may go where they went before.

        Args:
            services: the services.
            refusal: what requests are told that wait for a deployment which cannot start; empty where it can.
            now: the time, in seconds of Unix time.

        Raises:
            PlatformError: the gateway does not take the routes.
        """
        if any(each.leaving for service in services for each in service.deployments()):
            self._assign(services, refusal, leaving=True)
            await self._route(services, now, leaving=True)
        self._assign(services, refusal, leaving=False)
        await self._route(services, now, leaving=False)

    def _assign(self, services: Sequence[Service], refusal: Callable[[Deployment], str], *, leaving: bool) -> None:
        """Tell the activator where requests that it holds may go."""
        seats = {
            each.backend: _seats(service, each, refusal(each), leaving=leaving)
            for service in services
            for each in service.deployments()
        }
        for backend in self._assigned.keys() - seats.keys():
            self._activator.forget(backend)
        for backend, now in seats.items():
            if self._assigned.get(backend) != now:
                self._activator.assign(backend, now)
        self._assigned = seats

    async def _route(self, services: Sequence[Service], now: float, *, leaving: bool) -> None:
        """Tell the gateway where requests go."""
        topology = routing.topology(services, leaving=leaving)
        if self.down or topology == self._routed:
            return
        for conflict in await self._gateway.apply(topology):
            self._on_trouble("RouteConflict", conflict)
        self._routed = topology
        behind = {each.name: each.through_activator for each in topology.backends}
        for service in services:
            for each in service.deployments():
                if not behind.get(each.backend, True):
                    each.activator_since = None
                elif each.activator_since is None:
                    each.activator_since = now

    async def busy(self, deployment: Deployment, replica: Replica) -> bool:
        """Whether a replica that nobody is sent to any more still answers requests."""
        ports = replica.ports
        listening = [] if ports is None else [port for port in (ports.http, ports.grpc) if port is not None]
        addresses = [Address(LOOPBACK, port) for port in listening]
        try:
            return any([await self._gateway.active(deployment.backend, each) for each in addresses])
        except errors.PlatformError:  # a gateway that has ended sends nothing
            return False

    async def measure(self) -> tuple[Mapping[str, Measured], Mapping[str, Held]] | None:
        """What passes the gateway and what waits at the activator, by backend; None while nobody can tell.

        Raises:
            PlatformError: the gateway does not answer.
        """
        if self.down:
            return None
        passing = await self._gateway.measure()
        held = await self._activator.measure()
        self._activator.report({name: each.active for name, each in passing.items()})
        return passing, held


def _seats(service: Service, deployment: Deployment, refusal: str, *, leaving: bool) -> Seats:
    return Seats(
        rest=service.addresses(deployment, grpc=False, leaving=leaving),
        grpc=service.addresses(deployment, grpc=True, leaving=leaving),
        capacity=deployment.component.container_concurrency,
        max_waiting=_MOST_WAITING,
        deadline=deployment.component.timeout or _HOLD,
        refusal=refusal,
    )
