"""Clients that ask and go away before they are answered."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.testing import RunningServer

__all__ = ["posted"]


@contextlib.contextmanager
def posted(server: RunningServer, path: str, document: Any) -> Iterator[None]:
    """A request whose client goes at the end of the block, and has read nothing."""
    body = json.dumps(document)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=30) as connection:
        connection.sendall((head + body).encode())
        yield
