"""Asking a gRPC server: raw calls with hand-made messages, and what came back beside the answer."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.testing import RunningServer

__all__ = ["INFER", "Refusal", "ask", "body", "call", "channel_to", "code_of", "infer", "open_gate", "refused"]

SERVICE = "/inference.GRPCInferenceService"
INFER = f"{SERVICE}/ModelInfer"
PATIENCE = 30.0


@contextlib.contextmanager
def channel_to(server: RunningServer | str, **options: Any) -> Iterator[grpc.Channel]:
    """A connection of its own to a server."""
    address = server if isinstance(server, str) else server.grpc_address
    assert address is not None
    chosen = [("grpc.use_local_subchannel_pool", 1), *((f"grpc.{name}", value) for name, value in options.items())]
    with grpc.insecure_channel(address, options=chosen) as channel:
        yield channel


def body(model: str = "model", array: Any = None, **fields: Any) -> bytes:
    """A request of one raw input."""
    array = np.array([[1.0, 2.0]], np.float32) if array is None else array
    made = messages.ModelInferRequest(model_name=model, **fields)
    kinds = {"f4": "FP32", "f8": "FP64", "i8": "INT64", "u1": "UINT8"}
    made.inputs.add(name="x", datatype=kinds[array.dtype.str[1:]], shape=array.shape)
    made.raw_input_contents.append(array.tobytes())
    return made.SerializeToString()


def call(channel: grpc.Channel, path: str) -> Any:
    """A method that takes bytes and returns bytes."""
    return channel.unary_unary(path)


def ask(channel: grpc.Channel, name: str, request: Any, response: Any, **options: Any) -> Any:
    """Call a method of the service with a message; returns a message."""
    asked = channel.unary_unary(
        f"{SERVICE}/{name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=response.FromString,
    )
    return asked(request, timeout=PATIENCE, **options)


def infer(channel: grpc.Channel, request: bytes, **options: Any) -> Any:
    """Ask a model; returns the answer's message."""
    options.setdefault("timeout", PATIENCE)
    return messages.ModelInferResponse.FromString(call(channel, INFER)(request, **options))


@dataclasses.dataclass
class Refusal:
    """How a call failed."""

    code: grpc.StatusCode
    details: str
    trailing: dict[str, Any]


def refused(channel: grpc.Channel, request: bytes, path: str = INFER, **options: Any) -> Refusal:
    """Make a call that fails."""
    options.setdefault("timeout", PATIENCE)
    try:
        call(channel, path)(request, **options)
    except grpc.RpcError as error:
        failed: Any = error  # it is the call as well, which the types do not say
        trailing: Sequence[Any] = failed.trailing_metadata() or ()
        return Refusal(failed.code(), failed.details() or "", {each.key: each.value for each in trailing})
    raise AssertionError("the call did not fail")


def code_of(error: BaseException) -> grpc.StatusCode:
    """The code of a call that failed: the exception is the call as well, which the types do not say."""
    failed: Any = error
    found: grpc.StatusCode = failed.code()
    return found


def open_gate(gate: Path) -> None:
    """Let a gated model go on that waits at its gate, and wait no more; see `models.GATED`."""
    with gate.open("w") as opened:  # this waits until the model has come there
        gate.unlink()
        opened.write("go")
