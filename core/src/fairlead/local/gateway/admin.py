"""Questions to Envoy's administration, which listens on a unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from fairlead.errors import PlatformError

__all__ = ["ask", "statistics"]

_SECONDS: Final = 10.0


async def ask(socket: Path, target: str, *, method: str = "GET", seconds: float = _SECONDS) -> str:
    """Ask for a page; its text.

    Args:
        socket: the unix socket.
        target: the path of the page, with its query.
        method: ``POST`` for what changes something.
        seconds: within which the answer has to come.

    Raises:
        PlatformError: there is no answer, or one that says no.
    """
    try:
        async with asyncio.timeout(seconds):
            received = await _exchange(
                socket, f"{method} {target} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
            )
    except OSError as error:
        raise PlatformError(f"The gateway does not answer at {socket}: {str(error) or 'it takes too long'}.") from error
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        whole = _joined(body) if headers.get("transfer-encoding") == "chunked" else _counted(body, headers)
    except (ValueError, IndexError) as error:
        raise PlatformError(f"The gateway's answer at {socket} ends before it is complete.") from error
    if status.split()[1:2] != ["200"]:
        raise PlatformError(f"The gateway answers {target} with {status!r}: {whole.decode(errors='replace')[:500]}")
    return whole.decode(errors="replace")


async def statistics(socket: Path, pattern: str, *, used: bool = False, seconds: float = _SECONDS) -> dict[str, str]:
    """Values of statistics by their names.

    Args:
        socket: the unix socket.
        pattern: a regular expression for the names; without ``&`` and ``#``.
        used: whether those are left out that nothing was ever counted in.
        seconds: within which the answer has to come.

    Raises:
        PlatformError: there is no answer.
    """
    query = f"/stats?filter={pattern}" + ("&usedonly" if used else "")
    lines = (await ask(socket, query, seconds=seconds)).splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition(": ") for line in lines)}


async def _exchange(socket: Path, request: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(request.encode("latin-1"))
        return await reader.read()
    finally:
        writer.close()


def _counted(body: bytes, headers: dict[str, str]) -> bytes:
    if len(body) != int(headers.get("content-length", len(body))):
        raise ValueError("fewer bytes than announced")
    return body


def _joined(body: bytes) -> bytes:
    """The chunks of a body as one."""
    chunks: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(chunks)
        at = end + 2 + size + 2
        chunks.append(body[end + 2 : at - 2])
        if at > len(body):
            raise ValueError("the last chunk is not complete")
