"""All components that strategies scale in process, each in a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from fairlead_operator.scaling.loop import Loop

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Problem
    from fairlead_operator.scaling.reach import Reach, Subject, Tell

__all__ = ["Loops"]


class Loops:
    """Runs a loop for each component that it is told of.

    Only the operator that leads runs it: two would scale against each other. What is told before it runs, or while it
    does not, is kept.

    Args:
        reach: the cluster.
        clock: seconds of Unix time.
        tell: takes what is to be told.
        pause: waits for so many seconds.
    """

    def __init__(
        self,
        reach: Reach,
        clock: Callable[[], float],
        tell: Tell,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reach, self._clock, self._tell, self._pause = reach, clock, tell, pause
        self._loops: dict[tuple[str, str], dict[str, Loop]] = {}
        self._tasks: dict[Loop, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def follow(self, namespace: str, service: str, subjects: Iterable[Subject]) -> None:
        """Scale these components of a service from now on, and no others of it.

        Args:
            namespace: its namespace.
            service: the name of the InferenceService.
            subjects: its components that strategies scale in process; none where the service is gone.
        """
        before = self._loops.pop((namespace, service), {})
        now: dict[str, Loop] = {}
        for subject in subjects:
            known = before.pop(subject.name, None)
            if known is not None:
                known.renew(subject)
            now[subject.name] = known or Loop(subject, self._reach, self._clock, self._tell)
            self._start(now[subject.name])
        if now:
            self._loops[namespace, service] = now
        for each in before.values():
            if (task := self._tasks.pop(each, None)) is not None:
                task.cancel()

    def problems(self, namespace: str, service: str) -> tuple[Problem, ...]:
        """What is wrong with the scaling of a service's components."""
        found = self._loops.get((namespace, service), {}).values()
        return tuple(each.problem for each in found if each.problem is not None)

    async def run(self) -> None:
        """Scale until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for loops in self._loops.values():
                    for each in loops.values():
                        self._start(each)
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._tasks.clear()

    def _start(self, loop: Loop) -> None:
        if self._group is not None and loop not in self._tasks:
            self._tasks[loop] = self._group.create_task(self._rounds(loop), name="scaling")

    async def _rounds(self, loop: Loop) -> None:
        while True:
            await loop.round()
            await self._pause(loop.period)
