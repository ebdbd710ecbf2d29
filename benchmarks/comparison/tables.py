"""The tables, as text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comparison.cells import Cell, Measured
    from comparison.overload import Overload
    from comparison.starts import Start

__all__ = ["Results", "document", "lines"]


@dataclasses.dataclass(slots=True)
class Results:
    """All that was measured so far.

    Attributes:
        base: the server that the others are compared with.
        servers: the names of the servers, in order.
        cells: what was found in each cell.
        starts: starts and memory.
        overloads: what was found under overload.
        silent: why a server could not be started; it has no figures from there on.
    """

    base: str
    servers: Sequence[str]
    cells: list[tuple[Cell, Mapping[str, Measured]]] = dataclasses.field(default_factory=list)
    starts: Mapping[str, Start] = dataclasses.field(default_factory=dict)
    overloads: dict[str, Overload] = dataclasses.field(default_factory=dict)
    silent: dict[str, str] = dataclasses.field(default_factory=dict)


def lines(results: Results) -> Iterator[str]:
    """All tables."""
    if results.cells:
        yield from _ratios(results)
        yield from _absolutes(results)
    if results.starts:
        yield from _starts(results)
    if results.overloads:
        yield from _overloads(results)
    yield from (f"{name}: {reason}" for name, reason in results.silent.items())


def _ratios(results: Results) -> Iterator[str]:
    yield f"Requests per second, in multiples of {results.base}; * has failures, ~ was disturbed"
    yield ""
    yield f"{'':36}{'at once':>8}" + "".join(f"{name:>13}" for name in results.servers)
    for cell, found in results.cells:
        row = "".join(f"{_ratio(found.get(name), found.get(results.base)):>13}" for name in results.servers)
        yield f"{cell.title:36}{cell.concurrency:8}" + row
    yield ""


def _ratio(measured: Measured | None, base: Measured | None) -> str:
    if measured is None or not measured.samples:
        return "-"
    ratio = None if base is None else measured.ratio(base)
    return ("?" if ratio is None else f"{ratio:.2f}") + _mark(measured)


def _mark(measured: Measured) -> str:
    return "*" * any(sample.failed for sample in measured.samples) + "~" * measured.unsettled


def _absolutes(results: Results) -> Iterator[str]:
    head = (
        f"{'server':13}{'x':>9}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'failed':>8}{'others %':>10}  min..max /s"
    )
    yield f"{'':36}{'at once':>8}  {head}"
    for cell, found in results.cells:
        for name, measured in found.items():
            start = f"{cell.title:36}{cell.concurrency:8}  {name:13}"
            if not measured.samples:
                yield f"{start}{'-':>9}  {_shortened(measured.reason)}"
                continue
            rates = [sample.rate for sample in measured.samples]
            failed = sum(sample.failed for sample in measured.samples)
            yield (
                f"{start}{_ratio(measured, found.get(results.base)):>9}{measured.median(lambda s: s.rate):12.1f}"
                f"{measured.median(lambda s: s.p50):10.2f}{measured.median(lambda s: s.p99):10.2f}{failed:8}"
                f"{measured.median(lambda s: s.others) * 100:10.0f}  {min(rates):.0f}..{max(rates):.0f}"
            )
    yield ""


def _shortened(reason: str | None) -> str:
    return " ".join((reason or "interrupted").split())[:100]


def _starts(results: Results) -> Iterator[str]:
    yield f"{'one classifier':14}{'first answer ms':>17}{'PSS MiB':>10}{'RSS MiB':>10}{'processes':>11}"
    for name, found in results.starts.items():
        idle = found.idle
        yield f"{name:14}{found.seconds * 1e3:17.0f}{idle.pss:10.0f}{idle.rss:10.0f}{idle.processes:11}"
    yield ""


def _overloads(results: Results) -> Iterator[str]:
    head = f"{'asked/s':>9}{'good/s':>9}{'p50 ms':>10}{'p99 ms':>10}{'PSS MiB':>16}{'sent late ms':>14}{'others %':>10}"
    yield f"{'overload':14}{'load':>6}{head}  became of the rest"
    for name, found in results.overloads.items():
        for phase in found.phases:
            rest = ", ".join(f"{count} {outcome}" for outcome, count in phase.others.items()) or "none"
            rest += "" if phase.settled else "; still busy a minute later"
            memory = f"{phase.before.pss:.0f} to {phase.after.pss:.0f}"
            yield (
                f"{name:14}{phase.times:5g}x{phase.asked:9.0f}{phase.goodput:9.1f}{_ms(phase.p50)}{_ms(phase.p99)}"
                f"{memory:>16}{phase.late:14.1f}{phase.others_share * 100:10.0f}  {rest}"
            )
    yield ""


def _ms(value: float) -> str:
    return f"{'-':>10}" if math.isnan(value) else f"{value:10.1f}"


def document(results: Results) -> dict[str, object]:
    """Everything, for a JSON file."""
    return {
        "base": results.base,
        "cells": [
            {
                "workload": cell.workload,
                "concurrency": cell.concurrency,
                "servers": {
                    name: dataclasses.asdict(each)
                    | {"ratio": (each.ratio(found[results.base]) if results.base in found else None)}
                    for name, each in found.items()
                },
            }
            for cell, found in results.cells
        ],
        "starts": {name: dataclasses.asdict(each) for name, each in results.starts.items()},
        "silent": results.silent,
        "overloads": {name: _overload_document(each) for name, each in results.overloads.items()},
    }


def _overload_document(found: Overload) -> dict[str, object]:
    def known(phase: dict[str, object]) -> dict[str, object]:
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in phase.items()
        }

    return {"capacity": found.capacity, "phases": [known(dataclasses.asdict(phase)) for phase in found.phases]}
