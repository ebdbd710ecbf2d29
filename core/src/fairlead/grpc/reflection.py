"""Server reflection, so that clients like grpcurl need no proto file; made when a client first asks for it."""

from __future__ import annotations

import concurrent.futures
import functools
from typing import Any, Final

import grpc

from fairlead.grpc.control import HEALTH
from fairlead.protocol._pb import messages

__all__ = ["Reflection"]

_SERVICE: Final = "grpc.reflection.v1alpha.ServerReflection"
_METHODS: Final = tuple(
    f"/{service}/ServerReflectionInfo" for service in (_SERVICE, "grpc.reflection.v1.ServerReflection")
)
"""Both versions have the same messages; newer clients ask for the second one first."""

_THREADS: Final = 2
"""A client that holds a reflection call open has one of them, and nothing else waits for it."""


class Reflection(grpc.GenericRpcHandler):
    """The reflection service of a server."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """What answers a call, when it is one for this service."""
        return self._handler if handler_call_details.method in _METHODS else None

    @functools.cached_property
    def _handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        from google.protobuf import descriptor_pool
        from grpc_health.v1 import health_pb2
        from grpc_reflection.v1alpha import reflection, reflection_pb2

        pool = descriptor_pool.DescriptorPool()
        for file in (messages.FILE, health_pb2.DESCRIPTOR.serialized_pb, reflection_pb2.DESCRIPTOR.serialized_pb):
            pool.AddSerializedFile(file)
        servicer = reflection.ReflectionServicer((messages.SERVICE, HEALTH, _SERVICE), pool=pool)
        behaviour = functools.partial(servicer.ServerReflectionInfo)
        behaviour.experimental_thread_pool = concurrent.futures.ThreadPoolExecutor(  # type: ignore[attr-defined]  # grpcio looks for it
            _THREADS, "grpc-reflection"
        )
        return grpc.stream_stream_rpc_method_handler(
            behaviour,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
