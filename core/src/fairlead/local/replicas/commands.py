"""From a container of a PodSpec to a command of this machine: arguments, environment, folder."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.unpickling import UnpicklingPolicy
from fairlead.local.replicas import listening, references
from fairlead.local.replicas.listening import GRPC_FLAGS, HTTP_FLAGS

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order, Ports

__all__ = [
    "ISOLATED",
    "SERVE",
    "Launch",
    "arguments",
    "base_environ",
    "check",
    "command",
    "container_environ",
    "port_environ",
    "substitution",
    "unpickling",
]

SERVE: Final = (sys.executable, "-m", "fairlead.cli.main", "serve")
"""How ``fairlead serve`` is run by the Python that runs the platform."""

ISOLATED: Final = "FAIRLEAD_ISOLATED"
"""The variable of a process that runs in an environment which was made for it; it makes no other."""

_PORT_VARIABLES: Final = ("PORT", "HTTP_PORT", "GRPC_PORT", "FAIRLEAD_HTTP_PORT", "FAIRLEAD_GRPC_PORT")
_ALSO_NOT_INHERITED: Final = (ISOLATED, "FAIRLEAD_HOST", "FAIRLEAD_LOG_FORMAT", "KUBERNETES_SERVICE_HOST")
_LOOPBACK: Final = "127.0.0.1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A process that is to be started.

    Attributes:
        argv: its command and arguments.
        env: its whole environment.
        cwd: the folder that it starts in; None for that of the platform.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = dataclasses.field(repr=False)
    cwd: Path | None = None


def base_environ(environ: Mapping[str, str], *, isolated: bool = False) -> dict[str, str]:
    """What a replica inherits: the user's environment, as from a shell.

    Left out are the ports and the address of a server, which are the replica's own. The folder of the platform's
    Python comes first in ``PATH``, so that ``python`` is the one that has Fairlead and its plugins. Python writes its
    output at once unless the user says otherwise, so that logs are there when they are wanted.

    Args:
        environ: the user's environment.
        isolated: whether the replica runs in an environment of its own, which ``PYTHONPATH`` must not reach into.
    """
    dropped = {*_PORT_VARIABLES, *_ALSO_NOT_INHERITED}
    if isolated:
        dropped |= {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in environ.items() if name not in dropped}
    if isolated:
        kept[ISOLATED] = "1"
    folder = str(Path(sys.executable).parent)
    kept["PATH"] = f"{folder}:{kept['PATH']}" if kept.get("PATH") else f"{folder}:/usr/local/bin:/usr/bin:/bin"
    kept.setdefault("PYTHONUNBUFFERED", "1")
    return kept


def command(
    order: Order,
    ports: Ports,
    mounts: Mapping[str, Path],
    *,
    serve: Sequence[str] = SERVE,
    environ: Mapping[str, str] | None = None,
) -> Launch:
    """What runs in place of the main container of an order.

    ``$(NAME)`` is expanded as Kubernetes does. The replica's ports take the place of those that arguments name, and
    are in ``PORT``, ``HTTP_PORT``, ``GRPC_PORT``, ``FAIRLEAD_HTTP_PORT`` and ``FAIRLEAD_GRPC_PORT``. Paths of mounts
    and the predictor's name are replaced in arguments and variables by what they are on this machine.

    Args:
        order: what is to run.
        ports: where it is to listen.
        mounts: folders of this machine, by the path at which the container would find them.
        serve: how ``fairlead serve`` is run.
        environ: what the process inherits, see `base_environ`.

    Raises:
        Unresolvable: the container has a variable whose value only a cluster knows, or no command.
    """
    container = listening.main_container(order)
    replace = substitution(order, mounts)
    own = container_environ(order)
    if listening.is_fairlead(order):
        argv = [*serve, *_serve_arguments(order, arguments(order, ports, own))]
    elif container.get("command"):
        argv = arguments(order, ports, own)
    else:
        raise errors.Unresolvable(
            "ContainerRuntimeMissing",
            f"The container {container.get('name', '')!r} has no command, and its image needs a container runtime.",
            remedy="Install podman or docker, or give the container a `command` that this machine can run.",
        )
    folder = container.get("workingDir")
    env = {name: replace(value) for name, value in own.items()}
    return Launch(
        argv=tuple(replace(word) for word in argv),
        env={**(environ or {}), **env, **port_environ(ports)},
        cwd=Path(replace(str(folder))) if folder else None,
    )


def arguments(order: Order, ports: Ports | None, variables: Mapping[str, str]) -> list[str]:
    """Command and arguments of a container, expanded, with the replica's ports in place of those that they name.

    Args:
        order: what is to run.
        ports: where it is to listen; None for as its manifest has it.
        variables: those of the container.

    Raises:
        Unresolvable: one of them names a variable that is secret.
    """
    given = dict(variables) if ports is None else {**variables, **port_environ(ports)}
    words = listening.words(listening.main_container(order))
    references.refuse_secrets(order, words)
    expanded = [_expand(word, given) for word in words]
    return expanded if ports is None else _with_ports(expanded, ports)


def substitution(order: Order, mounts: Mapping[str, Path]) -> Callable[[str], str]:
    """What replaces paths of mounts, and the predictor's name, by what they are on this machine."""
    patterns: list[str] = []
    by_path = {path.rstrip("/") or "/": str(folder) for path, folder in mounts.items()}
    if by_path:
        paths = "|".join(re.escape(path) for path in sorted(by_path, key=len, reverse=True))
        patterns.append(rf"(?:(?<=://)|(?<![\w./-]))(?P<path>{paths})(?![\w-]|\.\w)")
    if order.predictor is not None and order.predictor_name is not None:
        name = re.escape(order.predictor_name)
        patterns.append(rf"(?<![\w.-])(?P<host>{name}(?:\.svc(?:\.cluster\.local)?)?(?::\d+)?)(?![\w-]|\.\w)")
    if not patterns:
        return lambda text: text
    pattern = re.compile("|".join(patterns))
    predictor = order.predictor or ""

    def found(match: re.Match[str]) -> str:
        path = match.groupdict().get("path")
        return by_path[path] if path is not None else predictor

    return lambda text: pattern.sub(found, text)


