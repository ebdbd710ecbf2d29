"""A port for a server that is told where to listen: it stays this test's until the server has it."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

__all__ = ["held_port"]


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port on loopback that the system gives nobody else before the end of the block.

    A socket that does not listen holds it, which on Linux is in the way of no server that reuses addresses, or shares
    ports. Elsewhere it would be in the way, and is let go at once.
    """
    with socket.socket() as holding:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            holding.setsockopt(socket.SOL_SOCKET, option, 1)
        holding.bind(("127.0.0.1", 0))
        port: int = holding.getsockname()[1]
        if sys.platform != "linux":
            holding.close()
        yield port
