"""The display behind `fairlead.storage.progress.BarProgress`: one line a transfer, which fits the terminal."""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable
from typing import Final, TextIO

import rich.console
import rich.progress
import rich.table
import rich.text

from fairlead.storage import uris

__all__ = ["Display", "description"]

_LONGEST: Final = 28
"""Characters of a name, so that a bar, sizes and times fit beside it in 80 columns."""


def description(label: str) -> str:
    """The last component of what is fetched, shortened in its middle, since names differ at both ends."""
    name = uris.last_part(label) or label
    if len(name) <= _LONGEST:
        return name
    head = _LONGEST // 2
    return f"{name[:head]}…{name[head + 1 - _LONGEST :]}"


class _SpeedColumn(rich.progress.ProgressColumn):
    """Bytes a second, in the binary units of the sizes beside it; rich has it in decimal ones only."""

    def render(self, task: rich.progress.Task) -> rich.text.Text:
        speed = task.finished_speed or task.speed
        return rich.text.Text("" if speed is None else _speed(speed), style="progress.data.speed")


class Display:
    """Bars on standard error; what is logged there meanwhile appears above them."""

    def __init__(self) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False, table_column=_fixed()),
            rich.progress.BarColumn(bar_width=None, table_column=rich.table.Column(ratio=1)),
            rich.progress.DownloadColumn(binary_units=True, table_column=_fixed()),
            _SpeedColumn(table_column=_fixed()),
            rich.progress.TimeRemainingColumn(table_column=_fixed()),
            console=rich.console.Console(stderr=True),
            expand=True,
        )
        self._moved: list[tuple[logging.StreamHandler[TextIO], TextIO]] = []

    def start(self) -> None:
        """Show the bars."""
        terminal = sys.stderr
        self._bars.start()
        atexit.register(self.stop)  # a process that ends meanwhile would leave its terminal without a cursor
        for handler in logging.getLogger().handlers:
            # Handlers keep the stream that they were made with, and would write into the bars.
            if isinstance(handler, logging.StreamHandler) and handler.stream is terminal:
                handler.setStream(sys.stderr)
                self._moved.append((handler, terminal))

    def add(self, label: str, *, total: int | None, done: int) -> Callable[[int], None]:
        """Draw one more bar, and return what advances it by so many bytes."""
        task = self._bars.add_task(description(label), total=total, completed=done)
        return lambda count: self._bars.advance(task, count)

    def stop(self) -> None:
        """Leave the bars as they are, and write after them from now on."""
        atexit.unregister(self.stop)
        while self._moved:
            handler, terminal = self._moved.pop()
            handler.setStream(terminal)
        self._bars.stop()


def _fixed() -> rich.table.Column:
    return rich.table.Column(no_wrap=True)


def _speed(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}/s" if unit == "bytes" else f"{count:.1f} {unit}/s"
        count /= 1024
    return f"{count:.1f} GiB/s"
