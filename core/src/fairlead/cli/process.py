"""The processes of a supervisor as it sees them: how each is started, asked, ended and noticed to have ended.

A process is at the other end of a channel, a stream socket. A worker writes one line there when it is ready, and drains
when it reads ``drain``. Whatever has ended has closed its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli.assignment import join

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from fairlead.cli.assignment import Assignment

__all__ = ["Channel", "Forked", "Process", "Spawned", "how_it_ended"]


class Channel:
    """The supervisor's end of the socket that it shares with a process."""

    def __init__(self) -> None:
        self._socket, self.theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._rest = b""

    async def line(self) -> Any:
        """What the process says next; None once it has ended."""
        while b"\n" not in self._rest:
            try:
                received = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
            except OSError:
                return None
            if not received:
                return None
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def tell(self, text: str, *descriptors: int) -> None:
        """Say one line, and hand descriptors over; a process that has ended hears nothing."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [f"{text}\n".encode()], descriptors)

    def close(self) -> None:
        """Let go of it; the process notices."""
        self._socket.close()


class Process:
    """One process.

    Args:
        name: what it is called in the log.
        channel: what connects it with this process.

    Attributes:
        started: when it was started, in the loop's time.
        ended: its exit status, negative for the signal that killed it, None when nobody knows; done once it has ended.
        accepts: whether it is a worker that has become ready.
        forks: whether it is no worker, but makes some.
    """

    def __init__(self, name: str, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.channel: Final = channel
        self.started: Final = loop.time()
        self.ended: Final[asyncio.Future[int | None]] = loop.create_future()
        self.accepts = self.forks = False
        self.pid = 0

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    async def said(self) -> Any:
        """What it says next; None once it has ended."""
        told = asyncio.ensure_future(self.channel.line())
        try:
            await asyncio.wait((told, self.ended), return_when=asyncio.FIRST_COMPLETED)
            if told.done() and told.result() is not None:
                return told.result()
            await self.wait()
            return None
        finally:
            told.cancel()

    async def wait(self) -> int | None:
        """Its exit status, once it has ended."""
        await asyncio.wait((self.ended,))
        return self.ended.result()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        raise NotImplementedError

    def retire(self) -> None:
        """Let it finish, while others go on."""
        if self.accepts:
            self.channel.tell("drain")
        else:
            self.send(signal.SIGTERM)

    def drain(self, number: signal.Signals) -> None:
        """Let it finish, as the signal says that all do."""
        # SIGINT would end one that is still being started with a traceback.
        self.send(number if self.accepts else signal.SIGTERM)


class Spawned(Process):
    """A process that runs this command again, from its beginning.

    Args:
        name: what it is called in the log.
        folder: the folder of the shared metrics.
        assignment: makes its assignment from the descriptors of its membership and its channel.

    Raises:
        OSError: the system does not start another process.
    """

    def __init__(self, name: str, folder: Path, assignment: Callable[[int, int], Assignment]) -> None:
        super().__init__(name, Channel())
        given = assignment(join(folder), self.channel.theirs.fileno())
        try:
            with _without_hangups():
                self._popen: Final = subprocess.Popen(
                    [sys.executable, *sys.orig_argv[1:]],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, **given.environ()},
                    pass_fds=given.descriptors,
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone, which forwards it once
                )
        except OSError:
            self.channel.close()
            raise
        finally:
            self.channel.theirs.close()
            os.close(given.membership)
        self.pid = self._popen.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        self._popen.send_signal(number)

    def reap(self) -> None:
        """Notice that it has ended, if it has."""
        status = self._popen.poll()
        if status is not None and not self.ended.done():
            self.ended.set_result(status)


class Forked(Process):
    """A process that a template has forked: a child of that one, and not of this.

    Args:
        name: what it is called in the log.
        channel: what connects it with this process.
        pid: its number.
        reap: asks the template for its status, once it has ended; until then its number is not given to another.

    Raises:
        OSError: it has ended already, and its template too.
    """

    def __init__(self, name: str, channel: Channel, pid: int, reap: Callable[[int], Awaitable[int | None]]) -> None:
        super().__init__(name, channel)
        self.pid = pid
        self._reap = reap
        self._descriptor: Final = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._gone)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        if not self.ended.done():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._descriptor, number)

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._asking = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        status = await self._reap(self.pid)
        os.close(self._descriptor)
        self.ended.set_result(status)


@contextlib.contextmanager
def _without_hangups() -> Iterator[None]:
    """A process that is started in here gets no SIGHUP until it can do something about it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def how_it_ended(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
