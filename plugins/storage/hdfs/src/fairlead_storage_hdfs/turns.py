"""Who may read now, where only so many may."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from fairlead import errors

__all__ = ["Turns"]


class Turns:
    """Lets so many threads in at once, the others wait.

    Args:
        limit: how many; None for all.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and have it inside of the with statement.

        Raises:
            StorageUnavailable: it was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._limit is None or self._taken < self._limit)
            if self._closed:
                raise errors.StorageUnavailable("The source was closed meanwhile.")
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()

    def close(self) -> None:
        """Send away all who wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
