"""The commands' end of the way by which they ask a platform; `fairlead.local.control` is the other.

It waits, and imports no event loop: a command is to answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local.folder import option
from fairlead.local.neighbours import neighbours

if TYPE_CHECKING:
    from fairlead.local.folder import Folder

__all__ = ["MOST_BYTES", "VERSION", "ask"]

VERSION: Final = 1
MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes that an answer may have."""


def ask(folder: Folder, command: str, *, timeout: float = 10.0, **arguments: Any) -> Any:
    """Ask the platform of a folder, and wait for its answer.

    Args:
        folder: the folder; it need not be there.
        command: what to ask.
        timeout: seconds to wait at most.
        arguments: what the command takes.

    Raises:
        PlatformNotRunning: no platform has the folder.
        PlatformError: it does not answer, or answers that something is wrong.
    """
    request = json.dumps({"version": VERSION, "command": command, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            _connect(sock, folder)
            sock.sendall(request)
            with sock.makefile("rb") as file:
                line = file.readline(MOST_BYTES + 1)
    except TimeoutError as error:
        raise errors.PlatformError(
            f"The platform {folder.name} has not answered within {timeout:g} seconds.",
            remedy=f"See what it prints; fairlead down{option(folder.name)} ends it.",
        ) from error
    except OSError as error:
        raise _unreachable(folder, error) from error
    return _result(folder, line)


def _connect(sock: socket.socket, folder: Folder) -> None:
    """Connect to the platform, and to nobody else who may have put a socket there.

    Raises:
        OSError: nobody is there.
        PlatformError: somebody else is.
    """
    if folder.control.lstat().st_uid != os.getuid():
        raise errors.PlatformError(
            f"{folder.control} belongs to another user.", remedy="Ask as that user, or remove the folder that it is in."
        )
    sock.connect(os.fspath(folder.control))


def _unreachable(folder: Folder, error: OSError) -> errors.PlatformError:
    holder = folder.holder()
    if holder is None:
        others = neighbours(folder)
        there = f" There is {', '.join(others)}: choose with --name." if others else ""
        return errors.PlatformNotRunning(
            f"No platform named {folder.name} runs.{there}",
            remedy=f"Start one with: fairlead up FILE{option(folder.name)}",
        )
    return errors.PlatformError(
        f"The platform {folder.name} ({holder}) cannot be asked: {error.strerror or error}.",
        remedy="It may be starting or ending; try again.",
    )


def _result(folder: Folder, line: bytes) -> Any:
    answer: Any = None
    with contextlib.suppress(ValueError):
        answer = json.loads(line) if line.endswith(b"\n") else None
    match answer:
        case {"error": {"reason": str(reason), **rest}}:
            remedy = rest.get("remedy")
            raise errors.PlatformError(reason, remedy=remedy if isinstance(remedy, str) else None)
        case {"version": version, "result": result} if version == VERSION:
            return result
    raise errors.PlatformError(
        f"The platform {folder.name} gave no answer that could be understood.",
        remedy="It may be ending, or of another version; try again.",
    )
