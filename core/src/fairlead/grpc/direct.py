"""Calls through the inside of grpcio, which has no public way to answer a call from any thread.

A method's pool takes over where grpcio would occupy one of its threads (``grpc._server._unary_response_in_pool``): it
asks for the message, hands it to a thread when it has come, and later sends answer and status in one batch, as grpcio
does itself. Nothing of it blocks: not a client that sends no message, not one that does not read its answer.

grpcio's inside may change. `works` compares what is used here with what is installed, and where they differ the
server goes the public way, `fairlead.grpc.waiting`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import importlib
import inspect
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from fairlead import errors
from fairlead.grpc.calls import Call, Method, perform
from fairlead.grpc.errors import Failure, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fairlead.grpc.metadata import Metadata

__all__ = ["handler_of", "works"]

_log = logging.getLogger("fairlead.requests")

_USED: Final[Mapping[str, tuple[str, ...]]] = {
    "_unary_response_in_pool": (
        *("rpc_event", "state", "behavior", "argument_thunk"),
        *("request_deserializer", "response_serializer"),
    ),
    "_receive_message": ("state", "call", "request_deserializer"),
    "_status": ("rpc_event", "state", "serialized_response"),
    "_Context": ("rpc_event", "state", "request_deserializer"),
}
"""The functions that are used here or taken over, with their parameters."""

_SMALL: Final = 64 * 1024
"""Bytes of a message that is decoded in microseconds, and of an answer that may wait for its reader."""

_OBSERVED: Final = 8
_PERIOD: Final = 128
"""Of so many calls that come one at a time, so many are answered in other threads, to see whether they still do."""

_LONGEST: Final = 10.0**9
"""Seconds: further away is only what grpcio says where there is no deadline."""


def works() -> bool:
    """Whether the grpcio that is installed is inside as this module has it."""
    try:
        inside = importlib.import_module("grpc._server")
        cython = importlib.import_module("grpc._cython.cygrpc")
        return (
            all(tuple(inspect.signature(getattr(inside, name)).parameters) == names for name, names in _USED.items())
            and hasattr(inside, "_RECEIVE_MESSAGE_TOKEN")
            and hasattr(inside, "_CLOSED")
            and hasattr(cython, "ReceiveMessageOperation")
        )
    except (ImportError, AttributeError, ValueError):
        return False


def handler_of(method: Method, patience: float) -> grpc.RpcMethodHandler[bytes, bytes]:
    """What to register with a server for this method.

    Args:
        method: the method.
        patience: seconds within which a call must have sent its message; 0 for any.
    """
    return grpc.unary_unary_rpc_method_handler(_Behaviour(method, patience))


class _Behaviour:
    """Stands where grpcio expects a handler's function, and brings the pool that grpcio is to call instead."""

    def __init__(self, method: Method, patience: float) -> None:
        self.experimental_thread_pool = _Door(method, patience)

    def __call__(self, body: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: ARG002  # what grpcio calls
        raise AssertionError("its pool answers the calls")


class _Door(concurrent.futures.ThreadPoolExecutor):
    """A pool without threads of its own, to which grpcio submits the calls of one method.

    All but the sending of answers happens in the one thread in which grpcio polls for events; it must not raise there.
    """

    def __init__(self, method: Method, patience: float) -> None:
        super().__init__(1)
        self._method = method
        self._patience = patience
        self._silent: dict[_Call, float] = {}
        self._unread: dict[_Call, float] = {}
        self._in_turn = 0
        self._inside: Any = importlib.import_module("grpc._server")
        self._receive_operation: Any = importlib.import_module("grpc._cython.cygrpc").ReceiveMessageOperation

    def submit(self, fn: object, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002  # what grpcio calls
        """Take a call: the arguments are those of ``_unary_response_in_pool``, after itself."""
        event, state = args[1], args[2]
        call = _Call(self._inside, event, state, self._watch)
        try:
            self._take(call, event, state)
        except Exception as error:  # noqa: BLE001  # the thread that polls must go on
            _log.exception("a gRPC call was not taken")
            call.fail(failure_of(error))

    def _take(self, call: _Call, event: Any, state: Any) -> None:
        limit = self._method.limit
        self._end_silent()
        self._end_unread()
        if limit is not None:
            if not limit.enter():
                reason = f"{limit.most} calls are in flight. Try again later."
                call.fail(failure_of(errors.Overloaded(reason)))
                return
            call.on_end(limit.leave)
        if self._patience:
            self._silent[call] = time.monotonic() + self._patience
        receive = self._inside._receive_message(state, event.call, None)

        def received(batch: object) -> Any:
            ended = receive(batch)
            self._begin(call, state)
            return ended

        event.call.start_server_batch((self._receive_operation(0),), received)
        state.due.add(self._inside._RECEIVE_MESSAGE_TOKEN)

    def _begin(self, call: _Call, state: Any) -> None:
        self._silent.pop(call, None)
        body, state.request = state.request, None
        if body is None:  # a client that has gone hears nothing of it
            call.fail(Failure(grpc.StatusCode.INVALID_ARGUMENT, "The call has no message."))
            return
        if self._is_alone() and len(body) <= _SMALL:
            # To wake another thread takes as long as to compute a small answer.
            perform(self._method.handler, body, call)
            return
        try:
            self._method.pool.submit(perform, self._method.handler, body, call)
        except RuntimeError:  # the pool has been shut down
            call.fail(Failure(grpc.StatusCode.UNAVAILABLE, "The server has stopped."))

    def _is_alone(self) -> bool:
        """Whether calls come one at a time, so that nobody waits for this thread while it answers one.

        What it answers itself it cannot compare with others, which wait where they are not seen. So now and then some
        calls go to other threads, and if they overlap all go there: calls that overlap are computed together.
        """
        limit = self._method.limit
        if limit is None or limit.count > 1:
            self._in_turn = 0
            return False
        self._in_turn += 1
        return self._in_turn % _PERIOD > _OBSERVED

    def _end_silent(self) -> None:
        """End the calls that have sent no message in time; enough to look when another wants to have their place."""
        now = time.monotonic()
        while self._silent:
            call, until = next(iter(self._silent.items()))
            if until > now:
                return
            del self._silent[call]
            call.fail(failure_of(errors.DeadlineExceeded(f"No message came within {self._patience:g} seconds.")))

    def _watch(self, call: _Call) -> None:
        """See that an answer is read: until then it is kept, by grpcio as well."""
        if self._patience:
            self._unread[call] = time.monotonic() + self._patience
            call.on_end(functools.partial(self._forget, call))

    def _forget(self, call: _Call) -> None:
        self._unread.pop(call, None)

    def _end_unread(self) -> None:
        """Cut off the clients that have not read their answer in the time that they have for a message of theirs."""
        if self._unread:
            now = time.monotonic()
            for call, until in list(self._unread.items()):  # other threads add to it
                if until > now:
                    return
                self._forget(call)
                call.cut_off()


class _Call(Call):
    """A call that any thread may answer."""

    def __init__(self, inside: Any, event: Any, state: Any, watch: Callable[[_Call], None]) -> None:
        self._inside = inside
        self._event = event
        self._state = state
        self._context = inside._Context(event, state, None)
        self._answered = False
        self._watch = watch

    @property
    def metadata(self) -> Metadata:
        found: Metadata = self._event.invocation_metadata
        return found

    def remaining(self) -> float | None:
        seconds: float = self._event.call_details.deadline - time.time()
        return None if seconds > _LONGEST else seconds

    def on_end(self, callback: Callable[[], None]) -> None:
        if not self._context.add_callback(callback):
            callback()

    def answer(self, body: bytes, *, leading: Metadata = (), trailing: Metadata = ()) -> None:
        with self._state.condition:
            if self._answered:
                return
            self._answered = True
            if leading:
                try:
                    self._context.send_initial_metadata(leading)
                except grpc.RpcError:
                    return  # the client has gone
            self._state.trailing_metadata = trailing
            self._inside._status(self._event, self._state, body)
            if len(body) > _SMALL:
                self._watch(self)

    def fail(self, failure: Failure, trailing: Metadata = ()) -> None:
        with self._state.condition:
            if self._answered:
                return
            self._answered = True
            self._state.code = failure.code
            self._state.details = failure.details.encode()
            self._state.trailing_metadata = (*failure.metadata, *trailing)
            self._inside._status(self._event, self._state, None)

    def cut_off(self) -> None:
        """End the call, whatever of its answer has not been sent."""
        self._context.cancel()
