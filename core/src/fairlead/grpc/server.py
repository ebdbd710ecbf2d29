"""The gRPC server of an engine: its port, its threads, its limits, and its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import resource
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from fairlead import errors, sockets
from fairlead.grpc import direct, waiting
from fairlead.grpc.calls import Limit, Method
from fairlead.grpc.control import HEALTH, Control
from fairlead.grpc.credentials import credentials_of
from fairlead.grpc.inference import PATH, Inference
from fairlead.grpc.reflection import Reflection
from fairlead.grpc.watch import Watch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fairlead.engine.engine import Engine
    from fairlead.settings import ServerSettings

__all__ = ["GrpcServer"]

_CONTROL_THREADS: Final = 2
_IDLE: Final = 300.0
_STREAMS: Final = 1024
_MANY: Final = 2**20

_QUIET: Final = 1.0
_LOOK: Final = 0.02


class GrpcServer:
    """Serves an engine over gRPC.

    Args:
        engine: what it serves.
        port: the port, in place of the setting's.
        share_port: whether other processes listen on the same port; the system spreads connections over them.
        listening: called when the port is open and calls are answered.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        port: int | None = None,
        share_port: bool = False,
        listening: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        settings = engine.settings
        self._is_direct = direct.works()
        self._pool = concurrent.futures.ThreadPoolExecutor(settings.max_threads, "grpc-inference")
        self._control_pool = concurrent.futures.ThreadPoolExecutor(_CONTROL_THREADS, "grpc-control")
        self._repository_pool = concurrent.futures.ThreadPoolExecutor(_CONTROL_THREADS, "grpc-repository")
        self._server = grpc.server(self._pool, options=_options(settings, share_port=share_port))
        self._host = settings.host
        self._port = settings.grpc_port if port is None else port
        self._share_port = share_port
        self._listening = listening
        self._inference: Inference | None = None
        self._is_open = self._is_started = self._hurries = False

    @property
    def port(self) -> int:
        """The port; where the system is to choose one, it has when `listen` returns."""
        return self._port

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{_bracketed(self._host)}:{self.port}"

    def listen(self) -> None:
        """Open the port; clients that connect wait until the server starts.

        Raises:
            ConfigurationError: the port cannot be listened on, or a file of the TLS settings is wrong.
        """
        self._port = self._bind(self._port)
        self._is_open = True

    def start(self) -> None:
        """Begin to answer; called on the engine's loop.

        Raises:
            ConfigurationError: as `listen`, where that has not been called.
        """
        if not self._is_open:
            self.listen()
        for method in self._methods(asyncio.get_running_loop()):
            self._server.add_generic_rpc_handlers((_one(method.path, self._handler_of(method)),))
        self._server.add_generic_rpc_handlers((Reflection(), _one(f"/{HEALTH}/Watch", self._watch.handler())))
        self._server.start()
        self._is_started = True
        if self._listening is not None:
            self._listening()

    async def drain(self, patience: float) -> None:
        """Accept no more, and wait until the calls that there are have been answered.

        Args:
            patience: seconds to wait; then they are cancelled.
        """
        if self._is_started:
            loop = asyncio.get_running_loop()
            end = loop.time() + patience
            await self._part(end)
            await self._watch.end()
            if not self._hurries:
                ended: threading.Event = self._server.stop(max(0.0, end - loop.time()))
                await asyncio.to_thread(ended.wait)
        self._close()

    def end(self) -> None:
        """Cancel all calls, without waiting for anything."""
        self._hurries = True
        self._server.stop(0)

    async def _part(self, end: float) -> None:
        """Stop to listen, and wait until the clients have left, or ask nothing.

        grpcio cancels what a client sends in the moment in which the server stops. A connection that has reached its
        age ends without a loss.
        """
        loop = asyncio.get_running_loop()
        sockets.let_nobody_in_at(self._port)
        await asyncio.sleep(sockets.MOMENT)
        sockets.close(self._port)
        while not self._hurries and loop.time() < end and self._is_asked() and sockets.connections(self._port):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(_LOOK)

    def _is_asked(self) -> bool:
        return self._inference is not None and time.monotonic() - self._inference.asked_at < _QUIET

    def _close(self) -> None:
        for pool in (self._pool, self._control_pool, self._repository_pool):
            pool.shutdown(wait=False)
        if self._is_started:
            self._watch.close()

    def _methods(self, loop: asyncio.AbstractEventLoop) -> list[Method]:
        inference = self._inference = Inference(self._engine, self._pool, loop)
        limit = Limit(self._engine.settings.grpc_max_concurrent_calls)
        methods = [Method(PATH, inference.infer, self._pool, limit)]
        control = Control(self._engine, loop)
        self._watch = Watch(control.health, loop)
        for path, handler in control.handlers().items():
            pool = self._repository_pool if path.endswith("load") else self._control_pool
            methods.append(Method(path, handler, pool))
        return methods

    def _handler_of(self, method: Method) -> grpc.RpcMethodHandler[bytes, bytes]:
        if self._is_direct:
            return direct.handler_of(method, self._engine.settings.body_timeout)
        return waiting.handler_of(method)

    def _bind(self, port: int) -> int:
        credentials = credentials_of(self._engine.settings)
        if port and not self._share_port:
            _try(self._host, port)
        address = f"{_bracketed(self._host)}:{port}"
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise errors.ConfigurationError(
                f"Cannot listen on {address} for gRPC.", remedy="Choose another port with --grpc-port."
            ) from error


def _one(path: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.GenericRpcHandler:
    service, _, name = path[1:].partition("/")
    return grpc.method_handlers_generic_handler(service, {name: handler})


def _options(settings: ServerSettings, *, share_port: bool) -> list[tuple[str, Any]]:
    """The channel arguments; https://grpc.github.io/grpc/core/group__grpc__arg__keys.html names them."""
    milliseconds = 1000
    age = settings.grpc_max_connection_age
    aging = [("grpc.max_connection_age_ms", int(age * milliseconds))] if age else []
    return [
        *aging,
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.max_receive_message_length", settings.grpc_max_receive_message_length),
        ("grpc.max_send_message_length", -1),  # an answer is measured before it is sent, so that the error says it
        ("grpc.max_concurrent_streams", _STREAMS),
        ("grpc.max_allowed_incoming_connections", _connections()),
        ("grpc.max_connection_idle_ms", int(_IDLE * milliseconds)),
        ("grpc.server_handshake_timeout_ms", int((settings.header_timeout or 120.0) * milliseconds)),
        # Asks connections that are silent whether they still are there; tolerates clients that ask as often.
        ("grpc.keepalive_time_ms", 60 * milliseconds),
        ("grpc.keepalive_timeout_ms", 20 * milliseconds),
        ("grpc.http2.min_ping_interval_without_data_ms", 10 * milliseconds),
    ]


def _connections() -> int:
    """How many there may be: each is a file, and half of those that may be open are for REST, probes and models."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if most == resource.RLIM_INFINITY else min(most // 2, _MANY)


def _try(host: str, port: int) -> None:
    """Open the port for a moment: grpcio does not tell why it cannot.

    Raises:
        ConfigurationError: it cannot be opened, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(1)
        except OSError as error:
            raise errors.ConfigurationError(
                f"Cannot listen on {_bracketed(host)}:{port} for gRPC: {error.strerror or error}.",
                remedy="Choose another port with --grpc-port (0 lets the system choose), "
                "or serve REST alone with --enable-grpc false.",
            ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
