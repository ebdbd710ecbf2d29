"""Several server processes on one port: the supervisor that starts them, replaces them, and ends them.

A worker dies and another takes its place; on SIGHUP every worker is replaced by one that has loaded the models anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors, sockets
from fairlead.cli import doorman
from fairlead.cli.assignment import join
from fairlead.cli.crew import Crew, Post
from fairlead.cli.generation import Generation, NotReady
from fairlead.cli.ports import hold
from fairlead.cli.process import how_it_ended
from fairlead.rest.listener import listen, url_of

if TYPE_CHECKING:
    from fairlead.cli.hangup import Hangup
    from fairlead.cli.process import Process
    from fairlead.settings import ServerSettings

__all__ = ["Backoff", "supervise"]

_log = logging.getLogger("fairlead.server")

_GRACE: Final = 5.0  # seconds beyond the drain's own for a worker to unload its models and exit

_MOVING: Final = 5.0  # seconds beyond the age of its connections for the clients of a worker to have moved away


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


def supervise(count: int, settings: ServerSettings, hangup: Hangup, *, share: bool) -> int:
    """Listen, and let workers serve until a signal ends them.

    Args:
        count: how many.
        settings: the server's settings, which the workers read for themselves.
        hangup: tells what SIGHUP means.
        share: whether models may be loaded once for all workers.

    Returns:
        The exit status: 0 after a signal; that of the worker, when one does not start and has said why.

    Raises:
        ConfigurationError: an address cannot be listened on, or there is no temporary folder.
        FairleadError: a worker was killed before it was ready.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listen(settings.host, settings.http_port)))
        folder = stack.enter_context(_shared_folder())
        host, http_port, *_ = listener.getsockname()
        grpc_port = None
        if settings.enable_grpc:
            grpc_port = stack.enter_context(hold(settings.host, settings.grpc_port))
        beside = "" if grpc_port is None else f" (gRPC on {settings.host}:{grpc_port})"
        _log.info("listening on %s:%d%s", host, http_port, beside)
        crew = Crew(Post(listener=listener, folder=folder, grpc_port=grpc_port))
        return asyncio.run(_Supervisor(count, settings, crew, hangup, share).run())


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


