"""A deployment: the replicas of one revision, as many as it is told to have."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fairlead.local.gateway.topology import Address, Backend
from fairlead.resolve.observation import ReplicaStage, RevisionObservation

if TYPE_CHECKING:
    from fairlead.local.replicas.replica import Replica
    from fairlead.resolve.service import ResolvedComponent

__all__ = ["LOOPBACK", "Deployment"]

LOOPBACK: Final = "127.0.0.1"
"""Where replicas listen."""
_QUEUED_FOR_EACH: Final = 10
"""Requests that may wait at a replica for each one that it takes at once; as Knative's queue-proxy has it."""


@dataclasses.dataclass(eq=False)
class Deployment:
    """The replicas of one revision.

    Attributes:
        name: the revision.
        backend: its name at the gateway and at the activator.
        component: what its replicas run.
        make: makes a replica of it, which is not started yet.
        least: replicas that have to be ready before it takes traffic for the first time.
        desired: replicas that it is told to have.
        speaks_rest: whether its replicas listen for REST.
        speaks_grpc: whether they listen for gRPC.
        was_ready: whether it was ever ready to take traffic.
        answered: whether any replica of it ever answered, in an earlier life of the platform as well.
        through_activator: whether the strategy wants requests to come through the activator; None leaves it to the
            platform.
        activator_since: since when they all do; None while they do not.
        limited: why it has fewer replicas than the strategy asks for; empty where it has as many.
        reason: why it has as many as it has, in a sentence.
        silent: why it does not answer although its replicas are ready; empty where it does.
        error: why the strategy cannot decide; empty where it can.
        reachable: whether requests of clients are routed to it, or copies of them.
        retired: whether it is to end.
    """

    name: str
    backend: str
    component: ResolvedComponent
    make: Callable[[], Replica]
    least: int
    desired: int
    speaks_rest: bool = True
    speaks_grpc: bool = False
    was_ready: bool = False
    answered: bool = False
    through_activator: bool | None = None
    activator_since: float | None = None
    limited: str = ""
    reason: str = ""
    silent: str = ""
    error: str = ""
    reachable: bool = True
    retired: bool = False

    def __post_init__(self) -> None:
        self.replicas: list[Replica] = []
        self.leaving: list[Replica] = []
        self.ending: dict[Replica, asyncio.Task[None]] = {}

    # -- how many ---------------------------------------------------------------------------------------

    def scale(self, count: int) -> list[Replica]:
        """Have so many replicas: make those that are missing, and let go of those that are too many.

        Those that are let go are in `leaving` from now on; they run until `release` ends them.

        Returns:
            The replicas that were made; they are to be started.
        """
        made = [self.make() for _ in range(count - len(self.replicas))]
        self.replicas += made
        if (surplus := len(self.replicas) - count) > 0:
            # Those that do not answer go first, and of the others the youngest, which have the least to lose.
            going = sorted(self.replicas, key=lambda each: (each.ready, -each.observation.created_at))[:surplus]
            self.replicas = [each for each in self.replicas if each not in going]
            self.leaving += going
        return made

    def refresh(self) -> None:
        """Note whether it can take traffic, once it can."""
        self.answered = self.answered or bool(self.ready)
        if not self.was_ready and len(self.ready) >= max(1, min(self.least, self.desired)):
            self.was_ready = True

    @property
    def ready(self) -> list[Replica]:
        """Those that answer, and stay."""
        return [each for each in self.replicas if each.ready]

    @property
    def may_serve(self) -> bool:
        """Whether it may have traffic: it answers, or it did and has no replicas since."""
        return self.was_ready and (bool(self.ready) or self.desired == 0 or self._only_starting())

    def _only_starting(self) -> bool:
        """Whether those that are missing have just been asked for."""
        bad = (ReplicaStage.FAILED, ReplicaStage.UNREADY)
        return all(each.observation.stage not in bad for each in self.replicas)

    # -- where ------------------------------------------------------------------------------------------

    def addresses(self, *, grpc: bool, leaving: bool = False) -> tuple[Address, ...] | None:
        """Where those that answer listen for REST, or for gRPC; None where they never do.

        Args:
            grpc: whether for gRPC.
            leaving: whether those that are let go count as well.
        """
        if not (self.speaks_grpc if grpc else self.speaks_rest):
            return None
        replicas = [*self.replicas, *(self.leaving if leaving else ())]
        if self.retired:  # a request that was on its way here has nowhere else to go
            replicas += [*self.leaving, *self.ending]
        ports = [each.ports for each in replicas if each.ready]
        found = [(each.grpc if grpc else each.http) for each in ports if each is not None]
        return tuple(sorted({Address(LOOPBACK, port) for port in found if port is not None}))

    def at(self, *, leaving: bool = False) -> Backend:
        """What the gateway has to know of it; `leaving` as for `addresses`."""
        capacity = self.component.container_concurrency
        most = max(1, len(self.replicas)) * capacity * (1 + _QUEUED_FOR_EACH)
        return Backend(
            name=self.backend,
            rest=self.addresses(grpc=False, leaving=leaving),
            grpc=self.addresses(grpc=True, leaving=leaving),
            through_activator=self.behind_activator,
            max_requests=most if capacity else None,
        )

    @property
    def behind_activator(self) -> bool:
        """Whether requests are to come through the activator."""
        return not self.ready or bool(self.through_activator)

    # -- the end of replicas ----------------------------------------------------------------------------

    def release(self, end: Callable[[Replica], asyncio.Task[None]]) -> None:
        """End those that were let go, now that nobody is sent to them.

        Args:
            end: begins to end a replica, and says when it has.
        """
        for each in self.leaving:
            self.ending[each] = end(each)
            self.ending[each].add_done_callback(lambda _, ended=each: self.ending.pop(ended, None))  # type: ignore[misc]  # bound now
        self.leaving = []

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left."""
        return self.retired and not (self.replicas or self.leaving or self.ending)

    # -- what is seen of it -----------------------------------------------------------------------------

    def observation(self) -> RevisionObservation:
        """What is seen of it."""
        return RevisionObservation(
            name=self.name,
            desired=self.desired,
            replicas=tuple(each.observation for each in sorted(self.replicas, key=_age)),
            ready=self.may_serve,
            answered=self.answered,
            message=self.silent,
            reason="NotAnswering" if self.silent else "",
            silent=bool(self.silent),
        )


def _age(replica: Replica) -> float:
    return -replica.observation.created_at
