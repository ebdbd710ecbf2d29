"""A page about runs: figures, plots and decisions in one HTML file, which loads and runs nothing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead.autoscaling import plot, report

if TYPE_CHECKING:
    from fairlead.autoscaling.report import Report
    from fairlead.autoscaling.runs import Run

__all__ = ["render"]

_MAX_CHANGES: Final = 500

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0.2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p { margin: 0.2rem 0 1rem; opacity: 0.8; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 1.2rem 0.2rem 0; text-align: right; vertical-align: top; }
th, td { border-bottom: 1px solid rgb(128 128 128 / 0.25); }
th:first-child, td:first-child, td.reason, th.reason { text-align: left; white-space: nowrap; }
td.reason { white-space: normal; }
svg { width: 100%; height: auto; margin-top: 1.5rem; }
summary { cursor: pointer; padding: 0.3rem 0; } details table { margin: 0.5rem 0 1rem; font-size: 0.9rem; }
""".strip()


def render(runs: Sequence[Run], reports: Sequence[Report], objective: float, *, lines: Sequence[str] = ()) -> str:
    """Write the page.

    Args:
        runs: runs of one trace.
        reports: one for each.
        objective: seconds in which a request should be answered.
        lines: what else to say below the title.
    """
    title = f"Simulated: {runs[0].trace.name}"
    head = (
        '<meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    said = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    body = [f"<h1>{html.escape(title)}</h1>", said, _figures(reports, objective), plot.svg(runs), "<h2>Decisions</h2>"]
    body += [_changes(run) for run in runs]
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _figures(reports: Sequence[Report], objective: float) -> str:
    header = "".join(f"<th>{html.escape(each.strategy)}</th>" for each in reports)
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in report.rows(reports, objective)
    )
    return f"<table><tr><th></th>{header}</tr>\n" + "\n".join(rows) + "</table>"


def _changes(run: Run) -> str:
    rows = [
        f"<tr><td>{change.at:.1f} s</td><td>{change.replicas}</td>"
        f'<td class="reason">{html.escape(change.reason)}</td></tr>'
        for change in run.changes[:_MAX_CHANGES]
    ]
    left = len(run.changes) - len(rows)
    more = f"<p>{left} more are not shown.</p>" if left else ""
    return (
        f"<details><summary>{html.escape(run.strategy)}: {len(run.changes)} changes of the number of replicas</summary>"
        '<table><tr><th>at</th><th>replicas</th><th class="reason">reason</th></tr>\n'
        + "\n".join(rows)
        + f"</table>{more}</details>"
    )
