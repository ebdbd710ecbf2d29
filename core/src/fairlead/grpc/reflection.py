"""Server reflection, so that clients like grpcurl need no proto file."""

from __future__ import annotations

import concurrent.futures
import functools
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from fairlead.grpc.control import HEALTH
from fairlead.protocol._pb import messages

__all__ = ["handlers"]

_NAMES: Final = (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection")
"""Both versions have the same messages; newer clients ask for the second one first."""

_THREADS: Final = 2
"""A client that holds a reflection call open has one of them, and nothing else waits for it."""


def handlers() -> grpc.GenericRpcHandler:
    """What to register with a server."""
    pool = descriptor_pool.DescriptorPool()
    for file in (messages.FILE, health_pb2.DESCRIPTOR.serialized_pb, reflection_pb2.DESCRIPTOR.serialized_pb):
        pool.AddSerializedFile(file)
    servicer = reflection.ReflectionServicer((messages.SERVICE, HEALTH, reflection.SERVICE_NAME), pool=pool)
    behaviour = functools.partial(servicer.ServerReflectionInfo)
    behaviour.experimental_thread_pool = concurrent.futures.ThreadPoolExecutor(  # type: ignore[attr-defined]  # grpcio looks for it
        _THREADS, "grpc-reflection"
    )
    handler = grpc.stream_stream_rpc_method_handler(
        behaviour,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return _Handlers({f"/{name}/ServerReflectionInfo": handler for name in _NAMES})


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)
