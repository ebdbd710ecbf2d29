"""The activator as the platform sees it: a process, what it was told, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import socket as sockets
import stat
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from fairlead.errors import PlatformError
from fairlead.local.activator.link import Link, decode_held, encode_seats
from fairlead.local.activator.seats import Held, Seats

__all__ = ["Activator"]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_MEASURE_SECONDS: Final = 1.0
_LONGEST_PATH: Final = 107
"""Bytes that the name of a unix socket may have (unix(7): ``sun_path`` without its zero)."""
_BACKLOG: Final = 4096
_LARGEST_LOG: Final = 1024 * 1024


class Activator:
    """Runs the process that holds requests for backends without replicas.

    The socket for the gateway belongs to the platform and is handed to the process. While a process that has crashed is
    not started again, connections wait at the socket; those that the process held are lost to it, and the gateway
    answers them. Whatever was assigned is told to each new process before it takes a connection.

    Its methods are called in the event loop that `start` ran in.

    Args:
        folder: a folder of its own, for its socket and its log.
        on_wake: told the name of a backend that has no replica and for which a request waits; then again for further
            requests, at most once a second.
        on_exit: told the exit code when the process ends and nobody stopped it; negative for the number of a signal.
            `start` starts it again.
    """

    def __init__(self, folder: Path, *, on_wake: Callable[[str], None], on_exit: Callable[[int], None]) -> None:
        self._folder = folder
        self._on_wake = on_wake
        self._on_exit = on_exit
        self._socket = _place(folder / "activator.sock")
        self._listener: sockets.socket | None = None
        self._process: Process | None = None
        self._link: Link | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._serving: asyncio.Future[bool] | None = None
        self._seats: dict[str, Seats] = {}
        self._measured: dict[str, Held] = {}
        self._before: dict[str, Held] = {}
        """What processes before this one have counted."""
        self._questions: dict[int, asyncio.Future[dict[str, Held]]] = {}
        self._asked = 0

    @property
    def socket(self) -> Path:
        """The unix socket that the gateway connects to; in a folder for temporary files where the name is too long."""
        return self._socket

    @property
    def log(self) -> Path:
        """Where the process writes what goes wrong."""
        return self._folder / "activator.log"

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process, tell it what was assigned, and wait until it takes connections.

        Raises:
            PlatformError: its socket cannot be made, or it does not start.
            RuntimeError: it runs already.
        """
        if self._process is not None:
            raise RuntimeError("the activator runs already")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._listener is not None and not self._socket.exists():  # somebody has removed it
                self._listener.close()
                self._listener = None
            if self._listener is None:
                self._listener = _listen(self._socket)
            ours, theirs = sockets.socketpair()
            try:
                self._process = await _launch(self._listener, theirs, self.log)
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        except OSError as error:
            raise PlatformError(f"The activator cannot be started in {self._folder}: {error}.") from error
        self._serving = asyncio.get_running_loop().create_future()
        self._watcher = asyncio.create_task(self._watch(self._process))
        serves = False
        try:
            await self._connect(ours)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_START_SECONDS):
                    serves = await self._serving
        finally:
            self._serving = None
            if not serves:
                await self._end(0.0)
        if not serves:
            raise PlatformError(f"The activator does not start. The end of {self.log}: {self._last_words()}")

    async def stop(self) -> None:
        """End the process and take its socket away; requests that wait are refused. Nothing happens without one."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._end(_STOP_SECONDS)
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._folder:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()

    def assign(self, backend: str, seats: Seats) -> None:
        """Set what a backend has. To be called before the gateway asks for it, and whenever that changes."""
        if self._seats.get(backend) != seats:
            self._seats[backend] = seats
            if self._link is not None:
                self._link.say("assign", backend=backend, seats=encode_seats(seats))

    def forget(self, backend: str) -> None:
        """Know nothing of a backend any more; requests that wait for it are refused."""
        self._before.pop(backend, None)
        self._measured.pop(backend, None)
        if self._seats.pop(backend, None) is not None and self._link is not None:
            self._link.say("forget", backend=backend)

    def report(self, active: Mapping[str, int]) -> None:
        """Say how many requests the replicas of backends work on now; to be called each second.

        It matters for backends whose `Seats.capacity` is not 0: requests that wait there follow as others end.
        """
        if self._link is not None and active:
            self._link.say("report", active=dict(active))

    async def measure(self) -> dict[str, Held]:
        """What was seen of each backend since it was first assigned; empty when there is no process that answers.

        Counts go on when a process is started again, without what was not measured before it ended.
        """
        if self._link is None:
            return {}
        self._asked += 1
        number = self._asked
        question: asyncio.Future[dict[str, Held]] = asyncio.get_running_loop().create_future()
        self._questions[number] = question
        self._link.say("measure", number=number)
        try:
            async with asyncio.timeout(_MEASURE_SECONDS):
                return await question
        except TimeoutError:
            return {}
        finally:
            del self._questions[number]

    async def _connect(self, ours: sockets.socket) -> None:
        """Tell a new process everything that was assigned."""
        link = Link(self._hear, lambda: self._lost(link), self._kill)
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=ours)
        for backend, seats in self._seats.items():
            link.say("assign", backend=backend, seats=encode_seats(seats))
        link.say("serve")
        self._link = link

    def _hear(self, message: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        match message["say"]:
            case "wake":
                loop.call_soon(self._on_wake, message["backend"])
            case "held":
                held = decode_held(message["held"])
                self._measured = {name: held[name] for name in self._seats if name in held}
                question = self._questions.get(message["number"])
                if question is not None and not question.done():
                    question.set_result({name: one + self._earlier(name) for name, one in self._measured.items()})
            case "serving":
                self._served(serves=True)
            case unknown:
                raise ValueError(f"the activator says {unknown!r}, which is not known here")

    def _served(self, *, serves: bool) -> None:
        if self._serving is not None and not self._serving.done():
            self._serving.set_result(serves)

    def _earlier(self, backend: str) -> Held:
        return self._before.get(backend, Held())

    def _lost(self, link: Link | None) -> None:
        """A link is closed: nothing more can be said on it."""
        if link is None or link is not self._link:
            return
        self._link = None
        link.close()
        for name, one in self._measured.items():
            self._before[name] = self._earlier(name) + Held(arrived=one.arrived, released=one.released)
        self._measured = {}
        for question in self._questions.values():
            if not question.done():
                question.set_result({})

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        self._lost(self._link)
        self._process = self._watcher = None
        if self._serving is None:
            self._on_exit(code)
        self._served(serves=False)

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _end(self, patience: float) -> None:
        """Hang up, and kill the process when it does not end by itself in that many seconds."""
        process, watcher = self._process, self._watcher
        if process is None or watcher is None:
            return
        watcher.cancel()
        self._watcher = None
        self._lost(self._link)
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            self._kill()
            await process.wait()
        self._process = None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


async def _launch(listener: sockets.socket, link: sockets.socket, log: Path) -> Process:
    descriptors = (listener.fileno(), link.fileno())
    arguments = [*map(str, descriptors), str(os.getpid())]
    command = [sys.executable, "-P", "-m", "fairlead.local.activator", *arguments]
    with _opened(log) as output:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=output, stderr=output, pass_fds=descriptors
        )


def _opened(log: Path) -> BinaryIO:
    """A log to write on in; one that has grown large begins anew."""
    large = log.exists() and log.stat().st_size > _LARGEST_LOG
    return log.open("wb" if large else "ab")


def _place(socket_path: Path) -> Path:
    """Where a socket may be: there, or under a short name that is made from it and is the same each time."""
    if len(os.fsencode(socket_path)) <= _LONGEST_PATH:
        return socket_path
    digest = hashlib.sha256(os.fsencode(socket_path.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fairlead-{os.getuid()}-{digest}" / socket_path.name


def _listen(path: Path) -> sockets.socket:
    """Listen at a path that nobody else on the machine can reach.

    Raises:
        OSError: the path cannot be used.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = path.parent.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise OSError(f"{path.parent} belongs to somebody else")
    path.unlink(missing_ok=True)
    listener = sockets.socket(sockets.AF_UNIX)
    try:
        listener.setblocking(False)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
