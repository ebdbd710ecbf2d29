"""The command: which servers and workloads, how long, and where the figures go."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from comparison import cells, comparing, load, machine, tables
from comparison.catalogue import SERVERS

__all__ = ["main"]

WORKLOADS: Final = {
    **{cell.workload: cell.title for cell in cells.CELLS},
    "start": "time to the first answer, and idle memory",
    "overload": "goodput at 0.5, 1 and 10 times the capacity",
}
_INTERRUPTED: Final = 130

_EPILOG: Final = "\n".join(
    (
        "workloads:",
        *(f"  {name:13}{title}" for name, title in WORKLOADS.items()),
        "servers:",
        *(f"  {s.name:13}{s.about}" for s in SERVERS.values()),
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print tables; returns the exit status."""
    args = _parsed(arguments)
    wanted = [tool for tool in load.TOOLS if _needed(tool, args.only)]
    if missing := load.missing_tools(wanted):
        print("\n".join(f"{tool} is not installed: {load.TOOLS[tool]}" for tool in missing), file=sys.stderr)  # noqa: T201  # as below
        return 2
    try:
        os.setpriority(os.PRIO_PROCESS, 0, args.nice)
        machine.prioritise(os.getpid())
    except PermissionError:
        print(f"this user may not run at --nice {args.nice}", file=sys.stderr)  # noqa: T201  # as below
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    base = "kserve" if "kserve" in args.servers else args.servers[0]
    results = tables.Results(base, args.servers)
    status, where = 0, machine.cores()
    machine.use(where.load)
    try:
        comparing.compare(results, args, where)
    except KeyboardInterrupt:
        print("Interrupted. What was measured until then:", file=sys.stderr)  # noqa: T201  # as below
        status = _INTERRUPTED
    for line in (*_conditions(args, where), *tables.lines(results)):
        print(line, flush=True)  # noqa: T201  # the figures are what this command is for
    if args.json is not None:
        args.json.write_text(json.dumps(tables.document(results), indent=1) + "\n", encoding="utf-8")
    return status


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare.py",
        description="Compare model servers on one machine, in one run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", default=3, help="times that every cell is measured (default: 3)"
    )
    parser.add_argument(
        "--seconds", type=_positive, metavar="N", default=3, help="seconds of each measurement (default: 3)"
    )
    parser.add_argument(
        "--only",
        type=_names(tuple(WORKLOADS)),
        default=tuple(WORKLOADS),
        metavar="WORKLOAD,...",
        help="workloads (default: all)",
    )
    parser.add_argument(
        "--servers", type=_names(tuple(SERVERS)), default=tuple(SERVERS), metavar="SERVER,...", help="(default: all)"
    )
    parser.add_argument("--starts", type=_positive, metavar="N", default=5, help="starts of each server (default: 5)")
    parser.add_argument(
        "--overload-seconds", type=_positive, metavar="N", default=60, help="seconds of each load (default: 60)"
    )
    parser.add_argument(
        "--cost", type=_amount, metavar="MS", default=5.0, help="milliseconds that a row costs there (default: 5)"
    )
    parser.add_argument(
        "--patience",
        type=_amount,
        metavar="SECONDS",
        default=2.0,
        help="seconds after which clients give up (default: 2)",
    )
    parser.add_argument(
        "--connections", type=_positive, metavar="N", default=4096, help="connections of its client (default: 4096)"
    )
    parser.add_argument(
        "--nice",
        type=int,
        default=0,
        metavar="N",
        help="of servers and load, -20 to 19; below 0 needs rights (default: 0)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return amount


class _names:  # noqa: N801  # argparse names it in its errors
    """A list of names that are known."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        if unknown := [name for name in names if name not in self._known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(self._known)}")
        return names


def _needed(tool: str, workloads: Sequence[str]) -> bool:
    grpc = {name for name in workloads if name.startswith("grpc")}
    return bool(grpc) if tool == "h2load" else bool(set(workloads) - grpc - {"start"})


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
    raise KeyboardInterrupt


def _conditions(args: argparse.Namespace, where: machine.Cores) -> Iterator[str]:
    yield f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {machine.model()}, Python {platform.python_version()}"
    yield f"servers on core {where.server}, load on core {where.load}; {args.rounds} rounds of {args.seconds} s"
    if where.server == where.load:
        yield "There is one core for both, so that the servers had to share it with the load."
    yield from (f"{name}: {SERVERS[name].about}" for name in args.servers)
    yield ""
