"""One operator: what it knows, its queue, its workers, and what runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Final

import aiohttp

from fairlead import errors
from fairlead_operator import metrics
from fairlead_operator.announcing import KnownView, server, withdraw
from fairlead_operator.applying import Applier
from fairlead_operator.catalogues import Catalogues, Installed
from fairlead_operator.cluster.client import connected, credentials
from fairlead_operator.leading import lead
from fairlead_operator.queue import Queue
from fairlead_operator.reconciling import Reconciler
from fairlead_operator.resyncing import Resync
from fairlead_operator.scaling.live import LiveReach
from fairlead_operator.scaling.loops import Loops
from fairlead_operator.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kopf import WebhookClientConfig, WebhookFn
    from kubernetes.aio.client import Configuration

    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.options import Options
    from fairlead_operator.scaling.reach import Told

__all__ = ["Operator"]

_log = logging.getLogger("fairlead.operator")

_PAUSE: Final = 1.0
"""Seconds before work that ended begins anew."""

_FAREWELL: Final = 0.25
"""Seconds in which connections over TLS say that they end; aiohttp does not wait for it."""

_SETTLING: Final = 0.05
"""Seconds in which changes that come together are taken for one."""


class Operator:
    """An operator, made before kopf runs it.

    Args:
        options: how it is started.
        installed: the plugins that it has.
        clock: Unix time in seconds.

    Attributes:
        kinds: the kinds of objects that it watches and writes.
    """

    def __init__(self, options: Options, installed: Installed, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self._installed = installed
        self._clock = clock
        self._queue = Queue(time.monotonic, lambda: random.uniform(0.8, 1.2))  # noqa: S311  # spreads load
        self.kinds: Final = installed.kinds()
        self.world = World(options.namespace, self._touched, self.kinds)
        self._catalogues = Catalogues(self.world, installed)
        self.view = KnownView(self.world, self._catalogues)
        self._cluster: Cluster | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._resync: Resync | None = None
        self._reconciler: Reconciler | None = None
        self._stack = contextlib.AsyncExitStack()

    async def credentials(self) -> Configuration:
        """How to reach the API server; asked again whenever the server does not take what it was told before.

        Raises:
            ConfigurationError: there is no API server to connect to.
        """
        return await credentials(self._options.kubeconfig)

    async def start(self) -> None:
        """Connect to the API server, and begin to work, or to wait for the Lease.

        Raises:
            ConfigurationError: there is no API server to connect to.
        """
        cluster = await self._stack.enter_async_context(connected(self._options.kubeconfig, self.kinds))
        version = await cluster.version()
        self._cluster = cluster
        if not self._options.webhooks:
            await withdraw(cluster)
        self._resync = Resync(
            cluster,
            self.world,
            home=self._options.namespace,
            namespaces=self._options.namespaces,
            interval=self._options.resync,
        )
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        loops = Loops(LiveReach(cluster, self.world, session), self._clock, self._told)
        self._reconciler = Reconciler(
            cluster=cluster,
            world=self.world,
            applier=Applier(cluster, self.world),
            catalogues=self._catalogues,
            installed=self._installed,
            loops=loops,
            home=self._options.namespace,
            version=version,
            clock=self._clock,
        )

        async def work() -> None:
            while True:
                try:
                    await self._work(loops)
                except Exception:  # noqa: BLE001  # whoever leads and does nothing would keep others from working
                    _log.exception("the work ended, and begins anew")
                await asyncio.sleep(_PAUSE)

        if self._options.elects:
            leading = lead(cluster, self._options.namespace, self._options.identity, work)
        else:
            leading = work()
        self._tasks = [
            asyncio.create_task(leading, name="leading"),
            asyncio.create_task(self._resync.run(), name="resync"),
        ]

    async def stop(self) -> None:
        """End the work; what is under way is given up, and done by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        if self._cluster is not None and self._cluster.is_encrypted:
            await asyncio.sleep(_FAREWELL)

    async def webhooks(self, answer: WebhookFn) -> AsyncIterator[WebhookClientConfig]:
        """Serve the webhooks, as kopf asks for it once the work has begun."""
        assert self._cluster is not None
        async for each in server(self._cluster, self._options)(answer):
            yield each

    def relisted(self) -> None:
        """Take note that a watch began anew: one that finds nothing does not tell of it, so that all are listed."""
        if self._resync is not None:
            self._resync.ask()

    def _touched(self, key: tuple[str, str]) -> None:
        self._queue.add(key, after=_SETTLING)

    async def _told(self, told: Told) -> None:
        if told.bad or self._reconciler is None:
            self._touched((told.namespace, told.service))
        else:
            await self._reconciler.tell(told)

    async def _work(self, loops: Loops) -> None:
        assert self._resync is not None
        metrics.LEADING.set(1)
        await self._resync.known.wait()
        for key in self.world.services():
            self._queue.add(key)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(loops.run())
                for _ in range(self._options.workers):
                    group.create_task(self._worker())
        finally:
            metrics.LEADING.set(0)

    async def _worker(self) -> None:
        assert self._reconciler is not None
        while True:
            key = await self._queue.take()
            metrics.WAITING.set(len(self._queue))
            began = time.monotonic()
            result = "done"
            try:
                again = await self._reconciler.reconcile(key)
            except asyncio.CancelledError:
                self._queue.failed(key)
                raise
            except errors.ClusterUnavailable as error:
                result = "unavailable"
                pause = self._queue.failed(key, after=error.retry_after)
                _log.warning("%s/%s: %s It is tried again in %.1f s.", *key, error, pause)
            except Exception:  # noqa: BLE001  # one service must not keep the others from being served
                result = "failed"
                pause = self._queue.failed(key)
                _log.exception("%s/%s cannot be reconciled; it is tried again in %.1f s", *key, pause)
            else:
                self._queue.done(key)
                if again is not None:
                    self._queue.add(key, after=again)
            metrics.RECONCILED.labels(result).inc()
            metrics.SECONDS.observe(time.monotonic() - began)
