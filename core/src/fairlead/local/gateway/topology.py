"""What the gateway is to route: plain values, from which its configuration is made."""

from __future__ import annotations

import dataclasses

__all__ = ["Address", "Backend", "Internal", "Route", "Split", "Topology"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a server listens.

    Attributes:
        host: its IP address.
        port: its port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One revision of a component: what answers requests.

    Attributes:
        name: its name, unique in the topology and stable, such as ``default/iris-predictor-00002``.
        rest: where its ready replicas listen for HTTP/1.1; None for a component that speaks gRPC alone.
        grpc: where its ready replicas listen for HTTP/2 without TLS; None for a component that does not.
        through_activator: whether the activator is asked for an address for each request.
        max_requests: requests that may be in flight to it; more are refused with 503. None for no bound.
    """

    name: str
    rest: tuple[Address, ...] | None = ()
    grpc: tuple[Address, ...] | None = None
    through_activator: bool = False
    max_requests: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How requests are spread over backends.

    Attributes:
        weights: percent by the backend's name; together 100. No weights at all: nothing is there that could answer.
        mirrors: percent of the requests that are copied, by the backend's name; nobody waits for their answers.
        timeout: seconds within which a request is answered, the wait for its model not counted; None for any.
        reason: what a client is told where there are no weights.
    """

    weights: tuple[tuple[str, int], ...]
    mirrors: tuple[tuple[str, int], ...] = ()
    timeout: float | None = 60.0
    reason: str = "Nothing is ready to answer."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way in.

    Attributes:
        hosts: hosts that lead here, with and without a port.
        path: the path that leads here whatever the host is, and that is taken off, such as ``/serving/default/iris``;
            None for none.
        entry: what answers.
        explain: what answers ``:explain`` (V1) and ``/explain`` (V2); None for `entry`.
    """

    hosts: tuple[str, ...]
    path: str | None
    entry: Split
    explain: Split | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Internal:
    """A port on loopback that leads to one component, for the components that ask it.

    Attributes:
        name: its name, unique in the topology and stable.
        port: the port.
        split: what answers.
    """

    name: str
    port: int
    split: Split


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Everything that the gateway routes.

    Attributes:
        routes: the ways in.
        internals: ports for components that ask other components.
        backends: everything that splits name.
    """

    routes: tuple[Route, ...] = ()
    internals: tuple[Internal, ...] = ()
    backends: tuple[Backend, ...] = ()
