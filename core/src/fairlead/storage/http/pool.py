"""Connections that are kept for the next request, and those that are in use, so that all of them can be ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Reach
    from fairlead.storage.http.connections import Connection

__all__ = ["Pool"]

_IDLE: Final = 32
"""The most connections that wait for a next request; beyond it the one that has waited longest is closed."""

_IDLE_SECONDS: Final = 30.0
"""After so long a name is resolved anew, and many a server has closed the connection."""


class Pool:
    """The connections of one client; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._keeps = True
        self.closed = False

    def take(self, origin: tuple[str, str, int], may: Callable[[Reach], bool]) -> Connection | None:
        """A connection to an origin that waits, the one used last; None where the server has closed them all.

        Args:
            origin: scheme, host and port.
            may: whether an address that reaches so far may be used for this request.
        """
        while True:
            with self._lock:
                if self.closed:  # nobody would break it any more
                    return None
                fitting = (each for each in reversed(self._idle) if each.origin == origin and may(each.reach))
                connection = next(fitting, None)
                if connection is None:
                    return None
                self._idle.remove(connection)
                self._busy.add(connection)
            if connection.is_usable(time.monotonic() - _IDLE_SECONDS):
                return connection
            self.drop(connection)

    def enter(self, connection: Connection) -> None:
        """Count a new connection as in use.

        Raises:
            ConnectionAbortedError: the pool is closed.
        """
        with self._lock:
            if self.closed:
                raise ConnectionAbortedError
            self._busy.add(connection)

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        connection.rest()
        surplus = connection
        with self._lock:
            self._busy.discard(connection)
            if self._keeps:
                self._idle.append(connection)
                if len(self._idle) <= _IDLE:
                    return
                surplus = self._idle.pop(0)
        surplus.close()

    def drop(self, connection: Connection) -> None:
        """Close a connection."""
        with self._lock:  # first, so that `close` never shuts a number that the system has given to another file
            self._busy.discard(connection)
        connection.close()

    def abandon(self) -> None:
        """Close what waits, and keep nothing from now on; what is in use goes on."""
        with self._lock:
            self._keeps = False
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close what waits, break what is in use, and open nothing from now on."""
        with self._lock:
            self.closed = True
            for connection in self._busy:
                connection.shut()
        self.abandon()
