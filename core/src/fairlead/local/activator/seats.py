"""What the activator is told of a backend, what it answers, and what it counts: plain values."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Address

__all__ = ["Answer", "Held", "Refusal", "Release", "Seats", "Status", "Wait", "Wire"]


class Wire(enum.StrEnum):
    """How a request is to reach its backend."""

    REST = "rest"
    """HTTP/1.1."""
    GRPC = "grpc"
    """HTTP/2 without TLS."""


class Status(enum.IntEnum):
    """The status codes of refusals; the gateway turns them into those that clients know."""

    QUEUE_FULL = 460
    """As many requests wait as may."""
    DEADLINE = 461
    """The request waited as long as it may."""
    CANNOT_START = 462
    """The platform says that the backend will not answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """What a backend has for requests.

    Attributes:
        rest: where its ready replicas listen for HTTP/1.1; empty while none is ready, None where it has no such port.
        grpc: where its ready replicas listen for HTTP/2 without TLS; likewise.
        capacity: requests that one replica takes at once; 0 for any number.
        max_waiting: requests that may wait; more are refused.
        deadline: seconds that a request may wait.
        refusal: why it cannot start, as clients are told; while it is set nothing waits and nothing is let through.
            Empty where nothing is wrong.

    Raises:
        ValueError: a number is out of its range.
    """

    rest: tuple[Address, ...] | None = ()
    grpc: tuple[Address, ...] | None = None
    capacity: int = 0
    max_waiting: int = 10_000
    deadline: float = 300.0
    refusal: str = ""

    def __post_init__(self) -> None:
        if self.capacity < 0 or self.max_waiting < 0 or not self.deadline >= 0:
            raise ValueError(f"capacity, max_waiting and deadline are at least 0: {self}")

    def of(self, wire: Wire) -> tuple[Address, ...] | None:
        """Where its ready replicas listen for a kind of requests."""
        return self.rest if wire is Wire.REST else self.grpc

    @property
    def replicas(self) -> int:
        """How many replicas are ready."""
        return max(len(self.rest or ()), len(self.grpc or ()))


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What the activator has seen of a backend's requests.

    Attributes:
        waiting: how many wait now.
        arrived: how many have come since the backend was first assigned, those that were refused among them.
        released: how many of those were sent on to a replica.
    """

    waiting: int = 0
    arrived: int = 0
    released: int = 0

    def __add__(self, other: Held) -> Held:
        """Both together."""
        return Held(self.waiting + other.waiting, self.arrived + other.arrived, self.released + other.released)


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A request may go.

    Attributes:
        address: where to, as ``host:port``.
    """

    address: str


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A request may not go.

    Attributes:
        status: what kind of refusal it is.
        text: why, as the client is told.
    """

    status: Status
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """A request is held.

    Attributes:
        wake: whether the platform is to be told now that there is something to do.
    """

    wake: bool


Answer = Release | Refusal
