"""What a process and everything that it has started use: time of the CPU and memory, from ``/proc``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from fairlead.contracts.autoscaler import Sample

__all__ = ["Meter", "Usage", "tree_usage", "trees_usage"]

Usage: TypeAlias = "tuple[float, int]"
"""Seconds of the CPU that were ever used, and bytes of memory that are used now."""

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_NOTHING: Final[Mapping[str, Sample]] = MappingProxyType({})


def tree_usage(pid: int) -> Usage | None:
    """What a process and its descendants use.

    The time of those that have ended counts, once their parent has waited for them. Memory is the resident set; where
    there are several processes, pages that they share count once.

    Args:
        pid: the process at the root.

    Returns:
        Seconds and bytes, or None when there is no such process.
    """
    return trees_usage((pid,)).get(pid)


def trees_usage(pids: Collection[int]) -> dict[int, Usage]:
    """What many processes and their descendants use, each as `tree_usage` says, in one look at all processes.

    Returns:
        Usage by the process at the root; those that there are not are missing.
    """
    stats = {stat.pid: stat for stat in _stats()} if pids else {}
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found = {}
    for root in pids:
        if root not in stats:
            continue
        tree = [root]
        for pid in tree:
            tree.extend(children.get(pid, ()))
        ticks = sum(stats[pid].ticks for pid in tree)
        alone = len(tree) == 1
        memory = sum(stats[pid].resident if alone else _proportional(pid, stats[pid].resident) for pid in tree)
        found[root] = (ticks / _TICKS, memory)
    return found


class Meter:
    """Turns what one replica uses into measurements: ``cpu`` in cores, ``memory`` in bytes.

    Args:
        interval: the shortest time, in seconds, over which the CPU's is averaged: it is counted in hundredths.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._interval = interval
        self._before: tuple[float, float] | None = None
        self._latest: Mapping[str, Sample] = _NOTHING

    def samples(self) -> Mapping[str, Sample]:
        """The latest measurement of each metric."""
        return self._latest

    def update(self, at: float, seconds: float, memory: int) -> Mapping[str, Sample]:
        """Take in what is used, as `tree_usage` returns it.

        Args:
            at: when it was measured, in seconds.
            seconds: of the CPU that were ever used.
            memory: bytes that are used now.

        Returns:
            The latest measurement of each metric. ``cpu`` is missing until the process has been looked at for an
            interval, and again when another one has taken its place.
        """
        latest = {**self._latest, "memory": Sample(at, float(memory))}
        before = self._before
        if before is None or at < before[0] or seconds < before[1]:
            latest.pop("cpu", None)
            self._before = (at, seconds)
        elif at - before[0] >= self._interval:
            span = at - before[0]
            latest["cpu"] = Sample(at, (seconds - before[1]) / span, span)
            self._before = (at, seconds)
        self._latest = MappingProxyType(latest)
        return self._latest


class _Stat:
    """A line of ``/proc/PID/stat``; see proc(5) for its fields."""

    __slots__ = ("parent", "pid", "resident", "ticks")

    def __init__(self, line: str) -> None:
        pid, _, rest = line.partition(" (")
        fields = rest.rpartition(") ")[2].split()  # the name in between may hold anything
        self.pid, self.parent = int(pid), int(fields[1])
        self.ticks = sum(map(int, fields[11:15]))
        self.resident = int(fields[21]) * _PAGE


def _stats() -> Iterator[_Stat]:
    """Every process that there is; those that end meanwhile are left out."""
    for entry in os.listdir(_PROC):  # noqa: PTH208 -- a Path for each of thousands costs more than to read it
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                yield _Stat(_read(f"/proc/{entry}/stat"))


def _proportional(pid: int, resident: int) -> int:
    """Bytes of a process, each page divided by the processes that have it; what is resident where nobody tells."""
    with contextlib.suppress(OSError, ValueError):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return resident


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 -- as above
        return file.read()
