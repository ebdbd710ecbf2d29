"""Giving the log what the native code of a library prints: its lines on standard error, which is the log's own."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

__all__ = ["taken"]

_LEVELS: Final = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}
_PREFIX: Final = re.compile(r"([IWE])\d{4} \d\d:\d\d:\S+ +\d+ \S+:\d+\] ")
"""How lines of the libraries glog and absl begin: level, date, time, thread, place in the sources."""
_BESIDE: Final = re.compile(r"WARNING: (?:All log messages|Logging) before |To enable the following instructions: ")
"""How those begin that these libraries, and TensorFlow, print before or after such a line."""

_PATIENCE: Final = 2.0
"""Seconds that the end waits: a program that was started in between, and lives on, holds the pipe open."""

# The process outlives a crash of this one, and writes what it has kept to standard error then: nothing is lost. A line
# that matches the pattern is kept until the input ends, any other is passed on at once.
_FILTER: Final = r"""
import os, re, sys

is_kept, kept, rest = re.compile(sys.argv[1].encode()).match, b"", b""

def write(file, data):
    while data:
        data = data[os.write(file, data):]

while chunk := os.read(0, 65536):
    *lines, rest = (rest + chunk).split(b"\n")
    kept += b"".join(line + b"\n" for line in lines if is_kept(line))
    write(2, b"".join(line + b"\n" for line in lines if not is_kept(line)))
write(2, rest)
try:
    write(1, kept)
except OSError:
    write(2, kept)
"""


class _Filter:
    """Standard error as a pipe to a process that keeps lines; at most one at a time."""

    def __init__(self) -> None:
        self._own = os.dup(2)
        try:
            reader, writer = os.pipe()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _FILTER, f"{_PREFIX.pattern}|{_BESIDE.pattern}"],
                    stdin=reader,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is not meant for it
                )
                os.dup2(writer, 2)
            finally:
                os.close(reader)
                os.close(writer)
        except BaseException:
            os.close(self._own)
            raise

    def restore(self) -> None:
        """Put standard error back."""
        os.dup2(self._own, 2)
        os.close(self._own)

    def kept(self) -> list[str]:
        """The lines that were kept; none where a program still holds the pipe, and then they go to standard error."""
        process = self._process
        try:
            output, _ = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            if process.stdout is not None:
                process.stdout.close()
            threading.Thread(target=process.wait, name="stderr", daemon=True).start()
            return []
        return output.decode(errors="replace").splitlines()


class _Shared:
    """The filter of all that take lines at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._filter: _Filter | None = None

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                # Lines stay where they are without another process, and without standard error, whose number may be
                # that of another file then.
                with contextlib.suppress(OSError):
                    self._filter = None if sys.stderr is None else _Filter()
            self._users += 1

    def leave(self) -> list[str]:
        with self._lock:
            self._users -= 1
            if self._users or self._filter is None:
                return []
            ended, self._filter = self._filter, None
            ended.restore()
        return ended.kept()


_shared: Final = _Shared()


@contextlib.contextmanager
def taken(logger: logging.Logger) -> Iterator[None]:
    """Log what glog and absl, by which TensorFlow and others print, write to standard error within the block.

    ::

        with stderr.taken(logging.getLogger("fairlead.runtimes.mine")):
            import library_that_prints

    The lines are logged as the block ends, at their own levels. All other lines appear as they are written, and so do
    those of other threads. If the process dies within the block, a process of its own writes what was kept to standard
    error. Blocks may overlap: the last one to end logs the lines of all. To begin and to end one takes about 30 ms.

    Args:
        logger: takes the lines.
    """
    _shared.enter()
    try:
        yield
    finally:
        level = logging.INFO
        for line in _shared.leave():
            if found := _PREFIX.match(line):
                level = _LEVELS[found[1]]
                logger.log(level, "%s", line[found.end() :])
            else:
                logger.log(logging.DEBUG if line.startswith("WARNING: ") else level, "%s", line)
