"""What SIGHUP means: load anew, unless it tells that the terminal is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

__all__ = ["Hangup", "ignore_hangups"]


class Hangup:
    """Tells the two meanings of SIGHUP apart; ignores the signal until somebody handles it.

    A process that had a terminal when it started, and has none now, was told that it is gone: it ends, as it would
    without a handler, or goes on if it was started by nohup.
    """

    def __init__(self) -> None:
        self._ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._terminal = _has_terminal()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def tell(self, load_anew: Callable[[], None], end: Callable[[], None]) -> None:
        """Call what the signal that has just come means, if it means anything."""
        if not self._terminal or _has_terminal():
            load_anew()
        elif not self._ignored:
            end()


def ignore_hangups() -> None:
    """Ignore the signal in a process whose supervisor handles it, also if it has come already."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
