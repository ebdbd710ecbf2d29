"""Several server processes on one port: the supervisor that starts them, replaces those that die, and ends them.

A worker is the same command in a process of its own. It inherits the listening socket and a channel to the
supervisor, and one variable of its environment tells it so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.cli.assignment import Assignment, join
from fairlead.rest.listener import listen, url_of

if TYPE_CHECKING:
    from fairlead.settings import ServerSettings

__all__ = ["Backoff", "supervise"]

_log = logging.getLogger("fairlead.server")

_GRACE: Final = 5.0  # seconds beyond the drain's own for a worker to unload its models and exit


class Backoff:
    """How long to wait before a worker is replaced: longer each time that it dies soon after it was started."""

    SOON: Final = 10.0
    FIRST: Final = 0.25
    LONGEST: Final = 8.0

    def __init__(self) -> None:
        self._next = 0.0

    def pause(self, lived: float) -> float:
        """Seconds to wait now, after a worker that lived for so many seconds."""
        if lived >= self.SOON:
            self._next = 0.0
            return 0.0
        self._next = min(2 * self._next or self.FIRST, self.LONGEST)
        return self._next


def supervise(count: int, settings: ServerSettings) -> int:
    """Listen, and let workers serve until a signal ends them.

    Args:
        count: how many.
        settings: the server's settings, which the workers read for themselves.

    Returns:
        The exit status: 0 after a signal; that of the worker, when one does not start and has said why.

    Raises:
        ConfigurationError: the address cannot be listened on, or there is no temporary folder.
        FairleadError: a worker was killed before it was ready.
    """
    with contextlib.closing(listen(settings.host, settings.http_port)) as listener, _shared_folder() as folder:
        _log.info("listening on %s:%d", *listener.getsockname()[:2])
        return asyncio.run(_Supervisor(count, settings, listener, folder).run())


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="fairlead-", ignore_cleanup_errors=True)
    except OSError as error:
        raise errors.ConfigurationError(
            f"Several workers need a temporary folder for their metrics: {error}.",
            remedy="Name one that can be written to with TMPDIR, or start the server with --workers 1.",
        ) from error
    with folder as path:
        membership = join(Path(path))
        try:
            yield Path(path)
        finally:
            os.close(membership)


class _NotReady(Exception):
    """A worker ended before it was ready, and has said why.

    Args:
        status: its exit status.
    """

    def __init__(self, status: int) -> None:
        self.status = status


class _Worker:
    """A worker's process.

    Args:
        slot: its number.
        folder: the folder of the shared metrics.
        listener: the socket to accept connections from.

    Raises:
        OSError: the system does not start another process.
    """

    def __init__(self, slot: int, folder: Path, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.slot: Final = slot
        self.started: Final = loop.time()
        self.ended: Final[asyncio.Future[int]] = loop.create_future()
        self.accepts = False
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        assignment = Assignment(
            slot=slot,
            folder=str(folder),
            membership=join(folder),
            listener=listener.fileno(),
            channel=theirs.fileno(),
        )
        try:
            self.process: Final = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **assignment.environ()},
                pass_fds=assignment.descriptors,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which forwards it once
            )
        finally:
            theirs.close()
            os.close(assignment.membership)

    def __str__(self) -> str:
        return f"worker {self.slot} (process {self.process.pid})"

    async def ready(self) -> list[str] | None:
        """The names of its models once it is ready; None when it ends before."""
        told = asyncio.ensure_future(self._line())
        try:
            await asyncio.wait((told, self.ended), return_when=asyncio.FIRST_COMPLETED)
            if told.done() and told.result():
                self.accepts = True
                names: list[str] = json.loads(told.result())
                return names
            await self.wait()
            return None
        finally:
            told.cancel()

    async def wait(self) -> int:
        """Its exit status, once it has ended; negative for the signal that killed it."""
        await asyncio.wait((self.ended,))
        return self.ended.result()

    def drain(self, number: signal.Signals) -> None:
        """Let it finish what it has accepted, and end."""
        # SIGINT would end one that is still being started with a traceback.
        self.process.send_signal(number if self.accepts else signal.SIGTERM)

    def reap(self) -> None:
        """Notice that it has ended, if it has."""
        status = self.process.poll()
        if status is not None and not self.ended.done():
            self.ended.set_result(status)

    def close(self) -> None:
        """Let go of a worker that has ended."""
        self._channel.close()

    async def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            received = await asyncio.get_running_loop().sock_recv(self._channel, 65536)
            if not received:
                return b""
            line += received
        return line


class _Supervisor:
    """Starts workers, replaces those that die, and ends them."""

    def __init__(self, count: int, settings: ServerSettings, listener: socket.socket, folder: Path) -> None:
        self._count = count
        self._settings = settings
        self._listener = listener
        self._folder = folder
        self._workers: dict[int, _Worker] = {}
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()

    async def run(self) -> int:
        """Serve until a signal ends it, or a worker does not start; see `supervise`."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        told = asyncio.ensure_future(self._signals.get())
        serving = asyncio.ensure_future(self._serve())
        await asyncio.wait((told, serving), return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if told.done():
            await self._drain(told.result())
            return 0
        told.cancel()
        await self._drain(signal.SIGINT)
        return serving.result()

    def _reap(self) -> None:
        for worker in self._workers.values():
            worker.reap()

    async def _serve(self) -> int:
        """Returns only when a worker does not start: its exit status."""
        try:
            # Alone: what is wrong with a model is said once, and what it downloads the others find in the cache.
            first, names = await self._start(0)
            others = await asyncio.gather(*(self._start(slot) for slot in range(1, self._count)))
        except _NotReady as error:
            return error.status
        shown = ", ".join(names) or "no models"
        _log.info("ready on %s: %s (%d workers)", url_of(self._listener), shown, self._count)
        await asyncio.gather(self._keep(first), *(self._keep(worker) for worker, _ in others))
        raise AssertionError("workers are kept for ever")

    async def _start(self, slot: int) -> tuple[_Worker, list[str]]:
        try:
            worker = self._spawn(slot)
        except OSError as error:
            raise errors.FairleadError(f"Worker {slot} cannot be started: {error}.") from error
        names = await worker.ready()
        if names is not None:
            return worker, names
        status = worker.ended.result()
        if status > 0:
            raise _NotReady(status)
        raise errors.FairleadError(
            f"A worker {_how_it_ended(status)} before it was ready.",
            remedy="Each worker has its own copy of the models: where memory is short, use fewer --workers.",
        )

    async def _keep(self, worker: _Worker) -> None:
        """Replace a worker each time that it dies."""
        backoff = Backoff()
        slot = worker.slot
        while True:
            how = _how_it_ended(await worker.wait())
            pause = backoff.pause(asyncio.get_running_loop().time() - worker.started)
            _log.warning("%s %s; another is started in %g seconds", worker, how, pause)
            _forget(self._folder, slot)
            await asyncio.sleep(pause)
            try:
                worker = self._spawn(slot)
            except OSError as error:
                _log.error("worker %d cannot be started: %s", slot, error)
                continue
            if await worker.ready() is not None:
                _log.info("%s is ready", worker)

    def _spawn(self, slot: int) -> _Worker:
        if slot in self._workers:
            self._workers.pop(slot).close()
        worker = self._workers[slot] = _Worker(slot, self._folder, self._listener)
        return worker

    async def _drain(self, number: signal.Signals) -> None:
        """Let all workers finish what they have accepted; kill what is left at the end, or at another signal."""
        self._listener.close()  # the last worker to close it refuses connections from then on
        running = [worker for worker in self._workers.values() if not worker.ended.done()]
        for worker in running:
            worker.drain(number)
        delay = self._settings.drain_delay if number == signal.SIGTERM else 0.0
        patience = delay + self._settings.drain_timeout + _GRACE
        again = asyncio.ensure_future(self._signals.get())
        ended = asyncio.gather(*(worker.wait() for worker in running))
        await asyncio.wait((again, ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for worker in running:
            if not worker.ended.done():
                why = "at a second signal" if again.done() else f"after {patience:g} seconds"
                _log.warning("%s has not ended, and is killed %s", worker, why)
                worker.process.kill()
        await ended
        again.cancel()
        for worker in self._workers.values():
            worker.close()


def _forget(folder: Path, slot: int) -> None:
    from fairlead.engine.metrics import Share  # only where it is needed: a supervisor stays small

    Share(folder, slot).forget()


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
