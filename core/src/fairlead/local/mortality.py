"""Mortality: the processes of a platform end when it does, however that comes; on Linux the system sees to it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["die_with"]

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with(parent: int) -> Callable[[], None] | None:
    """What a process calls, before it becomes what it is to be, so that it is killed when its parent ends.

    It calls the C library, takes no lock, and may be called between fork and exec. The parent is the thread that made
    the process; see prctl(2), PR_SET_PDEATHSIG. Where the system has no such thing, the platform's records do.

    Args:
        parent: the number of the process that is to be its parent.
    """
    if _LIBC is None:
        return None
    prctl, kill = _LIBC.prctl, int(signal.SIGKILL)

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, kill)
        if os.getppid() != parent:  # it ended in between
            os._exit(1)

    return ask
