"""The workers of one start: each has loaded the models for itself, or a template has loaded them for all."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.cli.assignment import Assignment
from fairlead.cli.process import Spawned, how_it_ended
from fairlead.cli.template import Template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.cli.crew import Crew
    from fairlead.cli.process import Process

__all__ = ["Generation", "NotReady"]

_log = logging.getLogger("fairlead.server")


class NotReady(Exception):
    """A process ended before it was ready.

    Args:
        process: the process; a status above 0 says that it has told why.
    """

    def __init__(self, process: Process) -> None:
        super().__init__(f"{process} {how_it_ended(process.ended.result())} before it was ready")
        self.process = process
        self.status = process.ended.result()


class Generation:
    """Makes workers that serve what was there when the first of them was made.

    Args:
        crew: where they are counted in.
        share: whether a template may load the models for all.
    """

    def __init__(self, crew: Crew, share: bool) -> None:
        self._crew = crew
        self._share = share
        self._template: Template | None = None
        self._deciding = asyncio.Lock()

    async def start(self, name: str, grpc_turn: int | None = None) -> tuple[Process, Sequence[str]]:
        """A worker that is ready, and the names of its models.

        Args:
            name: what it is called in the log.
            grpc_turn: see `Assignment`.

        Raises:
            NotReady: it has ended before.
            FairleadError: the system starts no process.
        """
        try:
            worker, said = await self._begin(name, grpc_turn)
        except OSError as error:
            raise errors.FairleadError(f"{name[0].upper()}{name[1:]} cannot be started: {error}.") from error
        names: list[str] | None = await worker.said() if said is None else said
        if names is None:
            raise NotReady(worker)
        worker.accepts = True
        return worker, names

    async def end(self) -> None:
        """End the template; all workers have ended."""
        if self._template is not None:
            await self._template.end()

    async def _begin(self, name: str, grpc_turn: int | None) -> tuple[Process, list[str] | None]:
        """A process, and the names of its models if it is ready already."""
        while self._share:
            async with self._deciding:
                if self._template is None or self._template.ended:
                    if self._template is not None:
                        _log.warning("%s; another one is started", self._template)
                    candidate = self._spawn(name, grpc_turn, share=True)
                    said = await candidate.said()
                    if not isinstance(said, dict):
                        self._share = said is None  # it is a worker like any other, and has said why
                        return candidate, said
                    self._template = Template(self._crew, candidate)
                template = self._template
            worker = await self._crew.finishing(template.fork(name, grpc_turn))
            if worker is not None:
                return worker, None
        return self._spawn(name, grpc_turn, share=False), None

    def _spawn(self, name: str, grpc_turn: int | None, share: bool) -> Spawned:
        post = self._crew.post
        slot = self._crew.slot()

        def assignment(membership: int, channel: int) -> Assignment:
            return Assignment(
                slot=slot,
                folder=str(post.folder),
                membership=membership,
                listener=post.listener.fileno(),
                channel=channel,
                grpc_port=post.grpc_port,
                grpc_turn=grpc_turn,
                share=share,
            )

        try:
            process = Spawned(name, post.folder, assignment)
        except OSError:
            self._crew.free(slot)
            raise
        self._crew.enter(process, slot)
        return process
