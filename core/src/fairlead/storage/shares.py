"""What the fetches of one process share: streams from one host, and bytes a second."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.storage.machine import Deadline, Machine
    from fairlead.storage.settings import FetchSettings

__all__ = ["Growth", "Shares"]

_PATIENCE: Final = 0.1
"""Seconds after which a stream that waits for its turn looks whether it is still wanted."""


class Shares:
    """The bounds that all fetches of a `Fetcher` keep together.

    Args:
        settings: how many streams a host may have, and how many bytes may arrive a second.
        machine: time.
    """

    def __init__(self, settings: FetchSettings, machine: Machine) -> None:
        self._connections = settings.connections
        self._rate = settings.max_rate
        self._machine = machine
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.BoundedSemaphore] = {}
        self._next = 0.0

    @contextlib.contextmanager
    def stream(self, host: str, deadline: Deadline, stop: threading.Event) -> Iterator[None]:
        """Hold one of a host's streams; waits while as many are held as there may be.

        Args:
            host: the host.
            deadline: until when to wait.
            stop: ends the wait as well: another stream of the same fetch has failed.

        Raises:
            StorageTimeout: none got free until the deadline.
            StorageUnavailable: the fetch was stopped.
        """
        with self._lock:
            semaphore = self._hosts.setdefault(host, threading.BoundedSemaphore(self._connections))
        while not semaphore.acquire(timeout=_PATIENCE):
            deadline.check()
            if stop.is_set():
                raise errors.StorageUnavailable(f"{deadline.subject} is not fetched any more.")
        try:
            yield
        finally:
            semaphore.release()

    def pace(self, count: int, deadline: Deadline, stop: threading.Event) -> None:
        """Wait as long as so many bytes may take; returns at once where no rate is set, and when a fetch is stopped."""
        if self._rate is None:
            return
        with self._lock:
            now = self._machine.clock()
            self._next = max(self._next, now) + count / self._rate
            pause = self._next - now
        self._machine.wait(stop, min(pause, max(0.0, deadline.remaining)))


class Growth:
    """Whether more streams are worth it: as long as the last ones made the whole faster.

    On a fast and near link one stream is all that there is to gain, and every further one costs the server a request;
    on a far one each stream is slow, and many together are fast. What holds is seen from the rate.

    Args:
        now: the time at which the first stream began, in seconds.
    """

    _MEASURED = 0.3
    """Seconds over which a rate is measured."""
    _AGAIN = 5.0
    """Seconds after which more streams are tried once more though the last ones brought nothing."""
    _GAIN = 1.2
    """How many times faster the last ones must have made the whole."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._bytes = 0
        self._before: float | None = None

    def wants(self, now: float, count: int) -> bool:
        """Whether to double the streams now.

        Args:
            now: the time, in seconds.
            count: bytes that have arrived until now.
        """
        elapsed = now - self._since
        if elapsed < self._MEASURED:
            return False
        rate = (count - self._bytes) / elapsed
        if self._before is not None and rate < self._before * self._GAIN and elapsed < self._AGAIN:
            return False
        self._before, self._since, self._bytes = rate, now, count
        return True
