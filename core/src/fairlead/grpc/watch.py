"""``Watch`` of the health service: a client hears at once what ``Check`` would answer, and again whenever that changes.

See https://github.com/grpc/grpc/blob/master/doc/health-checking.md. Most clients that watch do so as long as they live,
so no thread is kept for them: one task looks at what is watched, and ends with the last watcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Watch"]

_LOOK: Final = 0.1
_MOST: Final = 1000
_THREADS: Final = 4
"""A client that does not read what it is sent has one of them; nothing but other watchers waits for it."""

Response = health_pb2.HealthCheckResponse


class Watch:
    """Tells clients how a server and its models are.

    Args:
        check: what ``Check`` answers about a service: its name to a status, `health_pb2.HealthCheckResponse.SERVING` or
            another.
        loop: the event loop on which it is asked.
    """

    # How grpcio calls a method that sends when it likes: in this pool, with a callback that sends.
    experimental_non_blocking: Final = True

    def __init__(self, check: Callable[[str], Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> None:
        self._check = check
        self._loop = loop
        self.experimental_thread_pool: Final = ThreadPoolExecutor(_THREADS, "grpc-watch")
        self._watchers: set[_Watcher] = set()
        self._looking: asyncio.Task[None] | None = None

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """What to register with a server."""
        return grpc.unary_stream_rpc_method_handler(
            self,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=Response.SerializeToString,
        )

    def __call__(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Any], None],
    ) -> None:
        """Take a call; grpcio calls this in a thread of the pool."""
        if len(self._watchers) >= _MOST:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MOST} clients watch already. Use Check.")
        watcher = _Watcher(request.service, send_response_callback)
        if context.add_callback(lambda: self._on_loop(self._forget(watcher))):
            self._on_loop(self._add(watcher))

    async def end(self) -> None:
        """End all calls: the server stops."""
        watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            watcher.ends = True
            self._tell(watcher, Response.NOT_SERVING)

    def close(self) -> None:
        """Let the threads end."""
        self.experimental_thread_pool.shutdown(wait=False)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # it has ended, and nobody is told anything any more
            work.close()

    async def _add(self, watcher: _Watcher) -> None:
        self._watchers.add(watcher)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _forget(self, watcher: _Watcher) -> None:
        self._watchers.discard(watcher)

    async def _look(self) -> None:
        while self._watchers:
            for service in {watcher.service for watcher in self._watchers}:
                status = await self._check(service)
                for watcher in self._watchers:
                    if watcher.service == service and watcher.status != status:
                        self._tell(watcher, status)
            await asyncio.sleep(_LOOK)

    def _tell(self, watcher: _Watcher, status: Any) -> None:
        watcher.status = status
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            self.experimental_thread_pool.submit(watcher.tell)


class _Watcher:
    """One client that watches one service.

    Attributes:
        service: what it watches.
        status: what it is to know.
        ends: whether that is the last that it hears.
    """

    def __init__(self, service: str, send: Callable[[Any], None]) -> None:
        self.service: Final = service
        self.status: Any = None
        self.ends = False
        self._send = send
        self._told: Any = None
        self._lock = threading.Lock()

    def tell(self) -> None:
        """Send what has not been sent; what has changed since it was asked to is left out."""
        with self._lock:
            status = self.status
            if self._told != status:
                self._told = status
                self._send(Response(status=status))
            if self.ends:
                self._send(None)
