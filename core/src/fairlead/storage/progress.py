"""Showing how far a fetch is: a bar on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import abc
import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

if TYPE_CHECKING:
    from fairlead.storage import bars

__all__ = [
    "Advance",
    "BarProgress",
    "JsonProgress",
    "LineProgress",
    "LogProgress",
    "Progress",
    "SilentProgress",
    "automatic",
]

Advance: TypeAlias = "Callable[[int], None]"
"""Tells that so many more bytes are there; negative when a file is started again."""

_SECONDS_PER_LINE: Final = 5.0
_LINES_PER_TRANSFER: Final = 10


class Progress(abc.ABC):
    """Where a fetcher reports to; several transfers may run at once, in threads."""

    @abc.abstractmethod
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> AbstractContextManager[Advance]:
        """Open the report of one fetch.

        Args:
            label: what is fetched.
            total: bytes in all, where that is known.
            done: bytes that are there from an earlier attempt.
        """


class SilentProgress(Progress):
    """Shows nothing."""

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:  # noqa: ARG002  # silent
        """Open a report that nobody reads."""
        yield lambda _count: None


class _Steps:
    """How far a transfer is, and when that is worth a line: every ten percent and every five seconds."""

    def __init__(self, total: int | None, done: int, clock: Callable[[], float]) -> None:
        self.reached = self._said = done
        self._step = total / _LINES_PER_TRANSFER if total else float("inf")
        self._clock = clock
        self._said_at = clock()

    def advance(self, count: int) -> bool:
        """Count bytes; whether a line is due."""
        self.reached += count
        due = abs(self.reached - self._said) >= self._step or self._clock() - self._said_at >= _SECONDS_PER_LINE
        if due:
            self._said, self._said_at = self.reached, self._clock()
        return due


class LineProgress(Progress):
    """Writes a line every ten percent and every five seconds, whichever comes first, for logs.

    Args:
        stream: where to write; standard error by default.
        clock: seconds that only grow.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Open the report of one fetch."""
        steps = _Steps(total, done, self._clock)

        def advance(count: int) -> None:
            if steps.advance(count):
                self._say(f"{label}: {_amount(steps.reached, total)}")

        self._say(f"{label}: {_amount(done, total)}" if done else f"{label}: downloading{_of(total)}")
        yield advance
        self._say(f"{label}: fetched {_size(steps.reached)}")

    def _say(self, line: str) -> None:
        print(line, file=self._stream or sys.stderr, flush=True)  # lines on a stream are its job


class JsonProgress(Progress):
    """Writes a line of JSON every ten percent and every five seconds, for programs that show how far a fetch is.

    Each line has ``event`` (``begin``, ``progress`` or ``end``), ``uri``, ``bytes``, ``total`` (null where it is not
    known) and ``seconds`` since the begin. A fetch that fails has no end.

    Args:
        stream: where to write; standard error by default.
        clock: seconds that only grow.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Open the report of one fetch."""
        began, steps = self._clock(), _Steps(total, done, self._clock)

        def say(event: str) -> None:
            seconds = round(self._clock() - began, 3)
            line = {"event": event, "uri": label, "bytes": steps.reached, "total": total, "seconds": seconds}
            print(json.dumps(line), file=self._stream or sys.stderr, flush=True)  # lines on a stream are its job

        def advance(count: int) -> None:
            if steps.advance(count):
                say("progress")

        say("begin")
        yield advance
        say("end")


class LogProgress(LineProgress):
    """Writes the same lines to the log, for servers whose standard error is read by machines.

    Args:
        logger: where to write.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def _say(self, line: str) -> None:
        self._logger.info("%s", line)


class CountedProgress(Progress):
    """Hands every report on, and counts what arrives and what is still to come.

    Args:
        inner: where reports go.

    Attributes:
        arrived: called with bytes that have arrived.
        expected: called with bytes that are expected now, negative once they are here or will not come.
    """

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self.arrived: Advance = lambda _: None
        self.expected: Advance = lambda _: None

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Open the report of one fetch."""
        left = 0 if total is None else total - done
        with self._inner.transfer(label, total=total, done=done) as tell:

            def advance(count: int) -> None:
                nonlocal left
                tell(count)
                if count > 0:
                    self.arrived(count)
                if total is not None:
                    left -= count
                    self.expected(-count)

            self.expected(left)
            try:
                yield advance
            finally:
                self.expected(-left)


class BarProgress(Progress):
    """Draws a bar for each transfer, on standard error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._display: bars.Display | None = None
        self._open = 0

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Open a bar; the bars of concurrent transfers share one display, since rich has one per terminal."""
        display = self._acquire()
        try:
            yield display.add(label, total=total, done=done)
        finally:
            self._release()

    def _acquire(self) -> bars.Display:
        from fairlead.storage import bars

        with self._lock:
            if self._display is None:
                self._display = bars.Display()
                self._display.start()
            self._open += 1
            return self._display

    def _release(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0 and self._display is not None:
                self._display.stop()
                self._display = None


def automatic(logger: logging.Logger | None = None) -> Progress:
    """A bar when standard error is a terminal; otherwise lines, in the log where one is given."""
    if sys.stderr.isatty():
        return BarProgress()
    return LineProgress() if logger is None else LogProgress(logger)


def _amount(done: int, total: int | None) -> str:
    return f"{_size(done)} of {_size(total)} ({done * 100 // total} %)" if total else _size(done)


def _of(total: int | None) -> str:
    return f" {_size(total)}" if total is not None else ""


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
