"""How ``fairlead autoscale simulate`` prints what it found."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairlead.autoscaling import optimum, report

if TYPE_CHECKING:
    from fairlead.autoscaling.report import Report
    from fairlead.autoscaling.runs import Run

__all__ = ["print_json", "print_table", "said"]


def said(runs: Sequence[Run]) -> list[str]:
    """What was replayed against what."""
    trace, cluster, spec = runs[0].trace, runs[0].cluster, runs[0].spec
    bound = "any number of" if spec.max_replicas is None else f"{spec.max_replicas}"
    ideal = optimum.without_waiting(trace, cluster.concurrency, spec.min_replicas)
    load = f"{trace.name}: {len(trace.arrivals):,} requests in {trace.duration:,g} s."
    each = f"each takes {cluster.concurrency} at once, and {cluster.start_time:g} s to start"
    return [
        f"{load} {spec.min_replicas} to {bound} pods; {each}.",
        f"A clairvoyant who lets no request wait needs {ideal:,.0f} pod-seconds.",
    ]


def print_table(runs: Sequence[Run], reports: Sequence[Report], objective: float) -> None:
    """Print the figures, one column for each strategy."""
    first, second = said(runs)
    print(f"{first}\n")
    header = ("", *(each.strategy for each in reports))
    rows = report.rows(reports, objective)
    if sys.stdout.isatty():
        _print_rich(header, rows)
    else:
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for label, *cells in (header, *rows):
            figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            print("  ".join((label.ljust(widths[0]), *figures)))
    print(f"\n{second}")


def _print_rich(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box, console, table, text

    view = table.Table(box=box.SIMPLE_HEAD, pad_edge=False)
    view.add_column(header[0], style="dim")
    for title in header[1:]:
        view.add_column(text.Text(title), justify="right")
    for row in rows:
        view.add_row(*map(text.Text, row))
    console.Console().print(view)


def print_json(runs: Sequence[Run], reports: Sequence[Report], objective: float) -> None:
    """Print the figures and every change of the number of replicas."""
    trace, cluster, spec = runs[0].trace, runs[0].cluster, runs[0].spec
    value = {
        "trace": {"name": trace.name, "requests": len(trace.arrivals), "duration": trace.duration},
        "objective": objective,
        "clairvoyant_pod_seconds": optimum.without_waiting(trace, cluster.concurrency, spec.min_replicas),
        "strategies": [
            {**dataclasses.asdict(judged), "changes": [dataclasses.asdict(change) for change in each.changes]}
            for each, judged in zip(runs, reports, strict=True)
        ],
    }
    print(json.dumps(value, indent=2, ensure_ascii=False))
