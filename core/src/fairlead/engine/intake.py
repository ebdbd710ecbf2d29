"""The bytes of requests that a server holds for all clients together, and the bound on them.

A limit on each request bounds nothing where any number of clients may send one at the same time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Hold", "Intake"]


class Intake:
    """Counts bytes that are held; used by any thread.

    Args:
        most: the maximum; 0 for none.

    Attributes:
        held: the bytes that are held now.
    """

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._lock = threading.Lock()
        self.held = 0

    def hold(self) -> Hold:
        """What one request holds; nothing yet."""
        return Hold(self)

    def _take(self, size: int) -> None:
        with self._lock:
            if self._most and self.held + size > self._most:
                raise errors.Overloaded(
                    f"The server is overloaded: requests of {self.held} bytes are in flight, and "
                    f"--max-body-bytes-in-flight is {self._most}. Try again later."
                )
            self.held += size

    def _give(self, size: int) -> None:
        with self._lock:
            self.held -= size


class Hold:
    """The bytes that one request holds, from the first that arrived until its answer is sent."""

    __slots__ = ("_intake", "_size")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._size = 0

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, size: int) -> None:
        """Hold more.

        Raises:
            Overloaded: all requests together would hold too much.
        """
        self._intake._take(size)
        self._size += size

    def release(self) -> None:
        """Hold nothing; harmless when it does not."""
        size, self._size = self._size, 0
        if size:
            self._intake._give(size)
