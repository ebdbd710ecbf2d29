"""Plots of runs as SVG: load, pods and queue over time, one below the other."""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.autoscaling.runs import Moment, Run

__all__ = ["COLORS", "LOAD_COLOR", "Line", "Panel", "marks", "panels", "svg", "times"]

COLORS: Final = ("#1f77b4", "#d95f02", "#1b9e77", "#a6449a", "#b8860b", "#666666")
"""One for each strategy, over again from the seventh on."""

LOAD_COLOR: Final = "#7a869a"

_WIDTH: Final = 960
_HEIGHT: Final = 206
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 34
_BOTTOM: Final = 42
_MAX_POINTS: Final = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel.

    Attributes:
        label: what it shows.
        color: of the line.
        points: time and value; each value holds until the next.
        dashed: whether it is drawn with gaps.
    """

    label: str
    color: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one axis of time."""

    title: str
    lines: Sequence[Line]


def panels(runs: Sequence[Run]) -> list[Panel]:
    """What is drawn of runs of the same trace."""
    load = Line("requests per second", LOAD_COLOR, _thinned(runs[0].moments, lambda moment: moment.rate))
    pods: list[Line] = []
    queue: list[Line] = []
    for run, color in zip(runs, itertools.cycle(COLORS), strict=False):
        wanted = _thinned(run.moments, lambda moment: moment.desired)
        pods.append(Line(f"{run.strategy}, wanted", color, wanted, dashed=True))
        pods.append(Line(f"{run.strategy}, ready", color, _thinned(run.moments, lambda moment: moment.ready)))
        queue.append(Line(run.strategy, color, _thinned(run.moments, lambda moment: moment.queued)))
    return [Panel("Load: requests per second", [load]), Panel("Pods", pods), Panel("Requests that wait", queue)]


def svg(runs: Sequence[Run]) -> str:
    """Draw runs of the same trace; text has the color of the page around it."""
    drawn = panels(runs)
    height = _HEIGHT * len(drawn) + 8
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        ),
        f"<title>Load, pods and queue of {html.escape(runs[0].trace.name)}</title>",
    ]
    for number, panel in enumerate(drawn):
        parts.append(f'<g transform="translate(0 {number * _HEIGHT})">{_panel(panel, runs[0].trace.duration)}</g>')
    return "\n".join([*parts, "</svg>"])


def _thinned(moments: Sequence[Moment], value: Callable[[Moment], float]) -> list[tuple[float, float]]:
    """At most so many points as can be told apart; the highest value of each span, so that no peak is lost."""
    size = math.ceil(len(moments) / _MAX_POINTS)
    spans = (moments[start : start + size] for start in range(0, len(moments), size))
    points = [(span[0].at, float(max(map(value, span)))) for span in spans]
    last = moments[-1]
    return points if size == 1 else [*points, (last.at, float(value(last)))]


def _panel(panel: Panel, duration: float) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    highest = max((value for line in panel.lines for _, value in line.points), default=0.0)
    heights = marks(highest)
    top_value = heights[-1]

    def x(at: float) -> float:
        return _LEFT + (right - _LEFT) * at / duration

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * value / top_value

    parts = [f'<text x="{_LEFT}" y="16" font-weight="600">{html.escape(panel.title)}</text>']
    parts.extend(
        f'<line x1="{_LEFT}" x2="{right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" '
        'stroke="currentColor" stroke-opacity="0.15"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end" opacity="0.7">{mark:g}</text>'
        for mark in heights
    )
    for at in times(duration):
        anchor = "start" if at == 0 else "middle" if x(at) < right - 20 else "end"
        parts.append(
            f'<text x="{x(at):.1f}" y="{bottom + 16}" text-anchor="{anchor}" opacity="0.7">{_clock(at)}</text>'
        )
    for line in panel.lines:
        dash = ' stroke-dasharray="2 3" stroke-opacity="0.9"' if line.dashed else ""
        parts.append(
            f'<path d="{_steps(line.points, x, y)}" fill="none" stroke="{line.color}" stroke-width="1.6"{dash}>'
            f"<title>{html.escape(line.label)}</title></path>"
        )
    return "\n".join([*parts, _legend(panel.lines)])


def _legend(lines: Sequence[Line]) -> str:
    """The names of the lines, from the right edge to the left; none where the title says it."""
    if len(lines) < 2 and lines[0].color == LOAD_COLOR:
        return ""
    parts: list[str] = []
    right = float(_WIDTH - _RIGHT)
    for line in reversed(lines):
        width = 6.2 * len(line.label) + 29
        dash = ' stroke-dasharray="2 3"' if line.dashed else ""
        parts.append(
            f'<line x1="{right - width:.0f}" x2="{right - width + 20:.0f}" y1="12" y2="12" '
            f'stroke="{line.color}" stroke-width="2"{dash}/>'
            f'<text x="{right:.0f}" y="16" text-anchor="end">{html.escape(line.label)}</text>'
        )
        right -= width + 14
    return "".join(parts)


def _steps(points: Sequence[tuple[float, float]], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    at, value = points[0]
    path = [f"M{x(at):.1f} {y(value):.1f}"]
    held = value
    for at, value in points[1:]:
        if value != held:
            path.append(f"H{x(at):.1f}V{y(value):.1f}")
            held = value
    path.append(f"H{x(points[-1][0]):.1f}")
    return "".join(path)


def marks(highest: float) -> list[float]:
    """Four or five round values from 0 to above the highest."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 4
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(each * scale for each in (1, 2, 2.5, 5, 10) if each * scale >= rough)
    return [round(number * step, 10) for number in range(math.ceil(highest / step) + 1)]


def times(duration: float) -> list[float]:
    """Round times, seven at most."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
    step = next((each for each in steps if duration / each <= 7), duration / 6)
    return [number * step for number in range(int(duration / step + 1e-9) + 1)]


def _clock(at: float) -> str:
    minutes, seconds = divmod(round(at), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
