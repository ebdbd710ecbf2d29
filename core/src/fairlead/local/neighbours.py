"""The platforms beside one: those of other names that run."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.local.folder import Folder

__all__ = ["neighbours"]


def neighbours(folder: Folder) -> list[str]:
    """The names of the other platforms of this user that run, in their order."""
    try:
        found = sorted(each for each in folder.state.parent.iterdir() if each != folder.state)
    except OSError:
        return []
    return [each.name for each in found if _is_held(each / "lock")]


def _is_held(lock: Path) -> bool:
    """Whether a platform has its lock; nothing is made, and it is let go at once where none has."""
    with contextlib.suppress(OSError):
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
