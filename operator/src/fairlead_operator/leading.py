"""Which of several operators writes: the holder of a Lease, elected by the client of Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from fairlead import errors
from fairlead_operator.cluster import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fairlead_operator.cluster.client import Cluster

__all__ = ["LEASE", "lead"]

LEASE: Final = "fairlead-operator"
"""The name of the Lease."""

_DURATION: Final = 15
_RENEWAL: Final = 10
_RETRY: Final = 2

_log = logging.getLogger("fairlead.operator")


async def lead(cluster: Cluster, namespace: str, identity: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Work whenever this operator is the one that writes; ends only by cancellation.

    Args:
        cluster: the API server.
        namespace: where the Lease is.
        identity: what tells this operator from the others.
        work: what the leader does; it is cancelled when the Lease is lost.
    """
    at_work: asyncio.Task[None] | None = None

    async def begin() -> None:
        nonlocal at_work
        _log.info("%s leads", identity)
        at_work = asyncio.create_task(work())

    async def end() -> None:
        nonlocal at_work
        task, at_work = at_work, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _log.info("%s does not lead any more", identity)

    try:
        while True:
            # The client does not hear of a connection that breaks: whoever does not know whether it leads does not.
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                lock = LeaseLock(LEASE, namespace, identity, cluster.api)
                await LeaderElection(
                    Config(
                        lock,
                        lease_duration=_DURATION,
                        renew_deadline=_RENEWAL,
                        retry_period=_RETRY,
                        onstarted_leading=begin,
                        onstopped_leading=end,
                    )
                ).run()
            await end()
            await asyncio.sleep(_RETRY)
    finally:
        led = at_work is not None
        await end()
        if led:
            await _release(cluster, namespace, identity)


async def _release(cluster: Cluster, namespace: str, identity: str) -> None:
    """Give the Lease back, so that the next one need not wait until it has run out."""
    with contextlib.suppress(errors.ClusterError):
        lease = await cluster.get(kinds.BY_KIND["Lease"], LEASE, namespace)
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == identity:
            await cluster.replace({**lease, "spec": {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}})
