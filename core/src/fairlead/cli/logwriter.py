"""A log handler that never waits: a thread writes the lines, and what nobody reads in time is dropped and counted.

Standard error may be a pipe that nobody reads, or a terminal that is stopped. Whoever writes to it then waits, and an
event loop that waits answers nobody.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import threading
import traceback
import weakref
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

__all__ = ["LogWriter"]

_ATOMIC: Final = 4096
"""Bytes that one write puts into a pipe at once, so that lines of processes that share it are not mixed (PIPE_BUF)."""

Item: TypeAlias = "str | threading.Event | None"  # a line, a mark that is set when it is reached, or the end


class LogWriter(logging.StreamHandler[TextIO]):
    """Hands lines to a thread that writes them to a stream.

    Args:
        stream: where they go; its file descriptor is written to, where it has one.

    Attributes:
        dropped: lines that were dropped so far, because too much waited or because nobody can read any more.
    """

    LIMIT: Final = 4 * 1024 * 1024
    """Characters that may wait to be written."""

    PATIENCE: Final = 2.0
    """Seconds that `flush` waits at most: a process that ends must not wait for a reader for ever."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.dropped = 0
        self._opened_with = stream
        self._told = 0
        self._put = 0
        self._written = 0
        self._count: Callable[[int], None] | None = None
        self._lines: queue.SimpleQueue[Item] = queue.SimpleQueue()  # safe where a signal handler logs, too
        self._thread: threading.Thread | None = None
        pause, forget = weakref.WeakMethod(self._pause), weakref.WeakMethod(self._forget)
        os.register_at_fork(before=lambda: _call(pause), after_in_child=lambda: _call(forget))

    def report_drops(self, count: Callable[[int], None]) -> None:
        """Call this with the number of lines that are dropped, from now on; it must be quick."""
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # whoever logs must not fail
            line = f"a log line of {record.name} cannot be formatted:\n{traceback.format_exc()}"
        line += self.terminator
        if self._put - self._written + len(line) > self.LIMIT:
            self._drop(1)
            return
        self._put += len(line)
        self._lines.put(line)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Wait until what has been logged is written, for a time that is bounded."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            reached = threading.Event()
            self._lines.put(reached)
            reached.wait(self.PATIENCE)

    def close(self) -> None:
        """Write what has been logged, and end the thread."""
        self.flush()
        self._lines.put(None)
        self._thread = None
        super().close()

    # -- around a fork ----------------------------------------------------------------------------------

    def _pause(self) -> None:
        """End the thread until the next line, so that a process is forked while it has one thread less."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._lines.put(None)
            thread.join(self.PATIENCE)

    def _forget(self) -> None:
        """In the child: what waits is the parent's to write."""
        self._lines = queue.SimpleQueue()
        self._put = self._written = 0
        self._thread = None

    # -- in the thread ----------------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, args=(self._lines,), name="log", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending, and starts no threads any more
            self._thread.start()

    def _work(self, lines: queue.SimpleQueue[Item]) -> None:
        while (item := lines.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            together, size = [item], len(item)
            following: Item = None
            has_following = False
            while size < _ATOMIC:
                try:
                    following = lines.get_nowait()
                except queue.Empty:
                    break
                if not isinstance(following, str) or size + len(following) > _ATOMIC:
                    has_following = True
                    break
                together.append(following)
                size += len(following)
            self._write("".join(together), len(together))
            if has_following:
                if following is None:
                    return
                if isinstance(following, threading.Event):
                    following.set()
                else:
                    self._write(following, 1)

    def _write(self, text: str, count: int) -> None:
        stream = self.stream
        try:
            if stream is self._opened_with and (descriptor := _descriptor_of(stream)) is not None:
                _write_all(descriptor, text.encode(stream.encoding or "utf-8", "backslashreplace"))
            else:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError):  # it was closed, or its reader has gone
            self._drop(count)
        else:
            self._tell()
        finally:
            self._written += len(text)

    def _tell(self) -> None:
        """Say how many lines are missing, once most of what waited is written."""
        missing = self.dropped - self._told
        if missing and self._put - self._written < self.LIMIT // 2:
            self._told += missing
            text = "%d log lines were dropped: standard error was not read in time"
            record = logging.LogRecord("fairlead.server", logging.WARNING, __file__, 0, text, (missing,), None)
            line = self.format(record) + self.terminator
            self._put += len(line)
            self._write(line, 1)

    def _drop(self, count: int) -> None:
        self.dropped += count
        if self._count is not None:
            self._count(count)


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()


def _descriptor_of(stream: TextIO) -> int | None:
    # Beside the stream's own buffer: a thread that waits inside that one would hold its lock, at exit as well.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return stream.fileno()
    return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever started this process made it so
            select.select([], [descriptor], [])
