"""The recorded decisions of Knative, and how they are played back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fairlead import Sample
from fairlead_autoscaler_kpa.settings import Settings

__all__ = ["NAMES", "events", "load", "rows", "sample_of", "settings_of"]

_FOLDER: Final = Path(__file__).parent / "golden"

NAMES: Final = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
"""The recordings."""


def load(name: str) -> Any:
    """A recording."""
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def rows(recording: Any, table: str) -> list[dict[str, Any]]:
    """The rows of one of the two tables, ``sample`` or ``tick``."""
    columns = recording[f"{table}_columns"]
    return [dict(zip(columns, row, strict=True)) for row in recording[f"{table}s"]]


def settings_of(spec: Mapping[str, Any]) -> Settings:
    """The settings that a recorded spec stands for."""
    return Settings(
        metric=spec["metric"],
        total=float(spec["totalValue"]),
        target=float(spec["targetValue"]),
        weighted=spec["aggregationAlgorithm"] != "linear",
        stable_window=float(spec["stableWindow"]),
        panic_window=float(spec["panicWindow"]),
        panic_threshold=float(spec["panicThreshold"]),
        burst_capacity=float(spec["targetBurstCapacity"]),
        max_scale_up_rate=float(spec["maxScaleUpRate"]),
        max_scale_down_rate=float(spec["maxScaleDownRate"]),
        activation_scale=int(spec["activationScale"] or 1),
        scale_down_delay=float(spec["scaleDownDelay"]),
        initial_scale=int(spec["initialScale"]),
    )


def events(recording: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What happened, in order: ``change``, ``sample`` and ``tick``; at one time in that order."""
    found = [
        (change["t"], 0, index, "change", change) for index, change in enumerate(recording.get("spec_changes", ()))
    ]
    for order, kind in ((1, "sample"), (2, "tick")):
        found += [(row["t"], order, index, kind, row) for index, row in enumerate(rows(recording, kind))]
    for _, _, _, kind, row in sorted(found, key=lambda event: event[:3]):
        yield kind, row


def sample_of(recording: Any, row: Mapping[str, Any]) -> Sample:
    """The measurement of a row."""
    return Sample(recording["epoch_unix"] + row.get("time", row["t"]), float(row["value"]))
