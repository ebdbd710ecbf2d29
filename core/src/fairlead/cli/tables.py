"""What is shown of InferenceServices: a table of many, in the columns of ``kubectl get isvc``, and all of one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli import ages, plaintext, viewing
from fairlead.cli.descriptions import description

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.cli.viewing import View

__all__ = ["description", "notes", "services_rows", "services_table", "show"]

_COLUMNS: Final = ("NAME", "URL", "READY", "PREV", "LATEST", "PREVROLLEDOUTREVISION", "LATESTREADYREVISION", "AGE")
_MORE: Final = ("REPLICAS", "STRATEGY", "RUNTIME")
_STYLES: Final = {"True": "green", "False": "red", "Unknown": "yellow"}


def services_rows(views: Sequence[View], wide: bool, now: float) -> list[tuple[str, ...]]:
    """The table of services as texts, its header first.

    Args:
        views: services as `fairlead.local.views.view` gives them, or their manifests alone; of those it is not known
            how many replicas they have, and by which strategy.
        wide: whether to add namespace, replicas, strategy and runtime.
        now: seconds of Unix time.
    """
    spaced = wide or len({_metadata(view).get("namespace", "default") for view in views}) > 1
    header = (*(["NAMESPACE"] if spaced else []), *_COLUMNS, *(_MORE if wide else ()))
    return [header, *(_row(view, spaced=spaced, wide=wide, now=now) for view in views)]


def services_table(views: Sequence[View], wide: bool, now: float) -> Table:
    """The table of services for a terminal; the arguments are those of `services_rows`."""
    from rich.table import Table
    from rich.text import Text

    header, *rows = services_rows(views, wide, now)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for title in header:
        table.add_column(Text(title), no_wrap=title in ("NAME", "READY", "AGE"), overflow="fold")
    for row in rows:
        cells = zip(header, row, strict=True)
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "") if title == "READY" else "") for title, cell in cells))
    return table


def notes(views: Sequence[View]) -> list[str]:
    """Lines about what the table does not show: latest revisions that do not answer while those before them do."""
    found = []
    for view in views:
        told = [*viewing.behind(view), *(each for each in viewing.waiting(view) if each.canary and each.fails)]
        found += [plaintext.line(f"{viewing.name_of(view)}: {each}") for each in told]
    return found


def show(table: Table) -> None:
    """Print a table: fitted to a terminal, and with every line whole elsewhere."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(table)
        return
    # Without a terminal rich would fold lines at 80 columns, and programs could not read them.
    console = Console(width=100_000, no_color=True)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _row(view: View, *, spaced: bool, wide: bool, now: float) -> tuple[str, ...]:
    metadata, status = _metadata(view), _status(view)
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions") or ()
    ready = next((each.get("status", "") for each in conditions if each.get("type") == "Ready"), "")
    predictor = (status.get("components") or {}).get("predictor") or {}
    traffic: Sequence[Mapping[str, Any]] = predictor.get("traffic") or ()
    previous: Mapping[str, Any] = next((each for each in traffic if each.get("tag") == "prev"), {})
    latest: Mapping[str, Any] = next((each for each in traffic if each.get("latestRevision")), {})
    cells: list[object] = [metadata.get("namespace") or "default"] if spaced else []
    cells += [metadata.get("name"), status.get("url"), ready, previous.get("percent"), latest.get("percent")]
    cells += [previous.get("revisionName"), latest.get("revisionName"), _age(metadata, conditions, now)]
    if wide:
        runtime = status.get("clusterServingRuntimeName") or status.get("servingRuntimeName")
        cells += [_replicas(view), _strategies(view), runtime or "<none>"]
    return tuple("" if cell is None else plaintext.line(str(cell)) for cell in cells)


def _metadata(view: View) -> Mapping[str, Any]:
    found: Mapping[str, Any] = view.get("manifest", view)["metadata"]
    return found


def _status(view: View) -> Mapping[str, Any]:
    return view.get("manifest", view).get("status") or {}


def _age(metadata: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]], now: float) -> str:
    """Since when there is a service: where its manifest does not say, since when anything is said of it."""
    if made := metadata.get("creationTimestamp"):
        return ages.since(made, now)
    known = [at for each in conditions if (at := ages.moment(each.get("lastTransitionTime"))) is not None]
    return ages.since(min(known, default=None), now)


def _replicas(view: View) -> str:
    """Replicas that are ready, of those that are to be; ``<unknown>`` for a manifest alone."""
    if "replicas" not in view:
        return ages.UNKNOWN
    ready = sum(each.get("stage") == "ready" for each in view["replicas"])
    return f"{ready}/{sum(each.get('desired', 0) for each in (view.get('scaling') or {}).values())}"


def _strategies(view: View) -> str:
    if "scaling" not in view:
        return ages.UNKNOWN
    found = dict.fromkeys(str(each.get("strategy") or "none") for each in view["scaling"].values())
    return ",".join(found) or "<none>"
