"""The platform's end of the way by which commands ask it: one JSON object a line, each way, over a Unix socket.

A request is ``{"version": 1, "command": "views"}``, with arguments beside; an answer is ``{"version": 1, "result": …}``
or ``{"version": 1, "error": {"reason": …, "remedy": …}}``. The folder of the socket is this user's alone, and so is the
socket. `fairlead.local.client` is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from fairlead import errors
from fairlead.local.client import MOST_BYTES, VERSION

__all__ = ["Command", "Control"]

_log = logging.getLogger("fairlead.local")

_MOST_ASKED: Final = 64 * 1024
"""Bytes that a request may have."""

_MOST_CLIENTS: Final = 32
_LOOK: Final = 2.0
"""Seconds between two looks at whether the socket is still there."""
_PATIENCE: Final = 10.0
"""Seconds within which a client asks, and within which it takes what it is answered."""

Command: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Answers a request with plain data; raises `FairleadError` for an answer that says what is wrong."""


class Control:
    """Answers commands, in the platform's event loop.

    Args:
        path: the socket.
        commands: what can be asked, by name.
    """

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._clients: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen; whatever is in the socket's place is left over, since the folder is this platform's alone.

        Raises:
            ConfigurationError: the socket cannot be made.
        """
        try:
            await self._listen()
        except OSError as error:
            raise errors.ConfigurationError(
                f"{self._path} cannot be listened on: {error.strerror or error}.",
                remedy="Remove it, or name a folder of your own in XDG_RUNTIME_DIR.",
            ) from error
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _listen(self) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_MOST_ASKED)
        self._path.chmod(0o600)

    async def _keep(self) -> None:
        """Listen again where the socket was removed, as cleaners of temporary folders do."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._path.exists():
                _log.warning("%s was removed, and is made again", self._path)
                with contextlib.suppress(OSError):
                    await self._listen()

    async def stop(self) -> None:
        """Close the socket and all connections."""
        if self._server is None:
            return
        if self._keeper is not None:
            self._keeper.cancel()
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        writer.transport.set_write_buffer_limits(0)  # an answer is sent when all of it is
        try:
            if len(self._clients) > _MOST_CLIENTS:
                await _line(reader)  # what nobody has read when a socket is closed takes the answer with it
                await _send(writer, _failure("Too many commands ask at once.", "Try again."))
                return
            while (line := await _line(reader)) is not None:
                await _send(writer, line if isinstance(line, dict) else self._answer(line))
                if isinstance(line, dict):
                    return
        except (TimeoutError, OSError, asyncio.CancelledError):
            pass  # it asks nothing, takes no answer or has gone, or the platform ends
        finally:
            self._clients.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _failure("This is no JSON.")
        if not isinstance(request, dict) or not isinstance(request.get("command"), str):
            return _failure("This is no object with a command.")
        if request.get("version") != VERSION:
            return _failure(
                f"The platform speaks version {VERSION} of its language, and not {request.get('version')!r:.20}.",
                "Ask with the fairlead that the platform was started with.",
            )
        name = request["command"]
        command = self._commands.get(name)
        if command is None:
            return _failure(f"There is no command {name!r:.40}.", f"The commands are {', '.join(self._commands)}.")
        try:
            return {"version": VERSION, "result": command(request)}
        except errors.FairleadError as error:
            return _failure(error.reason, error.remedy)
        except Exception as error:  # noqa: BLE001  # whatever a command meets must not end the platform
            _log.exception("The command %s failed.", name)
            return _failure(f"The platform failed to answer: {type(error).__name__}: {error}", "See what it logged.")


async def _line(reader: asyncio.StreamReader) -> bytes | dict[str, Any] | None:
    """The next request; an answer where there can be none, and None at the end."""
    try:
        async with asyncio.timeout(_PATIENCE):
            line = await reader.readline()
    except ValueError:
        return _failure(f"The request has more than {_MOST_ASKED} bytes.")
    return line if line.endswith(b"\n") else None


async def _send(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    data = json.dumps(answer, separators=(",", ":"), default=str).encode()
    if len(data) >= MOST_BYTES:
        data = json.dumps(_failure("There is more to tell than an answer may hold.", "Ask for one name.")).encode()
    writer.write(data + b"\n")
    async with asyncio.timeout(_PATIENCE):
        await writer.drain()


def _failure(reason: str, remedy: str | None = None) -> dict[str, Any]:
    return {"version": VERSION, "error": {"reason": reason, "remedy": remedy}}
