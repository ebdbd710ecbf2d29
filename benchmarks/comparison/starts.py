"""How long servers take to their first answer, and what they hold when they are idle."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from comparison import machine, running

if TYPE_CHECKING:
    from comparison.catalogue import Server

__all__ = ["Start", "starts"]


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """What was found for a server that serves the classifier alone: medians.

    Attributes:
        seconds: from the start of its process to its first answer.
        idle: memory a second after that.
    """

    seconds: float
    idle: machine.Memory


def starts(
    servers: Sequence[Server],
    folders: Mapping[str, Path],
    core: int,
    times: int,
    silent: dict[str, str],
    say: Callable[[str], None],
) -> Mapping[str, Start]:
    """Start each server, in turn, this many times; once more before, so that files are in memory.

    A server that does not answer is noted in ``silent``, with the reason.
    """
    seconds: dict[str, list[float]] = {}
    idle: dict[str, list[machine.Memory]] = {}
    for turn in range(times + 1):
        for server in servers if turn % 2 == 0 else reversed(servers):
            if server.name in silent:
                continue
            say(f"{server.name}: start {turn} of {times}" if turn else f"{server.name}: a start that does not count")
            try:
                with running.running(server, folders[server.name], ("iris",), core) as started:
                    if turn:
                        time.sleep(1)  # a server still frees what it needed to start
                        seconds.setdefault(server.name, []).append(started.started)
                        idle.setdefault(server.name, []).append(machine.memory(started.session))
            except running.Silent as error:
                silent[server.name] = str(error)
    ordered = {server.name: seconds[server.name] for server in servers if server.name in seconds}
    return {name: Start(statistics.median(found), _median(idle[name])) for name, found in ordered.items()}


def _median(found: Sequence[machine.Memory]) -> machine.Memory:
    return sorted(found, key=lambda each: each.pss)[len(found) // 2]
