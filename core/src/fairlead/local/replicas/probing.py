"""Asking a replica whether it is ready, or lives: with plain sockets, since that is asked often."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import ssl
from typing import TYPE_CHECKING, Final

from fairlead.local.replicas import healthcheck
from fairlead.local.replicas.probes import Exec, Grpc, HttpGet, Serves, TcpSocket
from fairlead.local.replicas.process import Process, how_it_ended

if TYPE_CHECKING:
    from fairlead.local.replicas.commands import Launch
    from fairlead.local.replicas.probes import Action, Probe

__all__ = ["ask"]

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_LONGEST_HEAD: Final = 65536
_ELSEWHERE: Final = frozenset({404, 405, 501})
"""Statuses of a server that has no such page."""


async def ask(probe: Probe, launch: Launch) -> str | None:
    """Ask once; None where it was answered well, and otherwise why it was not.

    Args:
        probe: the question.
        launch: how the replica was started; commands are run as it was.
    """
    try:
        async with asyncio.timeout(probe.timeout):
            return await _ask(probe.action, launch)
    except TimeoutError:
        return f"{_what(probe.action)} was not answered within {probe.timeout:g} s."
    except OSError as error:
        return f"{_what(probe.action)} failed: {error.strerror or type(error).__name__}."


async def _ask(action: Action, launch: Launch) -> str | None:
    match action:
        case HttpGet():
            status = await _get(action)
            if status is None:
                return f"{_what(action)} was answered with something that is not HTTP/1."
            return None if 200 <= status < 400 else f"{_what(action)} was answered with {status}."
        case TcpSocket():
            async with _Connection(action.host, action.port):
                return None
        case Grpc():
            async with _Connection("127.0.0.1", action.port) as (reader, writer):
                return await healthcheck.check(reader, writer, action.service, lenient=action.lenient)
        case Serves():
            return await _serves(action)
        case Exec():
            return await _run(action, launch)


async def _serves(action: Serves) -> str | None:
    """See `fairlead.local.replicas.probes.Serves`."""
    for path in ("/v2/health/ready", f"/v1/models/{action.model}"):
        get = HttpGet(port=action.port, path=path)
        status = await _get(get)
        if status is None or 200 <= status < 400:
            return None
        if status not in _ELSEWHERE:
            return f"{_what(get)} was answered with {status}."
    return None


async def _get(action: HttpGet) -> int | None:
    """The status that a GET is answered with; None where the answer is not HTTP/1."""
    names = {name.lower() for name, _ in action.headers}
    lines = [f"GET {action.path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {action.host}:{action.port}")
    lines += ["Connection: close", *(f"{name}: {value}" for name, value in action.headers)]
    head = "\r\n".join([*lines, "", ""]).encode("utf-8")
    async with _Connection(action.host, action.port, tls=action.tls) as (reader, writer):
        writer.write(head)
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            line = await reader.readuntil(b"\n")
            found = _STATUS.fullmatch(line)
            return int(found[1]) if found else None
    return None


async def _run(action: Exec, launch: Launch) -> str | None:
    process = Process(dataclasses.replace(launch, argv=action.command), lambda _output: None)
    try:
        await asyncio.wait((process.ended,))
    finally:
        await process.stop(0)
    status = process.ended.result()
    return None if status == 0 else f"{_what(action)} {how_it_ended(status)}."


class _Connection:
    """A connection that is closed without ceremony."""

    def __init__(self, host: str, port: int, *, tls: bool = False) -> None:
        self._where = host, port
        self._tls = _any_certificate() if tls else None

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._where
        reader, self._writer = await asyncio.open_connection(host, port, ssl=self._tls, limit=_LONGEST_HEAD)
        return reader, self._writer

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()


def _any_certificate() -> ssl.SSLContext:
    """As the kubelet, which does not verify the certificate of what it probes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _what(action: Action) -> str:
    match action:
        case HttpGet():
            return f"GET {'https' if action.tls else 'http'}://{action.host}:{action.port}{action.path}"
        case TcpSocket():
            return f"A connection to {action.host}:{action.port}"
        case Grpc():
            return f"The gRPC health check on port {action.port}"
        case Serves():
            return f"A connection to 127.0.0.1:{action.port}"
        case Exec():
            return f"The command {' '.join(action.command)!r}"
