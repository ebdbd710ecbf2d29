"""Watching a process that runs: until it is ready, while it is, and whether it has to be started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fairlead.local.replicas import probing

if TYPE_CHECKING:
    from fairlead.local.replicas.commands import Launch
    from fairlead.local.replicas.probes import Asked, Probe

__all__ = ["Verdict", "Watch"]

_SHORTEST: Final = 0.02
_LONGEST: Final = 0.5
_SHARE: Final = 20.0
"""A process that has been starting for so many times a pause is asked at such pauses: so it is found ready at most five
percent of its start too late."""

_AT_LEAST: Final = 0.005
"""Seconds between two questions, however much the process writes."""

Verdict = Callable[[bool, str], None]
"""Told whether a process is ready, and where it is not, why."""


class Watch:
    """Asks one process.

    Args:
        launch: how it was started.
        asked: the questions.
        verdict: told what was found, whenever that may have changed.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        launch: Launch,
        asked: Asked,
        verdict: Verdict,
        monotonic: Callable[[], float],
    ) -> None:
        self._launch = launch
        self._ready, self._alive, self._startup = asked.ready, asked.alive, asked.startup
        self._verdict = verdict
        self._monotonic = monotonic
        self._began = monotonic()
        self._nudged = asyncio.Event()
        self._started = asyncio.Event()

    def nudge(self) -> None:
        """The process has written something: it may have become ready."""
        self._nudged.set()

    async def run(self) -> str:
        """Ask until the process has to be started again; returns why."""
        asking = [asyncio.ensure_future(each) for each in (self._readiness(), self._liveness())]
        try:
            if self._startup is not None and (why := await self._starting(self._startup)) is not None:
                return f"Its startup probe failed too often: {why}"
            self._started.set()
            done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            return f"Its liveness probe failed too often: {done.pop().result()}"
        finally:
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _starting(self, probe: Probe) -> str | None:
        """None once the probe succeeds; why it did not, when it has had its time."""
        await self._delay(probe)
        end = self._monotonic() + probe.period * probe.failure_threshold
        while (why := await probing.ask(probe, self._launch)) is not None:
            if self._monotonic() >= end:
                return why
            await self._pause()
        return None

    async def _readiness(self) -> None:
        await self._started.wait()
        await self._delay(self._ready)
        while True:
            await self._until_ready()
            await self._until_not()

    async def _until_ready(self) -> None:
        probe, succeeded = self._ready, 0
        while True:
            asked = self._monotonic()
            self._nudged.clear()
            why = await probing.ask(probe, self._launch)
            succeeded = succeeded + 1 if why is None else 0
            self._verdict(succeeded >= probe.success_threshold, why or "")
            if succeeded >= probe.success_threshold:
                return
            if succeeded:
                await asyncio.sleep(probe.period)
                continue
            await self._pause()
            await asyncio.sleep(max(0.0, asked + _AT_LEAST - self._monotonic()))

    async def _until_not(self) -> None:
        failed = 0
        while failed < self._ready.failure_threshold:
            await asyncio.sleep(self._ready.period)
            why = await probing.ask(self._ready, self._launch)
            failed = 0 if why is None else failed + 1
            if why is not None and failed >= self._ready.failure_threshold:
                self._verdict(False, why)

    async def _liveness(self) -> str:
        probe = self._alive
        await self._started.wait()
        if probe is None:
            never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            return await never
        await self._delay(probe)
        failed, why = 0, None
        while failed < probe.failure_threshold:
            await asyncio.sleep(probe.period)
            why = await probing.ask(probe, self._launch)
            failed = 0 if why is None else failed + 1
        return why or ""

    async def _delay(self, probe: Probe) -> None:
        await asyncio.sleep(max(0.0, self._began + probe.initial_delay - self._monotonic()))

    async def _pause(self) -> None:
        """Wait a little, longer the longer it takes; less when the process writes something."""
        pause = min(_LONGEST, max(_SHORTEST, (self._monotonic() - self._began) / _SHARE))
        # `asyncio.wait_for` loses a cancellation that comes in the same turn as what it waits for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._nudged.wait()
