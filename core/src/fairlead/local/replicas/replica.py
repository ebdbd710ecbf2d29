"""A replica: what an order asks for, made to run and to answer, started again when it ends, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local import containerfiles
from fairlead.local.replicas import (
    containers,
    endings,
    listening,
    probes,
    process,
)
from fairlead.local.replicas.logs import RotatedLog
from fairlead.local.replicas.orders import Order, Ports
from fairlead.local.replicas.preparing import Preparation
from fairlead.local.replicas.process import Process
from fairlead.local.replicas.tools import Tools
from fairlead.local.replicas.watching import Watch
from fairlead.resolve.observation import ReplicaObservation, ReplicaStage

if TYPE_CHECKING:
    from fairlead.local.replicas.commands import Launch

__all__ = ["Replica", "Tools"]

_TELL_AFTER: Final = 5.0
"""Seconds of a start after which it is told what the replica still does not answer."""

_GRACE: Final = 30.0

_OF_PROCESS: Final = frozenset({"CrashLoopBackOff", "LivenessProbeFailed", "ProgressDeadlineExceeded"})
"""Reasons that are still told while another process starts, which may come to the same end."""


class Replica:
    """One replica; all of it is called in the thread of the event loop.

    Args:
        order: what it is to be.
        tools: what it is made with.
        on_change: called when what is observed of it has changed.

    Attributes:
        order: as given.
        started_at: when its process was started, in seconds of Unix time; None before.
        ready_changed_at: when it became ready, or ceased to be; None before.
    """

    def __init__(self, order: Order, tools: Tools, on_change: Callable[[], None]) -> None:
        self.order: Final = order
        self.started_at: float | None = None
        self.ready_changed_at: float | None = None
        self._tools = tools
        self._on_change = on_change
        self._observation = ReplicaObservation(name=order.name, stage=ReplicaStage.PENDING, created_at=tools.clock())
        self._log = RotatedLog(order.logs)
        self._ports: Ports | None = None
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._grace = _GRACE
        self._preparation = Preparation(order, tools, self._log)
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._failures = 0
        self._answered: asyncio.Future[None]
        self._began = 0.0
        self._ready_since: float | None = None
        self._unanswered = ""
        self._spent = self._spent_before = 0.0

    # -- what is seen of it -----------------------------------------------------------------------------

    @property
    def observation(self) -> ReplicaObservation:
        """What is observed of it."""
        return self._observation

    @property
    def notes(self) -> tuple[str, ...]:
        """What of its pod has no effect here, and what of its output is lost, one sentence each."""
        lost = (f"{self.lost_output} bytes of its output are lost.",) if self.lost_output else ()
        return (*self._preparation.notes, *lost)

    @property
    def ready(self) -> bool:
        """Whether requests may be sent to it."""
        return self._observation.stage is ReplicaStage.READY

    @property
    def failures(self) -> float:
        """How often it has failed since it last ran well; infinite where it is not tried again."""
        over = self._task is not None and self._task.done() and not self._stopping
        return math.inf if over else self._failures

    @property
    def ports(self) -> Ports | None:
        """Where its process listens, or is to; None while it has none."""
        return self._ports

    @property
    def pid(self) -> int | None:
        """The number of its process; None while it has none."""
        return None if self._process is None else self._process.pid

    @property
    def lost_output(self) -> int:
        """Bytes of its output that could not be written to its log."""
        return self._log.dropped

    def usage(self) -> tuple[float, int] | None:
        """Seconds of CPU time since it was made, and bytes of resident memory now, of it and all that it has started.

        None while nothing runs, and on systems that do not tell.
        """
        found = None if self._process is None else self._process.usage()
        if found is None:
            return None
        self._spent = max(self._spent, self._spent_before + found[0])
        return self._spent, found[1]

    # -- its life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._task is None and not self._stopping:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, grace: float) -> None:
        """End it, and remove what it has made in its folder; returns once nothing of it runs.

        Args:
            grace: seconds between SIGTERM and SIGKILL.
        """
        if self.ready:
            self.ready_changed_at = self._tools.clock()
        self._see(stage=ReplicaStage.STOPPING, reason="", message="")
        self._grace = min(grace, self._grace) if self._stopping else grace
        if self._task is not None and not self._stopping:
            self._stopping = True
            self._task.cancel()
        elif self._stopping and self._process is not None:
            asyncio.get_running_loop().call_later(grace, self._process.kill)
        self._stopping = True
        if self._task is not None:
            await asyncio.wait((self._task,))
        self._log.close()
        self._preparation.remove()

    async def _run(self) -> None:
        try:
            self._preparation.check()
        except errors.Unresolvable as error:
            self._fail(errors.ReplicaFailed(error.condition, str(error)))
            return
        except Exception as error:  # noqa: BLE001  # a PodSpec is passed through as it is, and may be none
            text = f"Its PodSpec cannot be read: {type(error).__name__}: {error}. See the fields of its container."
            self._fail(errors.ReplicaFailed("InvalidPod", text))
            return
        while True:
            try:
                await self._live()
            except errors.ReplicaFailed as failed:
                await self._fail_and_wait(failed)
            except errors.Unresolvable as error:
                await self._fail_and_wait(errors.ReplicaFailed(error.condition, str(error)))
            except OSError as error:
                await self._fail_and_wait(errors.ReplicaFailed("CannotStart", f"It cannot be started: {error}."))
            except Exception as error:  # noqa: BLE001  # a replica that says nothing would tell nobody why
                await self._fail_and_wait(
                    errors.ReplicaFailed("CannotStart", f"It fails: {type(error).__name__}: {error}.")
                )

    async def _live(self) -> None:
        """From the artefacts to the end of a process; always ends with `ReplicaFailed`, or is cancelled."""
        await self._preparation.run(self._see)
        declared = listening.listening(self.order)
        wanted = [declared.http, declared.grpc]
        with self._tools.ports.lent(sum(each is not None for each in wanted)) as chosen:
            free = iter(chosen)
            http, grpc = (None if each is None else next(free) for each in wanted)
            self._ports = Ports(http=http, grpc=grpc)
            try:
                await self._serve_on(self._ports)
            finally:
                self._ports = None

    # -- its process ------------------------------------------------------------------------------------

    async def _serve_on(self, ports: Ports) -> None:
        declared = listening.listening(self.order)
        launch, name = self._preparation.launch(ports)
        asked = probes.asked(self.order, declared, ports)
        if name is not None:
            asked = containers.asked_inside(asked, launch.argv[0], name)
        watch = Watch(launch, asked, self._found, self._tools.monotonic)
        self._log.forget()
        self._answered = asyncio.get_running_loop().create_future()
        self._began, self._unanswered = self._tools.monotonic(), ""
        with self._started(launch, watch) as running:
            try:
                await self._watched(running, watch)
            finally:
                await running.stop(self._grace)
                if name is not None:
                    await containers.remove(launch, name)
                    containerfiles.forget(self.order.folder)

    @contextlib.contextmanager
    def _started(self, launch: Launch, watch: Watch) -> Iterator[Process]:
        def output(data: bytes) -> None:
            self._log.write(data)
            watch.nudge()

        try:
            running = Process(launch, output)
        except OSError as error:
            where = f" in {launch.cwd}" if launch.cwd is not None else ""
            text = f"{launch.argv[0]} cannot be started{where}: {error.strerror}."
            raise errors.ReplicaFailed("CannotStart", text) from error
        again = self.started_at is not None
        self._process = running
        self.started_at = self._tools.clock()
        over = {} if self._observation.reason in _OF_PROCESS else {"reason": "", "message": "", "fetch_failed": False}
        self._see(stage=ReplicaStage.STARTING, restarts=self._observation.restarts + again, **over)
        self._remember(lambda: self._tools.record(running.pid, f"replica {self.order.name}"))
        try:
            yield running
        finally:
            self._spent_before, self._process = self._spent, None
            self._remember(lambda: self._tools.forget(running.pid))

    async def _watched(self, running: Process, watch: Watch) -> None:
        """Until the process ends, or has to; always raises."""
        watching = asyncio.ensure_future(watch.run())
        try:
            deadline = self._tools.start_deadline
            done, _ = await asyncio.wait(
                (running.ended, watching, self._answered), timeout=deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                text = f"It was not ready within {deadline:g} s. {self._unanswered}"
                raise errors.ReplicaFailed("ProgressDeadlineExceeded", self._with_words(text))
            await asyncio.wait((running.ended, watching), return_when=asyncio.FIRST_COMPLETED)
            if running.ended.done():
                raise self._ended(running.ended.result())
            raise errors.ReplicaFailed("LivenessProbeFailed", self._with_words(watching.result()))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _found(self, ready: bool, why: str) -> None:
        """What a probe found."""
        self._unanswered = why
        stage = self._observation.stage
        if ready and stage is not ReplicaStage.READY:
            self._ready_since = self._tools.monotonic()
            self.ready_changed_at = self._tools.clock()
            if not self._answered.done():
                self._answered.set_result(None)
            self._see(stage=ReplicaStage.READY, reason="", message="", fetch_failed=False)
        elif not ready and stage is ReplicaStage.READY:
            self.ready_changed_at = self._tools.clock()
            self._see(stage=ReplicaStage.UNREADY, reason="Unhealthy", message=why)
        elif stage is ReplicaStage.STARTING and not self._observation.reason and self._takes_long():
            self._see(message=why)

    def _takes_long(self) -> bool:
        return self._tools.monotonic() - self._began >= _TELL_AFTER

    def _ended(self, status: int) -> errors.ReplicaFailed:
        self._see(exit_code=endings.exit_code(status))
        return errors.ReplicaFailed(
            "CrashLoopBackOff", self._with_words(f"Its process {process.how_it_ended(status)}.")
        )

    def _with_words(self, text: str) -> str:
        lost = f" Its log could not be written: {self._log.trouble}." if self._log.trouble else ""
        words = endings.last_words(self._log.tail())
        return f"{text.strip()}{lost} {words}".strip()

    # -- what comes of it -------------------------------------------------------------------------------

    async def _fail_and_wait(self, failed: errors.ReplicaFailed) -> None:
        """Tell why it does not run, and wait before it is tried again: longer each time, unless it ran well."""
        if self._ready_since is not None and self._tools.monotonic() - self._ready_since >= self._tools.calm:
            self._failures = 0
        self._ready_since = None
        pause = min(self._tools.max_backoff, self._tools.backoff * 2 ** min(self._failures, 30))
        self._failures += 1
        self._fail(failed)
        await self._sleep(pause)

    def _fail(self, failed: errors.ReplicaFailed) -> None:
        if self.ready:
            self.ready_changed_at = self._tools.clock()
        self._log.say(f"[{failed.condition}] {failed.reason}")
        self._see(
            stage=ReplicaStage.FAILED, reason=failed.condition, message=failed.reason, fetch_failed=failed.fetching
        )

    def _see(self, **changes: Any) -> None:
        """Change what is observed, and tell so."""
        if self._stopping:
            return
        seen = dataclasses.replace(self._observation, **changes)
        if seen != self._observation:
            self._observation = seen
            self._on_change()

    def _remember(self, call: Callable[[], None]) -> None:
        try:
            call()
        except errors.FairleadError as error:
            self._log.say(str(error))
