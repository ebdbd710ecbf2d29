"""A process of a replica: started in a session of its own, read, measured, ended and reaped; it outlives nobody."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.local import mortality

if TYPE_CHECKING:
    from fairlead.local.replicas.commands import Launch

__all__ = ["Process", "how_it_ended"]

_PIECE: Final = 65536
_PIPE_SIZE: Final = 1024 * 1024
_F_SETPIPE_SZ: Final = 1031
_MOST_PIECES: Final = 16
"""Pieces of output that are read in one turn of the event loop, so that a talkative process leaves turns to others."""

_LOOK: Final = 0.05
"""Seconds between two looks at a process, on systems that do not tell that one has ended."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A process that runs, or ran.

    Must be made in the thread of the event loop, which must outlive it: Linux ends the process when that thread ends.

    Args:
        launch: what to start.
        output: gets what it writes to standard output and standard error.

    Attributes:
        pid: its number, which is that of its process group and session as well.
        ended: its exit status, negative for the signal that killed it; done once it has ended and its output is read.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, launch: Launch, output: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._loop: Final = loop
        self._output = output
        self.ended: Final[asyncio.Future[int]] = loop.create_future()
        ours, theirs = os.pipe2(os.O_CLOEXEC) if sys.platform == "linux" else os.pipe()
        os.set_blocking(ours, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # users have a limit on the memory of pipes
                fcntl.fcntl(ours, _F_SETPIPE_SZ, _PIPE_SIZE)
        try:
            self._popen: Final = _popen(launch, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self.pid: Final = self._popen.pid
        self._pipe = ours
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        loop.add_reader(ours, self._read)
        if sys.platform == "linux":
            self._descriptor = os.pidfd_open(self.pid)
            loop.add_reader(self._descriptor, self._gone)
        else:
            self._look()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.done()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs: it alone, as Kubernetes does with a container's first process."""
        if self.runs:
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and everything that it has started, at once."""
        if not self.runs:
            return
        for pid in (*_tree(self.pid), self.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._kill_group()

    async def stop(self, grace: float) -> int:
        """SIGTERM, and SIGKILL for it and all that it has started once the grace is over; its exit status.

        Args:
            grace: seconds.
        """
        if self.runs:
            self.send(signal.SIGTERM)
            try:
                await asyncio.wait((self.ended,), timeout=grace)
            finally:  # also for who does not want to wait any more
                self.kill()
        await asyncio.wait((self.ended,))
        return self.ended.result()

    def usage(self) -> tuple[float, int] | None:
        """Seconds of CPU time and bytes of resident memory of it and all that it has started; None when unknown."""
        if not self.runs or sys.platform != "linux":
            return None
        seconds, resident = 0.0, 0
        for pid in (self.pid, *_tree(self.pid)):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
                # utime, stime and those of children that have ended: fields 14 to 17 of proc(5); rss is field 24.
                seconds += sum(map(int, fields[11:15])) / _TICKS
                resident += int(fields[21]) * _PAGE
        return seconds, resident

    def _kill_group(self) -> None:
        # Until it is reaped its number belongs to nobody else, nor does that of its group.
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _read(self) -> None:
        for _ in range(_MOST_PIECES):
            try:
                data = os.read(self._pipe, _PIECE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close_pipe()
                return
            self._output(data)

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1

    def _look(self) -> None:
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            self._timer = self._loop.call_later(_LOOK, self._look)
        else:
            self._gone()

    def _gone(self) -> None:
        """It has ended: end what it leaves, read the rest, reap it."""
        self._kill_group()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        status = self._popen.wait()
        if self._pipe >= 0:
            self._read()  # what is in the pipe is at most as much as this reads
            self._close_pipe()
        if not self.ended.done():
            self.ended.set_result(status)


def _popen(launch: Launch, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        launch.argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=dict(launch.env),
        cwd=launch.cwd,
        start_new_session=True,  # Ctrl-C reaches the platform alone
        preexec_fn=mortality.die_with(os.getpid()),  # noqa: PLW1509  # it calls the C library and takes no lock
    )


def _tree(pid: int) -> list[int]:
    """The processes that a process has started and that run, those that they have started included."""
    found: list[int] = []
    pending = [pid]
    while pending:
        folder = f"/proc/{pending.pop()}/task"
        try:
            threads = os.listdir(folder)  # noqa: PTH208  # names alone, many times
        except OSError:
            continue
        for thread in threads:
            with contextlib.suppress(OSError):
                children = [int(each) for each in Path(f"{folder}/{thread}/children").read_bytes().split()]
                found += children
                pending += children
    return found


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