class _Supervisor:
    """Starts workers, replaces those that die, restarts all on request, and ends them."""

    def __init__(self, count: int, settings: ServerSettings, crew: Crew, hangup: Hangup, share: bool) -> None:
        self._count = count
        self._settings = settings
        self._crew = crew
        self._hangup = hangup
        self._share = share
        self._generations = [Generation(crew, share)]  # the last one makes new workers
        self._workers: list[Process] = []
        self._places = [asyncio.Lock() for _ in range(count)]  # held by whoever puts a new worker there
        self._endings: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._restart_wanted = asyncio.Event()

    async def run(self) -> int:
        """Serve until a signal ends it, or a worker does not start; see `supervise`."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._crew.reap)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._endings.put_nowait, number)
        told = asyncio.ensure_future(self._endings.get())
        serving = asyncio.ensure_future(self._serve())
        await asyncio.wait((told, serving), return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        await asyncio.wait((serving,))
        if told.done():
            await self._drain(told.result())
            return 0
        told.cancel()
        await self._drain(signal.SIGINT)
        return serving.result()

    def _hung_up(self) -> None:
        self._hangup.tell(self._restart_wanted.set, lambda: self._endings.put_nowait(signal.SIGTERM))

    async def _serve(self) -> int:
        """Returns only when a worker does not start: its exit status."""
        try:
            # Alone: what is wrong with a model is said once, and what it downloads the others find in the cache.
            async with doorman.attended(self._crew.post.listener):
                first, names = await self._start(0)
            others = await asyncio.gather(*(self._start(place) for place in range(1, self._count)))
        except NotReady as error:
            if error.status is not None and error.status > 0:
                return error.status
            raise errors.FairleadError(
                f"{error}.", remedy="Where memory is short, use fewer --workers: each may have models of its own."
            ) from error
        self._workers = [first, *(worker for worker, _ in others)]
        shown = ", ".join(names) or "no models"
        post = self._crew.post
        beside = "" if post.grpc_port is None else f", gRPC on {self._settings.host}:{post.grpc_port}"
        _log.info("ready on %s: %s (%d workers%s)", url_of(post.listener), shown, self._count, beside)
        async with asyncio.TaskGroup() as tasks:
            for place in range(self._count):
                tasks.create_task(self._keep(place))
            tasks.create_task(self._restart_when_wanted())
        raise AssertionError("workers are kept for ever")

    def _start(self, place: int) -> Coroutine[None, None, tuple[Process, Sequence[str]]]:
        return self._generations[-1].start(f"worker {place}")

    # -- a worker dies ----------------------------------------------------------------------------------

    async def _keep(self, place: int) -> None:
        """Replace a worker each time that it dies."""
        backoff = Backoff()
        while True:
            worker = ended = self._workers[place]
            await worker.wait()
            while worker is self._workers[place]:  # not if a restart has replaced it, or does so now
                pause = backoff.pause(asyncio.get_running_loop().time() - ended.started)
                how = how_it_ended(ended.ended.result())
                _log.warning(
                    "%s %s; another is started %s", ended, how, f"in {pause:g} seconds" if pause else "at once"
                )
                await asyncio.sleep(pause)
                async with self._places[place]:
                    if worker is self._workers[place]:
                        ended = await self._replace(place) or ended

    async def _replace(self, place: int) -> Process | None:
        """Put a new worker in the place of a dead one; returns it if it has died as well."""
        try:
            self._workers[place], _ = await self._start(place)
        except NotReady as error:
            return error.process
        except errors.FairleadError as error:
            _log.error("%s", error)
        else:
            _log.info("%s is ready", self._workers[place])
        return None

    # -- all are replaced -------------------------------------------------------------------------------

    async def _restart_when_wanted(self) -> None:
        while True:
            await self._restart_wanted.wait()
            self._restart_wanted.clear()  # and set again by a signal that comes while it is done
            await self._restart()

    async def _restart(self) -> None:
        """Replace each worker by one that has loaded the models anew, one after another."""
        _log.info("SIGHUP: %d workers are replaced, one after another", self._count)
        generation = Generation(self._crew, self._share)
        names: Sequence[str] = ()
        for place in range(self._count):
            async with self._places[place]:
                before = self._workers[place]
                try:
                    new, names = await generation.start(f"worker {place}", self._crew.accepting)
                except (NotReady, errors.FairleadError) as error:
                    self._stop_restart(error, place)
                    if place == 0:
                        await generation.end()
                    return
                if place == 0:  # it makes workers that answer, so that it replaces dead ones from now on
                    self._generations.append(generation)
                self._workers[place] = new
                _log.info("%s is ready; process %d answers what it has, and ends", new, before.pid)
                await self._retire(before)
        for past in self._generations[:-1]:
            await past.end()
        del self._generations[:-1]
        _log.info("restarted: %s (%d workers)", ", ".join(names) or "no models", self._count)

    def _stop_restart(self, error: Exception, replaced: int) -> None:
        left = f"{replaced} of {self._count} workers are new" if replaced else "no worker was replaced"
        _log.error("the restart stops, and all workers go on answering: %s; %s", str(error).rstrip("."), left)

    async def _retire(self, worker: Process) -> None:
        """Let a worker finish what it has accepted, and end."""
        worker.retire()
        moving = 1.1 * self._settings.grpc_max_connection_age + _MOVING
        patience = moving + self._settings.drain_timeout + _GRACE
        await asyncio.wait((worker.ended,), timeout=patience)
        if not worker.ended.done():
            _log.warning("%s has not ended, and is killed after %g seconds", worker, patience)
            worker.send(signal.SIGKILL)
            await worker.wait()

    # -- the end ----------------------------------------------------------------------------------------

    async def _close(self, delay: float) -> None:
        """Let nobody in when the workers stop to accept; when the last closes the socket, connections are refused."""
        await asyncio.sleep(delay)
        sockets.let_nobody_in(self._crew.post.listener)
        await asyncio.sleep(sockets.MOMENT)
        self._crew.post.listener.close()

    async def _drain(self, number: signal.Signals) -> None:
        """Let all workers finish what they have accepted; kill what is left at the end, or at another signal."""
        await self._crew.settle(_GRACE)
        running = [process for process in self._crew if not process.forks]
        for process in running:
            process.drain(number)
        delay = self._settings.drain_delay if number == signal.SIGTERM else 0.0
        patience = delay + self._settings.drain_timeout + _GRACE
        closing = asyncio.ensure_future(self._close(delay))
        again = asyncio.ensure_future(self._endings.get())
        ended = asyncio.gather(*(process.wait() for process in running))
        await asyncio.wait((again, ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for process in running:
            if not process.ended.done():
                why = "at a second signal" if again.done() else f"after {patience:g} seconds"
                _log.warning("%s has not ended, and is killed %s", process, why)
                process.send(signal.SIGKILL)
        await ended
        again.cancel()
        closing.cancel()
        for template in self._crew:
            template.send(signal.SIGKILL)  # it holds nothing, and waits for nothing any more
            await template.wait()
