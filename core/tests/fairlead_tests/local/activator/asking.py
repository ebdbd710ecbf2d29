"""An activator that runs, and clients that ask it over its socket as the gateway does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.local.activator.process import Activator
from fairlead.local.gateway.topology import Address

if TYPE_CHECKING:
    from fairlead.local.activator.seats import Seats

__all__ = ["Client", "Platform", "Reply", "at", "client", "eventually", "running"]

PATIENCE = 60.0


def at(*ports: int) -> tuple[Address, ...]:
    """Addresses on loopback."""
    return tuple(Address("127.0.0.1", port) for port in ports)


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer of the activator."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def address(self) -> str:
        """Where the request may go."""
        assert self.status == 200, self
        return self.headers["x-envoy-original-dst-host"]

    @property
    def error(self) -> str:
        """Why it may not."""
        assert self.headers["content-type"] == "application/json"
        told: dict[str, str] = json.loads(self.body)
        assert list(told) == ["error"]
        return told["error"]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def ask(self, path: str, *, method: str = "POST", more: str = "content-length: 0\r\n") -> None:
        """Send a request."""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nhost: iris.example\r\n{more}\r\n".encode())

    async def reply(self, *, has_body: bool = True) -> Reply:
        """Read an answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await self._reader.readexactly(int(headers["content-length"])) if has_body else b""
        return Reply(int(status.split(" ")[1]), headers, body)

    async def get(self, path: str, **how: Any) -> Reply:
        """Send a request and read its answer."""
        self.ask(path, **how)
        return await self.reply(has_body=how.get("method") != "HEAD")

    async def rest(self) -> bytes:
        """Everything that comes until the other end closes the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def client(path: Path) -> AsyncIterator[Client]:
    """A connection to a socket."""
    made = Client(*await asyncio.open_unix_connection(path))
    try:
        yield made
    finally:
        await made.close()


class Platform:
    """An activator, and what it has called back."""

    def __init__(self, folder: Path) -> None:
        self.wakes: asyncio.Queue[str] = asyncio.Queue()
        self.exits: asyncio.Queue[int] = asyncio.Queue()
        self.activator = Activator(folder, on_wake=self.wakes.put_nowait, on_exit=self.exits.put_nowait)

    def client(self) -> contextlib.AbstractAsyncContextManager[Client]:
        """A connection to the activator."""
        return client(self.activator.socket)

    async def assign(self, backend: str, seats: Seats) -> None:
        """Assign, and wait until the process knows it."""
        self.activator.assign(backend, seats)
        assert backend in await self.activator.measure()

    async def until_waiting(self, backend: str, count: int) -> None:
        """Wait until so many requests wait."""

        async def waits() -> bool:
            measured = await self.activator.measure()
            return backend in measured and measured[backend].waiting == count

        await eventually(waits)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Platform]:
    """An activator that has been started; nothing of it is left afterwards."""
    platform = Platform(folder)
    try:
        await platform.activator.start()
        yield platform
    finally:
        await platform.activator.stop()


async def eventually(condition: Callable[[], Any]) -> None:
    """Poll until a condition, which may be a coroutine function, holds."""
    async with asyncio.timeout(PATIENCE):
        while not (await told if asyncio.iscoroutine(told := condition()) else told):  # noqa: ASYNC110 (others bring it)
            await asyncio.sleep(0.005)
