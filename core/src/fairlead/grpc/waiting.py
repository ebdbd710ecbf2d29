"""Calls through grpcio's public interface: a thread of the pool waits until its call is answered."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import TYPE_CHECKING, cast

import grpc

from fairlead import errors
from fairlead.grpc.calls import Call, Method, perform
from fairlead.grpc.errors import Failure, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.grpc.metadata import Metadata

__all__ = ["handler_of"]

_FOREVER = sys.maxsize / 1e9
"""Above every deadline that a client sets, and below what grpcio says where there is none."""


def handler_of(method: Method) -> grpc.RpcMethodHandler[bytes, bytes]:
    """What to register with a server for this method."""

    def behaviour(body: bytes, context: grpc.ServicerContext) -> bytes:
        call = _Call(context)
        if method.limit is not None and not method.limit.enter():
            call.fail(failure_of(errors.Overloaded(f"{method.limit.most} calls are in flight. Try again later.")))
        else:
            if method.limit is not None:
                call.on_end(method.limit.leave)
            perform(method.handler, body, call)
        return call.wait()

    behaviour.experimental_thread_pool = method.pool  # type: ignore[attr-defined]  # grpcio looks for it
    return grpc.unary_unary_rpc_method_handler(behaviour)


class _Call(Call):
    """A call whose thread waits for the outcome."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self._outcome: concurrent.futures.Future[tuple[bytes | Failure, Metadata]] = concurrent.futures.Future()
        self.on_end(self._give_up)

    @property
    def metadata(self) -> Metadata:
        return cast("Metadata", self._context.invocation_metadata())

    def remaining(self) -> float | None:
        seconds = self._context.time_remaining()
        return None if seconds > _FOREVER else seconds

    def on_end(self, callback: Callable[[], None]) -> None:
        if not self._context.add_callback(callback):
            callback()

    def _give_up(self) -> None:
        self._outcome.cancel()

    def answer(self, body: bytes, *, leading: Metadata = (), trailing: Metadata = ()) -> None:
        if self._outcome.set_running_or_notify_cancel():
            if leading:
                self._context.send_initial_metadata(leading)
            self._outcome.set_result((body, trailing))

    def fail(self, failure: Failure, trailing: Metadata = ()) -> None:
        if self._outcome.set_running_or_notify_cancel():
            self._outcome.set_result((failure, (*failure.metadata, *trailing)))

    def wait(self) -> bytes:
        """The answer, once there is one.

        Raises:
            Exception: the call failed; grpcio knows how.
        """
        try:
            outcome, trailing = self._outcome.result()
        except concurrent.futures.CancelledError:
            return b""  # to nobody
        self._context.set_trailing_metadata(trailing)
        if isinstance(outcome, Failure):
            self._context.abort(outcome.code, outcome.details)
        return outcome
