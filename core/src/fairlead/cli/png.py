"""Plots of simulated runs as PNG, by matplotlib where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.autoscaling import plot

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.autoscaling.runs import Run

__all__ = ["check", "draw"]


def check() -> None:
    """Require matplotlib.

    Raises:
        ConfigurationError: it is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise errors.ConfigurationError(
            "A plot as PNG needs matplotlib, which is not installed.",
            remedy="Install it (pip install matplotlib), or name a file that ends in .html.",
        )


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw load, pods and queue of runs of one trace into a file."""
    # By name, so that type checkers need not have it; the figure alone needs no display.
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(10, 7), layout="constrained")
    panels = plot.panels(runs)
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, panel in zip(axes, panels, strict=True):
        for line in panel.lines:
            at, values = zip(*line.points, strict=True)
            style = ":" if line.dashed else "-"
            axis.step(at, values, where="post", label=line.label, color=line.color, linestyle=style, linewidth=1.2)
        axis.set_title(panel.title, loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        axis.grid(axis="y", alpha=0.25)
        if len(panel.lines) > 1:
            axis.legend(fontsize=8, frameon=False)
    axes[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=120)
