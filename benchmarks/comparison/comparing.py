"""One run: environments and models, then starts, then the cells with every server up, then overload."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from comparison import cells, machine, models, progress
from comparison.catalogue import SERVERS, Server
from comparison.overload import overload
from comparison.running import Running, Silent, running
from comparison.starts import starts

if TYPE_CHECKING:
    from comparison.tables import Results

__all__ = ["compare"]

_SETS: Final[Mapping[str, Sequence[str]]] = {
    "start": ("iris",),
    "cells": ("iris", "boosted", "mean", "echo"),
    "overload": ("cost",),
}
"""The models of each part: a folder of its own, because some servers load all that is in it."""

Say = Callable[[str], None]


def compare(results: Results, args: argparse.Namespace, where: machine.Cores) -> None:
    """Measure what the arguments ask for; results are complete up to the moment of an exception."""
    servers = [SERVERS[name] for name in args.servers]
    chosen = [cell for cell in cells.CELLS if cell.workload in args.only]
    parts = {"start": "start" in args.only, "cells": bool(chosen), "overload": "overload" in args.only}
    with tempfile.TemporaryDirectory() as name, progress.shown() as say:
        wanted = [part for part, asked in parts.items() if asked]
        folders = _prepared(Path(name), servers, wanted, results.silent, say)
        if parts["start"]:
            results.starts = starts(servers, folders["start"], where.server, args.starts, results.silent, say)
        if parts["cells"]:
            _cells(results, chosen, servers, folders["cells"], where.server, args, say)
        if parts["overload"]:
            _overloads(results, servers, folders["overload"], where, args, say)


def _prepared(
    root: Path, servers: Sequence[Server], parts: Sequence[str], silent: dict[str, str], say: Say
) -> Mapping[str, Mapping[str, Path]]:
    folders: dict[str, dict[str, Path]] = {part: {} for part in parts}
    for server in servers:
        say(f"{server.name}: environment and models")
        try:
            python = server.python()
            for part in parts:
                folder = folders[part][server.name] = root / part / server.name
                folder.mkdir(parents=True)
                server.prepare(python, folder, server.models(_SETS[part]))
        except subprocess.CalledProcessError as error:
            silent[server.name] = f"{server.name} could not be installed, or could not train the model: {error}"
    return folders


def _cells(
    results: Results,
    chosen: Sequence[cells.Cell],
    servers: Sequence[Server],
    folders: Mapping[str, Path],
    core: int,
    args: argparse.Namespace,
    say: Say,
) -> None:
    up: list[Running] = []
    with contextlib.ExitStack() as stack:
        for server in servers:
            if server.name in results.silent:
                continue
            say(f"{server.name}: start")
            try:
                up.append(
                    stack.enter_context(running(server, folders[server.name], server.models(_SETS["cells"]), core))
                )
            except Silent as error:
                results.silent[server.name] = str(error)
        for each in up:
            machine.settled(each.session)
        for number, cell in enumerate(chosen, 1):

            def told(
                text: str, title: str = f"{number}/{len(chosen)} {cell.title}, {cell.concurrency} at once"
            ) -> None:
                say(f"{title}, {text}")

            found = cells.measure(cell, up, core, args.rounds, args.seconds, told)
            results.cells.append((cell, found))


def _overloads(
    results: Results,
    servers: Sequence[Server],
    folders: Mapping[str, Path],
    where: machine.Cores,
    args: argparse.Namespace,
    say: Say,
) -> None:
    products = models.products(args.cost / 1e3)
    for server in servers:
        if server.overload is None or server.name in results.silent:
            continue
        try:
            results.overloads[server.name] = overload(
                server,
                folders[server.name],
                where,
                products,
                args.overload_seconds,
                args.patience,
                args.connections,
                say,
            )
        except Silent as error:
            results.silent[server.name] = str(error)
