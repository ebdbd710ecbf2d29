"""Keeping the signal handlers of the process, of which PaddlePaddle takes several as it is imported."""

from __future__ import annotations

import ctypes
import signal
from typing import Final

__all__ = ["Handlers"]

# Those that PaddlePaddle takes: it prints a stack and ends the process. A server is told by SIGTERM to end in order.
_TAKEN: Final = ("SIGILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGTERM")
_LARGE_ENOUGH: Final = 1024  # bytes for a struct sigaction, which has 152 on Linux and fewer elsewhere


class Handlers:
    """The handlers of these signals as they are when this is made.

    ``paddle.disable_signal_handler`` does not give them back: it leaves the system's defaults, by which SIGTERM ends
    the process at once. Python's own ``signal.signal`` works in the main thread alone, and models load in another;
    so this calls ``sigaction`` of the C library.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._actions: dict[int, ctypes.Array[ctypes.c_char]] = {}
        for name in _TAKEN:
            number = getattr(signal, name)
            action = ctypes.create_string_buffer(_LARGE_ENOUGH)
            if self._library.sigaction(int(number), None, action) == 0:
                self._actions[int(number)] = action

    def restore(self) -> None:
        """Put them back."""
        for number, action in self._actions.items():
            self._library.sigaction(number, action, None)
