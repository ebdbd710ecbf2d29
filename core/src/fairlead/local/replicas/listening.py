"""Where a container says that it listens: which of its ports are HTTP and gRPC, and what names them."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.runtime import parse_bool

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order, Ports

__all__ = [
    "DEFAULT_PORT",
    "GRPC_FLAGS",
    "HTTP_FLAGS",
    "Listening",
    "is_fairlead",
    "listening",
    "main_container",
    "option",
    "words",
]

DEFAULT_PORT: Final = 8080
"""Where a container listens that declares no port, as Knative and KServe take it to."""

HTTP_FLAGS: Final = frozenset({"--http_port", "--http-port", "--port"})
"""Arguments whose value is the HTTP port."""

GRPC_FLAGS: Final = frozenset({"--grpc_port", "--grpc-port"})
"""Arguments whose value is the gRPC port."""

_NO_GRPC: Final = re.compile(r"--enable[-_]grpc(?:=(.*))?")
_GRPC_PORT: Final = 8081


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The ports of a container as its manifest has them.

    Attributes:
        http: its HTTP port; None for one that speaks gRPC alone.
        grpc: its gRPC port; None for one that does not speak it.
        names: the numbers of all declared ports, by name.
        http_also: other numbers that mean the HTTP port: those that its arguments name.
        grpc_also: other numbers that mean the gRPC port.
    """

    http: int | None
    grpc: int | None
    names: Mapping[str, int] = dataclasses.field(default_factory=dict)
    http_also: frozenset[int] = frozenset()
    grpc_also: frozenset[int] = frozenset()

    def place(self, port: int | str, ports: Ports) -> int:
        """Where a port of the manifest is on this machine: a number or a name, as probes have it.

        Raises:
            Unresolvable: no port has that name.
        """
        number = port if isinstance(port, int) else self.names.get(port)
        if number is None and isinstance(port, str) and port.isdigit():
            number = int(port)
        if number is None:
            known = ", ".join(self.names) or "none"
            raise errors.Unresolvable(
                "UnsupportedField",
                f"A probe names the port {port!r}, and the container's ports are named {known}.",
                remedy="Name one of them, or write its number.",
            )
        if ports.grpc is not None and number in {self.grpc, *self.grpc_also}:
            return ports.grpc
        if ports.http is not None and number in {self.http, *self.http_also}:
            return ports.http
        return number


def main_container(order: Order) -> Mapping[str, Any]:
    """The container that serves: the first.

    Raises:
        Unresolvable: the pod has none.
    """
    containers = order.pod.get("containers") or []
    if not containers:
        raise errors.Unresolvable(
            "UnsupportedField", "The pod has no container.", remedy="Give it one with an image or a command."
        )
    found: Mapping[str, Any] = containers[0]
    return found


def words(container: Mapping[str, Any]) -> tuple[str, ...]:
    """Command and arguments of a container, as text."""
    return tuple(str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ())))


def option(order: Order, *flags: str) -> str | None:
    """The value that the main container's arguments give one of these flags, the last one where there are several."""
    found = None
    for word, following in itertools.pairwise((*words(main_container(order)), "")):
        flag, equals, value = word.partition("=")
        if flag in flags:
            found = value if equals else following
    return found


def is_fairlead(order: Order) -> bool:
    """Whether what runs is ``fairlead serve``: its command says so, or it is the server of a runtime plugin."""
    container = main_container(order)
    command = words(container)
    if len(command) > 1 and PurePath(command[0]).name == "fairlead" and command[1] == "serve":
        return True
    return not container.get("command") and order.model is not None and order.model.runtime.plugin is not None


def listening(order: Order) -> Listening:
    """The ports of an order's main container.

    A port whose name contains ``grpc`` or ``h2c`` is the gRPC port, the first other one is HTTP. A container that
    declares none listens for HTTP on 8080. An argument such as ``--http_port`` or ``--grpc_port`` says the same as a
    declared port. ``fairlead serve`` always listens for HTTP, and for gRPC unless it is told not to.

    Raises:
        Unresolvable: the pod has no container.
    """
    container = main_container(order)
    declared = [port for port in container.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    grpc = next((int(port["containerPort"]) for port in declared if _is_grpc(port)), None)
    http = next((int(port["containerPort"]) for port in declared if not _is_grpc(port)), None)
    arguments = words(container)
    said_http, said_grpc = list(_values(arguments, HTTP_FLAGS)), list(_values(arguments, GRPC_FLAGS))
    fairlead = is_fairlead(order)
    if http is None and (said_http or grpc is None or fairlead):
        http = said_http[0] if said_http else DEFAULT_PORT
    if grpc is None and (said_grpc or fairlead):
        grpc = said_grpc[0] if said_grpc else _GRPC_PORT
    if fairlead and _without_grpc(arguments):
        grpc = None
    return Listening(
        http=http,
        grpc=grpc,
        names={str(port["name"]): int(port["containerPort"]) for port in declared if port.get("name")},
        http_also=frozenset(said_http),
        grpc_also=frozenset(said_grpc),
    )


def _is_grpc(port: Mapping[str, Any]) -> bool:
    name = str(port.get("name") or "")
    return "grpc" in name or "h2c" in name


def _values(arguments: Sequence[str], flags: frozenset[str]) -> Iterator[int]:
    """The numbers that these flags are given."""
    for word, following in itertools.pairwise((*arguments, "")):
        flag, equals, value = word.partition("=")
        text = value if equals else following
        if flag in flags and text.isdigit():
            yield int(text)


def _without_grpc(arguments: Sequence[str]) -> bool:
    for word, following in itertools.pairwise((*arguments, "")):
        if found := _NO_GRPC.fullmatch(word):
            try:
                return not parse_bool(found[1] if found[1] is not None else following)
            except ValueError:
                return False  # the server itself says that it is no truth value
    return False
