"""Ports on loopback for replicas: chosen by the system, and never one that another replica was told."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

__all__ = ["PortPool"]

_TRIES: Final = 100


class PortPool:
    """Chooses ports; one that was chosen is not chosen again before it is given back."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    @contextlib.contextmanager
    def lent(self, count: int) -> Iterator[list[int]]:
        """So many ports that nobody listens on, until the end of the block.

        Somebody else may begin to listen on one before the replica does; then the replica ends, and is started again
        with others.

        Raises:
            OSError: the system has none left.
        """
        ports = [self._one() for _ in range(count)]
        try:
            yield ports
        finally:
            self._taken.difference_update(ports)

    def _one(self) -> int:
        for _ in range(_TRIES):
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                port: int = sock.getsockname()[1]
            if port not in self._taken:
                self._taken.add(port)
                return port
        raise OSError("the system has no port left")
