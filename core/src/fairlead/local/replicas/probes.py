"""The probes of a container, as its manifest has them, and those that a container has which declares none: pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.local.replicas import listening
from fairlead.resolve.runtimes import PROBES

if TYPE_CHECKING:
    from fairlead.local.replicas.listening import Listening
    from fairlead.local.replicas.orders import Order, Ports

__all__ = [
    "READY_PERIOD",
    "Action",
    "Asked",
    "Exec",
    "Grpc",
    "HttpGet",
    "Probe",
    "Serves",
    "TcpSocket",
    "asked",
    "readiness",
]

READY_PERIOD: Final = 2.0
"""Seconds between two looks at whether a replica is still ready, where its manifest does not say."""

_LOOPBACK: Final = "127.0.0.1"
_SERVER_READY: Final = "/v2/health/ready"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    """A GET that is to be answered with a status from 200 to 399."""

    port: int
    path: str = "/"
    host: str = _LOOPBACK
    headers: tuple[tuple[str, str], ...] = ()
    tls: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TcpSocket:
    """A connection that is to be accepted."""

    port: int
    host: str = _LOOPBACK


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grpc:
    """A health check of gRPC (grpc.health.v1) that is to be answered with SERVING.

    With `lenient` any answer will do of a server that has no health service.
    """

    port: int
    service: str = ""
    lenient: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """A command that is to end with status 0."""

    command: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Serves:
    """A server that says itself whether it is ready, if it can.

    ``/v2/health/ready`` is asked, and where there is no such page ``/v1/models/<model>``. Where there is neither, or
    what listens does not speak HTTP, a connection that is accepted will do.
    """

    port: int
    model: str


Action: TypeAlias = "HttpGet | TcpSocket | Grpc | Exec | Serves"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question that is asked again and again.

    Attributes:
        action: the question.
        initial_delay: seconds from the start of the process to the first time.
        period: seconds between two times, once it was answered well.
        timeout: seconds that the answer may take.
        failure_threshold: how often in a row it fails before that counts.
        success_threshold: how often in a row it succeeds before that counts.
    """

    action: Action
    initial_delay: float = 0.0
    period: float = READY_PERIOD
    timeout: float = 1.0
    failure_threshold: int = 3
    success_threshold: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a replica.

    Attributes:
        ready: what tells that it is ready.
        alive: what tells that it has to be started again; None for nothing.
        startup: what has to succeed before the others are asked; None for nothing.
    """

    ready: Probe
    alive: Probe | None = None
    startup: Probe | None = None


def asked(order: Order, declared: Listening, ports: Ports) -> Asked:
    """What is asked of the replica of an order: see `readiness`; the others only where the manifest has them.

    Those that a runtime plugin brings are for a cluster: here `readiness` asks the same, and nothing is started again
    that takes long to answer.

    Raises:
        Unresolvable: a probe of the manifest is none, or names a port that there is not.
    """
    container = listening.main_container(order)
    alive, startup = (_own(order, container, name) for name in ("livenessProbe", "startupProbe"))
    return Asked(
        ready=readiness(order, declared, ports),
        alive=_declared("livenessProbe", alive, declared, ports) if alive else None,
        startup=_declared("startupProbe", startup, declared, ports) if startup else None,
    )


def _own(order: Order, container: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A probe of a container, unless its runtime plugin brings it."""
    found: Mapping[str, Any] | None = container.get(name)
    brought = order.model is not None and order.model.runtime.plugin is not None and found == PROBES[name]
    return None if brought else found


def readiness(order: Order, declared: Listening, ports: Ports) -> Probe:
    """What tells that a replica is ready.

    ``fairlead serve`` is asked for ``/v2/health/ready``, which says that its model has answered a sample; any other
    container what its ``readinessProbe`` says, and where it has none, see `Serves`. Times that the manifest does not
    give are those of Kubernetes, except that a container without a probe is looked at every two seconds.

    Raises:
        Unresolvable: the manifest's probe is none, or names a port that there is not.
    """
    given = listening.main_container(order).get("readinessProbe") or {}
    if listening.is_fairlead(order) and ports.http is not None:
        action: Action = HttpGet(port=ports.http, path=_SERVER_READY)
        return Probe(action=action, period=float(given.get("periodSeconds") or READY_PERIOD), timeout=5.0)
    if given:
        return _declared("readinessProbe", given, declared, ports)
    if ports.http is not None:
        return Probe(action=Serves(port=ports.http, model=order.service), timeout=5.0)
    assert ports.grpc is not None
    return Probe(action=Grpc(port=ports.grpc, lenient=True), timeout=5.0)


def _declared(field: str, given: Mapping[str, Any], declared: Listening, ports: Ports) -> Probe:
    defaults = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1}
    timing = {name: given.get(name) or default for name, default in defaults.items()}
    return Probe(
        action=_action(field, given, declared, ports),
        initial_delay=float(given.get("initialDelaySeconds") or 0),
        period=float(timing["periodSeconds"]),
        timeout=float(timing["timeoutSeconds"]),
        failure_threshold=int(timing["failureThreshold"]),
        success_threshold=int(timing["successThreshold"]),
    )


def _action(field: str, given: Mapping[str, Any], declared: Listening, ports: Ports) -> Action:
    if (http := given.get("httpGet")) is not None:
        return HttpGet(
            port=declared.place(http["port"], ports),
            path=str(http.get("path") or "/"),
            host=str(http.get("host") or _LOOPBACK),
            headers=tuple((str(each["name"]), str(each["value"])) for each in http.get("httpHeaders") or ()),
            tls=str(http.get("scheme") or "HTTP").upper() == "HTTPS",
        )
    if (tcp := given.get("tcpSocket")) is not None:
        # KServe's own default is a probe of the port 0, which means the container's first.
        port = tcp.get("port") or declared.http or declared.grpc or listening.DEFAULT_PORT
        return TcpSocket(port=declared.place(port, ports), host=str(tcp.get("host") or _LOOPBACK))
    if (grpc := given.get("grpc")) is not None:
        return Grpc(port=declared.place(grpc["port"], ports), service=str(grpc.get("service") or ""))
    if (command := (given.get("exec") or {}).get("command")) is not None:
        return Exec(command=tuple(str(word) for word in command))
    raise errors.Unresolvable(
        "UnsupportedField",
        f"{field} asks for none of httpGet, tcpSocket, grpc and exec.",
        remedy="Give it one of these.",
    )
