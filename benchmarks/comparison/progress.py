"""What is being done, on standard error: one line that changes on a terminal, else a line for each step."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["shown"]


@contextlib.contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """A function that shows a step; the line is gone at the end of the block."""
    began = time.monotonic()
    terminal = sys.stderr.isatty()

    def say(text: str) -> None:
        line = f"{time.monotonic() - began:6.0f} s  {text}"
        if terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", file=sys.stderr, flush=True)  # noqa: T201  # what this is for
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201  # what this is for

    try:
        yield say
    finally:
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201  # what this is for
