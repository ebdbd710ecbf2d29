"""What a supervisor answers while none of its workers can: that it lives, and that the server is not ready.

A probe of liveness must not wait for models to load: whoever waits for its answer starts the server anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from fairlead import errors, sockets
from fairlead.rest import errors as failures
from fairlead.rest import probes

if TYPE_CHECKING:
    import socket

__all__ = ["attended"]

_PATIENCE: Final = 5.0
_LARGEST_HEAD: Final = 64 * 1024
_LIVE: Final = {"/": probes.live, "/v2/health/live": probes.server_live}


@contextlib.asynccontextmanager
async def attended(listener: socket.socket) -> AsyncIterator[None]:
    """Answer who comes to a listening socket, until the block ends; who comes later is for others to answer."""
    server = await asyncio.start_server(_attend, sock=sockets.copy_of(listener), limit=_LARGEST_HEAD)
    try:
        yield
    finally:
        server.close()


async def _attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_answer(head))
            await writer.drain()
            writer.write_eof()
            while await reader.read(_LARGEST_HEAD):
                """To close while the client still sends would make its kernel throw the answer away."""
    writer.close()


def _answer(head: bytes) -> bytes:
    method, path, *_ = head.decode("latin-1").split(" ", 2)
    live = _LIVE.get(path) if method == "GET" else None
    if live is not None:
        status, headers, body = b"200 OK", b"", json.dumps(live(), separators=(",", ":")).encode()
    else:
        failed = failures.respond(errors.ServerNotReady())
        status, body = b"503 Service Unavailable", failed.body
        headers = b"".join(b"%s: %s\r\n" % header for header in failed.headers)
    fields = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n" % len(body)
    return b"HTTP/1.1 %s\r\n%s%s\r\n%s" % (status, fields, headers, b"" if method == "HEAD" else body)
