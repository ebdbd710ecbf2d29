"""The supervisor's view of a template: a process that has loaded the models, answers nothing, and forks workers.

The protocol is one line each way over the template's channel. ``{"fork": slot, "grpc_turn": n}`` comes with the
descriptors of the new worker's channel and of the listening socket, and is answered with its process's number.
``{"reap": number}`` is answered with the exit status of that process; until then it stays a zombie, so that the system
gives its number to no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING

from fairlead.cli.process import Channel, Forked, how_it_ended

if TYPE_CHECKING:
    from fairlead.cli.crew import Crew
    from fairlead.cli.process import Process

__all__ = ["Template"]


class Template:
    """A process that forks workers.

    Args:
        crew: where it is counted in, and its workers are.
        process: the process.
    """

    def __init__(self, crew: Crew, process: Process) -> None:
        self._crew = crew
        self._process = process
        self._asking = asyncio.Lock()
        process.name = "the template of the workers"
        process.forks = True

    def __str__(self) -> str:
        return f"{self._process} {how_it_ended(self._process.ended.result())}"

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.ended.done()

    async def fork(self, name: str, grpc_turn: int | None) -> Process | None:
        """A new worker; None when the template has ended.

        Args:
            name: what the worker is called in the log.
            grpc_turn: see `fairlead.cli.assignment.Assignment`.
        """
        slot = self._crew.slot()
        channel = Channel()
        descriptors = (channel.theirs.fileno(), self._crew.post.listener.fileno())
        pid = await self._ask({"fork": slot, "grpc_turn": grpc_turn}, *descriptors)
        channel.theirs.close()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # both have ended since
                worker = Forked(name, channel, pid, self._reap)
                self._crew.enter(worker, slot)
                return worker
        channel.close()
        self._crew.free(slot)
        return None

    async def end(self) -> None:
        """Let it end: its workers have ended."""
        self._process.channel.close()
        await self._process.wait()

    async def _reap(self, pid: int) -> int | None:
        status = await self._ask({"reap": pid})
        if status is None:
            # Orphans of a template are children of the first process, which in a container is this one.
            with contextlib.suppress(ChildProcessError):
                found, waited = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222  # it does not wait
                status = os.waitstatus_to_exitcode(waited) if found else None
        return status

    async def _ask(self, question: dict[str, int | None], *descriptors: int) -> int | None:
        async with self._asking:
            self._process.channel.tell(json.dumps(question), *descriptors)
            answer: int | None = await self._process.said()
            return answer
