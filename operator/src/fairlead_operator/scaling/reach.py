"""What is scaled, and what a loop asks of the cluster for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Manifest, Strategy

__all__ = ["Reach", "Subject", "Tell", "Told"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A component that a strategy scales in process.

    Attributes:
        namespace: its namespace.
        service: the name of its InferenceService.
        component: the component; its Deployment has its name.
        strategy: who decides.
    """

    namespace: str
    service: str
    component: ResolvedComponent
    strategy: Strategy

    @property
    def name(self) -> str:
        """The name of the component's Deployment."""
        return self.component.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be told of a component: an event of its InferenceService, whose status may change with it.

    Attributes:
        namespace: the namespace.
        service: the name of the InferenceService.
        reason: in one word.
        message: in sentences.
        bad: whether something is wrong.
    """

    namespace: str
    service: str
    reason: str
    message: str
    bad: bool = False


Tell: TypeAlias = Callable[[Told], Awaitable[None]]
"""Tells; it raises nothing."""


class Reach(Protocol):
    """The cluster, as far as a loop needs it."""

    def pods(self, subject: Subject) -> Sequence[Manifest]:
        """The pods of a component, as they are known."""

    def replicas(self, subject: Subject) -> int | None:
        """How many replicas its Deployment is told to have; None where there is no Deployment."""

    async def scrape(self, url: str) -> str:
        """The page of metrics at an address.

        Raises:
            OSError: nothing answers there in time, or it answers something else.
        """

    async def podmetrics(self, subject: Subject) -> Sequence[Manifest] | None:
        """What its pods use, as PodMetrics; None where the cluster does not measure it.

        Raises:
            ClusterError: the API server cannot be asked, or refuses.
        """

    async def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Tell a Deployment how many replicas it is to have, through its subresource ``scale``.

        Raises:
            ClusterError: the API server cannot be asked, or refuses.
        """