def container_environ(order: Order) -> dict[str, str]:
    """The variables that a container declares, with references to earlier ones expanded; mounts are not replaced.

    ``STORAGE_URI`` becomes the path of the artefact, as KServe makes it for containers of one's own.

    Raises:
        Unresolvable: a value comes from what only a cluster has, or from a Secret or ConfigMap that is not there.
    """
    env = references.of_sources(order)
    sources = {source.uri: source.mount_path for source in order.sources}
    for each in listening.main_container(order).get("env") or ():
        name = str(each["name"])
        value = (
            references.value(order, name, each["valueFrom"])
            if each.get("valueFrom")
            else _expand(str(each.get("value") or ""), env)
        )
        if value is not None:
            env[name] = sources.get(value, value) if name == "STORAGE_URI" else value
    return env


def check(order: Order) -> None:
    """Refuse variables that cannot be had, and arguments that would show what is secret.

    Raises:
        Unresolvable: there is one.
    """
    arguments(order, None, container_environ(order))


def unpickling(order: Order, environ: Mapping[str, str]) -> UnpicklingPolicy:
    """The unpickling policy that ``fairlead serve`` will have: by its flag, its variable, or the user's.

    Raises:
        ConfigurationError: it is none.
    """
    name = "FAIRLEAD_UNPICKLING"
    given = listening.option(order, "--unpickling") or container_environ(order).get(name) or environ.get(name)
    return UnpicklingPolicy.parse(given) if given else UnpicklingPolicy()


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` becomes the variable's value where there is one; ``$$`` is a dollar sign.

    The rule is that of Kubernetes for ``command``, ``args`` and ``env[].value``.
    """

    def found(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return references.REFERENCE.sub(found, text)


def port_environ(ports: Ports) -> dict[str, str]:
    """The variables by which a container is told where to listen."""
    first = ports.http if ports.http is not None else ports.grpc
    named = {"PORT": first, "HTTP_PORT": ports.http, "GRPC_PORT": ports.grpc}
    named |= {"FAIRLEAD_HTTP_PORT": ports.http, "FAIRLEAD_GRPC_PORT": ports.grpc}
    return {name: str(port) for name, port in named.items() if port is not None}


def _with_ports(words: Sequence[str], ports: Ports) -> list[str]:
    """Arguments with the replica's ports in place of those that they name."""
    found: list[str] = []
    pending: int | None = None
    for word in words:
        flag, equals, _ = word.partition("=")
        port = _port_of(flag, ports) if pending is None else None
        if pending is not None:
            found.append(str(pending))
        else:
            found.append(word if port is None or not equals else f"{flag}={port}")
        pending = None if equals else port
    return found


def _port_of(flag: str, ports: Ports) -> int | None:
    if flag in GRPC_FLAGS:
        return ports.grpc
    if flag in HTTP_FLAGS:
        return ports.http if ports.http is not None or flag != "--port" else ports.grpc
    return None


def _serve_arguments(order: Order, given_words: Sequence[str]) -> list[str]:
    """The arguments of ``fairlead serve``, with what it is told beside those of the manifest."""
    words = list(given_words)
    if words and PurePath(words[0]).name == "fairlead":
        words = words[1:]
    if words and words[0] == "serve":
        words = words[1:]
    given = {word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")}
    if "--host" not in given:
        words += ["--host", _LOOPBACK]
    if "--log-format" not in given:
        words += ["--log-format", "json"]
    if "--format" not in given and order.model is not None and order.model.runtime.plugin is not None:
        words += ["--format", order.model.runtime.plugin]
    return words
