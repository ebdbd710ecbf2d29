"""When Python looks for garbage in a server: rarely while it starts, and afterwards not among what is loaded.

A library such as scikit-learn is some hundred thousand objects. To look through all of them takes longer than hundreds
of requests, stops every thread, and finds nothing. So what is there after a load is set aside (`gc.freeze`), and is
looked through only when a model leaves. See https://docs.python.org/3/library/gc.html.

Nothing of it happens in a program that has not called `begin`: its garbage is its own affair.
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["begin", "collect", "end_of_start", "set_aside"]

_AT_START: Final = 100_000
"""New objects between two looks: importing makes many, and hardly any garbage."""

_usual: tuple[int, int, int] | None = None


def begin() -> None:
    """This process is a server, and starts."""
    global _usual  # noqa: PLW0603  # what Python's collector does is a state of the process, and so is this
    if _usual is None:
        _usual = gc.get_threshold()
        gc.set_threshold(_AT_START)


def end_of_start() -> None:
    """What is loaded first is loaded: look for garbage as usual."""
    if _usual is not None:
        gc.set_threshold(*_usual)


def set_aside() -> None:
    """Something has been loaded, and stays."""
    if _usual is not None:
        gc.freeze()


def collect() -> None:
    """Something has left: look through everything."""
    if _usual is None:
        gc.collect()
        return
    gc.unfreeze()
    gc.collect()
    gc.freeze()
