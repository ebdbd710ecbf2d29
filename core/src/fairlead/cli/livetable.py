"""The table that ``fairlead up`` keeps up to date: a line for each service, with what is going on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli import plaintext, viewing

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.cli.viewing import View

__all__ = ["going_on", "replicas", "table", "traffic"]

_STYLES: Final = {"True": ("yes", "green"), "False": ("no", "red"), "Unknown": ("not yet", "yellow")}
_TELLING: Final = ("failed", "unready", "fetching", "starting", "pending", "stopping")
"""Stages of a replica that say what is going on, the most important first."""


def table(views: Sequence[View]) -> Table:
    """A line for each service: its name, whether it is Ready, its replicas, its traffic, its URL, and what goes on."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("SERVICE", "READY", "REPLICAS", "TRAFFIC", "URL"):
        made.add_column(title, no_wrap=True)
    made.add_column("", overflow="ellipsis")  # gives way to the others, whose words are to be copied
    for view in views:
        ready = viewing.readiness(view)
        word, style = _STYLES.get(ready.status, (ready.status, "yellow"))
        cells = [viewing.name_of(view), replicas(view), traffic(view), ready.url, going_on(view)]
        name, *others = (Text(plaintext.line(each), no_wrap=True) for each in cells)
        made.add_row(name, Text(word, style=style), *others)
    return made


def replicas(view: View) -> str:
    """Replicas that are ready, and how many there are to be, of all components together."""
    ready = sum(each["stage"] == "ready" for each in view["replicas"])
    return f"{ready}/{sum(each.get('desired', 0) for each in view['scaling'].values())}"


def traffic(view: View) -> str:
    """Percent by revision of the component that requests come to first, such as ``00002 20% 00001 80%``."""
    components: Mapping[str, Any] = (view["manifest"].get("status") or {}).get("components") or {}
    entry = components.get("transformer") or components.get("predictor") or {}
    shares = [each for each in entry.get("traffic") or () if each.get("percent")]
    canaries: Mapping[str, int] = view.get("canaries") or {}
    found = [f"{each.get('revisionName', '').rpartition('-')[2]} {each['percent']}%" for each in shares]
    return " ".join([*found, *(f"{name} {percent}%" for name, percent in canaries.items())])


def going_on(view: View) -> str:
    """What a user who waits would like to know, in one line; empty where everything is as it should be."""
    ready = viewing.readiness(view)
    if ready.status != "True" and (ready.message or ready.reason):
        return " ".join(f"{ready.reason}: {ready.message}".strip(": ").split())
    if failing := [each for each in viewing.waiting(view) if each.fails]:
        return " ".join("; ".join(map(str, failing)).split())
    stages = Counter(each["stage"] for each in view["replicas"])
    told = [f"{stages[stage]} {stage}" for stage in _TELLING if stages[stage]]
    told += [each["reason"] for each in view["scaling"].values() if each.get("reason") and told]
    return " ".join(", ".join(told).split())
