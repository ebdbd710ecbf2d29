"""Calls as handlers see them: a message that has come, and an answer that may be given later and from any thread.

grpcio's own way is that a handler's thread waits for the message, calls the handler, and sends what it returns. Then
a client that opens calls and sends nothing has all the threads, and four threads never have more than four requests
in a model's queue. Here a thread is used only while it computes. `fairlead.grpc.waiting` does it with what grpcio
promises; `fairlead.grpc.direct` with what it does.
"""

from __future__ import annotations

import abc
import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from grpc import StatusCode

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from fairlead.grpc.errors import Failure
    from fairlead.grpc.metadata import Metadata

__all__ = ["Call", "Handler", "Limit", "Method", "perform"]

_log = logging.getLogger("fairlead.requests")


class Call(abc.ABC):
    """One call with one message in and one out."""

    @property
    @abc.abstractmethod
    def metadata(self) -> Metadata:
        """What the client sent beside the message; values of ``-bin`` keys are ``bytes``."""

    @abc.abstractmethod
    def remaining(self) -> float | None:
        """Seconds until the client's deadline; None when it has none."""

    @abc.abstractmethod
    def on_end(self, callback: Callable[[], None]) -> None:
        """Call this when the call has ended, however it did; at once when it has already."""

    @abc.abstractmethod
    def answer(self, body: bytes, *, leading: Metadata = (), trailing: Metadata = ()) -> None:
        """Send the answer; nothing happens when the call has ended."""

    @abc.abstractmethod
    def fail(self, failure: Failure, trailing: Metadata = ()) -> None:
        """End the call with an error; nothing happens when it has ended."""


Handler: TypeAlias = Callable[[bytes, Call], None]
"""Answers a call, now or later. It never waits for a model."""


class Limit:
    """Counts calls that have begun and not ended, up to a maximum.

    Args:
        most: the maximum; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self.most: Final = most
        self._count = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count

    def enter(self) -> bool:
        """Count one more; False when there are as many as may be."""
        with self._lock:
            if self.most and self._count >= self.most:
                return False
            self._count += 1
            return True

    def leave(self) -> None:
        """Count one less."""
        with self._lock:
            self._count -= 1


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """How one method of a service is answered.

    Attributes:
        path: its full name on the wire, ``/package.Service/Method``.
        handler: what answers.
        pool: the threads that it is answered in.
        limit: how many calls of it there may be at a time; None for any number.
    """

    path: str
    handler: Handler
    pool: ThreadPoolExecutor
    limit: Limit | None = None


def perform(handler: Handler, body: bytes, call: Call) -> None:
    """Let a handler answer, whatever it raises."""
    from fairlead.grpc.errors import failure_of

    try:
        handler(body, call)
    except BaseException as error:  # noqa: BLE001  # every failure is an answer; the server goes on
        failure = failure_of(error)
        if failure.code is StatusCode.INTERNAL:
            _log.exception("a gRPC call failed")
        call.fail(failure)
