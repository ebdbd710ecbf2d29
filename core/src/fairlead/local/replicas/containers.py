"""Containers that have an image and no command: run by podman or docker, where one is installed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local.replicas import commands, listening
from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.probes import Asked, Exec, Probe
from fairlead.local.replicas.process import Process

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order, Ports

__all__ = ["LABEL", "asked_inside", "command", "find", "name_of", "needed", "remove"]

LABEL: Final = "fairlead.replica"
"""A label of every container: the folder of its replica."""

_ENGINES: Final = ("podman", "docker")
_PATIENCE: Final = 30.0
_PULL: Final[Mapping[str, str]] = {"Always": "always", "Never": "never", "IfNotPresent": "missing"}


def needed(order: Order) -> bool:
    """Whether an order needs a container runtime: it has an image, and no command that runs without."""
    return not listening.is_fairlead(order) and not listening.main_container(order).get("command")


def find(path: str | None = None) -> str:
    """The container runtime of this machine.

    Args:
        path: where to look, as ``PATH``; by default the user's.

    Raises:
        Unresolvable: there is none.
    """
    for engine in _ENGINES:
        if found := shutil.which(engine, path=path):
            return found
    raise errors.Unresolvable(
        "ContainerRuntimeMissing",
        "The container has an image and no command, and neither podman nor docker is installed.",
        remedy="Install podman or docker, or give the container a `command` that this machine can run.",
    )


def name_of(order: Order, attempt: int) -> str:
    """The name of the container of a replica's process."""
    return f"fairlead-{order.namespace}-{order.name}-{attempt}"


def command(
    order: Order,
    ports: Ports,
    mounts: Mapping[str, Path],
    *,
    engine: str,
    name: str,
    environ: Mapping[str, str],
    grace: int = 30,
) -> Launch:
    """How the main container of an order is run from its image.

    It listens on its own ports, which are published on loopback. One that asks the predictor has to reach this
    machine's loopback, so it shares the machine's network and is told its ports as a process is.

    Args:
        order: what is to run.
        ports: where it is to be reached.
        mounts: folders of this machine by the path in the container; those of artefacts are read-only.
        engine: the container runtime.
        name: the name of the container.
        environ: the environment of the container runtime itself.
        grace: seconds that the container has to end.

    Raises:
        Unresolvable: the container has no image, or a variable whose value only a cluster knows.
    """
    container = listening.main_container(order)
    if not container.get("image"):
        raise errors.Unresolvable(
            "UnsupportedField", "The container has neither an image nor a command.", remedy="Give it one of them."
        )
    shares_network = order.predictor is not None
    env = _environ(order, ports, shares_network=shares_network)
    argv = [engine, "run", "--rm", "--init", "--name", name, "--label", f"{LABEL}={order.folder}"]
    argv += ["--stop-timeout", str(grace)]
    argv += ["--network", "host"] if shares_network else _published(order, ports)
    if pull := _PULL.get(str(container.get("imagePullPolicy"))):
        argv += ["--pull", pull]
    if folder := container.get("workingDir"):
        argv += ["--workdir", str(folder)]
    for path, place in mounts.items():
        argv += _volumes(order, path, place)
    for variable in env:
        argv += ["--env", variable]  # without the value, which others could read among the arguments
    replace = commands.substitution(order, {})
    words = [replace(word) for word in commands.arguments(order, ports if shares_network else None, env)]
    return Launch(argv=(*argv, str(container["image"]), *words), env={**environ, **env})


def _environ(order: Order, ports: Ports, *, shares_network: bool) -> dict[str, str]:
    replace = commands.substitution(order, {})
    own = {name: replace(value) for name, value in commands.container_environ(order).items()}
    declared = listening.listening(order)
    where = ports if shares_network else type(ports)(http=declared.http, grpc=declared.grpc)
    return {**own, **commands.port_environ(where)}


def _published(order: Order, ports: Ports) -> list[str]:
    declared = listening.listening(order)
    pairs = ((ports.http, declared.http), (ports.grpc, declared.grpc))
    return [word for here, there in pairs if here and there for word in ("--publish", f"127.0.0.1:{here}:{there}")]


def _volumes(order: Order, path: str, place: Path) -> list[str]:
    """A mount, and for a folder of links a mount of what each of them leads to: a container cannot follow them."""
    mounts: Any = listening.main_container(order).get("volumeMounts") or ()
    declared = {str(mount["mountPath"]): bool(mount.get("readOnly")) for mount in mounts}
    mode = ":ro" if declared.get(path, True) else ""
    links = [Path(entry.path) for entry in os.scandir(place) if entry.is_symlink()] if place.is_dir() else []
    if not links or path in declared:
        return ["--volume", f"{place}:{path}{mode}"]
    return [word for link in links for word in ("--volume", f"{link.resolve()}:{PurePath(path) / link.name}{mode}")]


def asked_inside(asked: Asked, engine: str, name: str) -> Asked:
    """Probes as they are asked of a container: a command runs where the replica does."""

    def inside(probe: Probe | None) -> Probe | None:
        if probe is None or not isinstance(probe.action, Exec):
            return probe
        return dataclasses.replace(probe, action=Exec(command=(engine, "exec", name, *probe.action.command)))

    return Asked(ready=inside(asked.ready) or asked.ready, alive=inside(asked.alive), startup=inside(asked.startup))


async def remove(launch: Launch, name: str) -> None:
    """Remove a container that may be left: it outlives the command that runs it where that is killed.

    Args:
        launch: how it was run.
        name: its name.
    """
    with contextlib.suppress(OSError):
        removing = Process(Launch(argv=(launch.argv[0], "rm", "--force", name), env=launch.env), lambda _data: None)
        await asyncio.wait((removing.ended,), timeout=_PATIENCE)
        await removing.stop(0)
