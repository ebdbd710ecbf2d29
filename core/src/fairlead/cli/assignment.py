"""What a supervisor hands to a worker: one variable of its environment, and the descriptors that it names."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final, Self

__all__ = ["Assignment", "join"]

_VARIABLE: Final = "_FAIRLEAD_ASSIGNMENT"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The place of one worker among several.

    Attributes:
        slot: its number; a worker that replaces another takes over its number.
        folder: the folder of the metrics that all workers share.
        membership: a descriptor of that folder; see `join`.
        listener: the descriptor of the socket that all workers accept connections from.
        channel: the descriptor of a socket whose other end the supervisor has, as long as it lives.
        grpc_port: the port on which every worker opens a gRPC listener of its own, with SO_REUSEPORT; None for none.
        grpc_turn: how many such listeners there are already; None while no worker retires, so that it does not matter.
        share: whether this process may load the models for others as well, and be their template.
    """

    slot: int
    folder: str
    membership: int
    listener: int
    channel: int
    grpc_port: int | None = None
    grpc_turn: int | None = None
    share: bool = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the worker must inherit."""
        return self.membership, self.listener, self.channel

    def environ(self) -> Mapping[str, str]:
        """The variable that makes a process a worker."""
        return {_VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Self | None:
        """This process's assignment, hidden from its own children from now on; None unless it is a worker."""
        text = environ.pop(_VARIABLE, None)
        if text is None:
            return None
        assignment = cls(**json.loads(text))
        for descriptor in assignment.descriptors:
            os.set_inheritable(descriptor, False)
        return assignment

    def forked(self, slot: int, membership: int, listener: int, channel: int, grpc_turn: int | None) -> Self:
        """The assignment of a process that this one forks."""
        return dataclasses.replace(
            self,
            slot=slot,
            membership=membership,
            listener=listener,
            channel=channel,
            grpc_turn=grpc_turn,
            share=False,
        )

    def leave(self) -> None:
        """Give up the membership, and remove the folder if supervisor and workers have all gone."""
        try:
            fcntl.flock(self.membership, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            os.close(self.membership)


def join(folder: str | Path) -> int:
    """A descriptor that holds a shared lock on a folder: as long as it is open, its holder is a member.

    The supervisor removes the folder. When it was killed, the last member to leave does.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor
