"""Every process that a supervisor has started and that lives, and the numbers under which they keep their metrics."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead.cli.process import Spawned

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from fairlead.cli.process import Process

__all__ = ["Crew", "Post"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What all workers of a server have in common.

    Attributes:
        listener: the socket that they accept connections from.
        folder: the folder of their metrics.
        grpc_port: the port of their gRPC listeners; None for none.
    """

    listener: socket.socket
    folder: Path
    grpc_port: int | None


class Crew:
    """The processes that live.

    A number is given again when its process has ended, so that there are never more of them than processes at one
    time. Who takes a number over goes on counting where the one before stopped.

    Args:
        post: what they have in common.
    """

    def __init__(self, post: Post) -> None:
        self.post = post
        self._processes: set[Process] = set()
        self._slots: set[int] = set()
        self._forks: set[asyncio.Future[Any]] = set()

    def __iter__(self) -> Iterator[Process]:
        return iter(tuple(self._processes))

    @property
    def accepting(self) -> int:
        """How many workers are ready."""
        return sum(process.accepts for process in self._processes)

    def slot(self) -> int:
        """The smallest number that no process has; it is taken from now on."""
        slot = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
        self._slots.add(slot)
        return slot

    def free(self, slot: int) -> None:
        """Give a number back: its process has ended."""
        from fairlead.engine.metrics import Share  # only where it is needed: a supervisor stays small

        Share(self.post.folder, slot).forget()
        self._slots.discard(slot)

    def enter(self, process: Process, slot: int | None = None) -> None:
        """Count a process in until it has ended.

        Args:
            process: the process.
            slot: the number that it has; given back when it ends.
        """
        self._processes.add(process)
        process.ended.add_done_callback(functools.partial(self._leave, process, slot))

    async def finishing(self, fork: Coroutine[None, None, T]) -> T:
        """Do what is done to the end, even if nobody waits for it any more: no process is left that nobody knows."""
        task = asyncio.ensure_future(fork)
        self._forks.add(task)
        task.add_done_callback(self._forks.discard)
        return await asyncio.shield(task)

    async def settle(self, patience: float) -> None:
        """Wait for so many seconds until what is `finishing` is finished."""
        if self._forks:
            await asyncio.wait(self._forks, timeout=patience)

    def reap(self) -> None:
        """Notice which children have ended."""
        for process in self:
            if isinstance(process, Spawned):
                process.reap()

    def _leave(self, process: Process, slot: int | None, _: asyncio.Future[int | None]) -> None:
        self._processes.discard(process)
        process.channel.close()
        if slot is not None:
            self.free(slot)
