"""Which of several operators writes: the holder of a Lease, elected by the client of Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from kubernetes.aio.client import ApiException, V1Lease, V1ObjectMeta
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from fairlead import errors
from fairlead_operator.cluster import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord

    from fairlead_operator.cluster.client import Cluster

__all__ = ["LEASE", "lead"]

LEASE: Final = "fairlead-operator"
"""The name of the Lease."""

_DURATION: Final = 15
_RENEWAL: Final = 10
_RETRY: Final = 2
_LONGEST: Final = 5.0
"""Seconds in which a request for the Lease has to be answered: the client would wait for minutes."""

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
    has_led = False

    async def begin() -> None:
        nonlocal at_work, has_led
        _log.info("%s leads", identity)
        has_led = True
        at_work = asyncio.create_task(work())

    async def end() -> None:
        nonlocal at_work
        task, at_work = at_work, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _log.info("%s does not lead any more", identity)

    _log.info("%s waits for the Lease %s/%s", identity, namespace, LEASE)
    try:
        while True:
            try:
                lock = _Lock(LEASE, namespace, identity, cluster.api)
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
            except Exception as error:  # noqa: BLE001  # whoever does not know whether it leads does not lead
                _log.warning("The Lease %s cannot be asked for: %s %s", LEASE, type(error).__name__, error)
            await end()
            await asyncio.sleep(_RETRY)
    finally:
        await end()
        if has_led:  # who gave up work because nobody answered may hold the Lease still
            await _release(cluster, namespace, identity)


class _Lock(LeaseLock):
    """The Lease; a request for it that is not answered soon has failed."""

    async def get(self, name: str, namespace: str) -> Any:
        async with asyncio.timeout(_LONGEST):
            return await super().get(name, namespace)

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the Lease here: the client asks for `pretty=True`, which its own check of arguments refuses."""
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        try:
            async with asyncio.timeout(_LONGEST):
                await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as error:
            _log.warning("The Lease %s cannot be made: %s", name, error.reason)
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        async with asyncio.timeout(_LONGEST):
            return bool(await super().update(name, namespace, updated_record))


async def _release(cluster: Cluster, namespace: str, identity: str) -> None:
    """Give the Lease back, so that the next one need not wait until it has run out."""
    with contextlib.suppress(errors.ClusterError, TimeoutError):
        async with asyncio.timeout(_LONGEST):
            lease = await cluster.get(kinds.BY_KIND["Lease"], LEASE, namespace)
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") == identity:
                await cluster.replace({**lease, "spec": {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}})
