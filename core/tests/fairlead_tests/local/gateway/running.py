"""A gateway with a real Envoy, and servers behind it, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer
from typing import Any, TypeVar

import grpc

from fairlead.local.gateway.envoy import Gateway
from fairlead.local.gateway.topology import Address, Backend, Route, Split, Topology

T = TypeVar("T")


class Running:
    """A gateway whose event loop runs in a thread."""

    def __init__(self, *, access_log: Path | None = None, port: int = 0) -> None:
        # The names of unix sockets are short, and pytest's folders are not.
        self.folder = Path(tempfile.mkdtemp(prefix="fl-gw-"))
        self.exits: list[int] = []
        self.exited = threading.Event()
        self.activator = self.folder / "activator.sock"
        self.gateway = Gateway(
            self.folder,
            host="127.0.0.1",
            port=port,
            activator=self.activator,
            access_log=access_log,
            on_exit=self._ended,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def _ended(self, code: int) -> None:
        self.exits.append(code)
        self.exited.set()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def apply(self, topology: Topology) -> tuple[str, ...]:
        return self.do(self.gateway.apply(topology))

    def close(self) -> None:
        try:
            self.do(self.gateway.stop(0.0))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            shutil.rmtree(self.folder)

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=timeout)

    def ask(
        self,
        path: str,
        *,
        host: str = "a.test",
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, {"host": host, **(headers or {})})
            return Answer(connection.getresponse())


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A server of HTTP/1.1 that says its name and what it was asked.

    ``/hold`` is answered after `go` was set; ``/break`` has the connection closed without an answer.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[str, str]] = []
        self.held = threading.Semaphore(0)
        self.go = threading.Event()
        self._server = _HTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self.address = Address("127.0.0.1", self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ends is no news here."""


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        while self.headers.get("transfer-encoding") and (chunk := int(self.rfile.readline(), 16)):
            size += chunk
            self.rfile.read(chunk + 2)
        if self.headers.get("transfer-encoding"):
            self.rfile.readline()
        else:
            remaining = size
            while remaining:
                remaining -= len(self.rfile.read(min(remaining, 1 << 20)))
        self.owner.asked.append((self.command, self.path))
        if self.path.startswith("/break"):
            self.close_connection = True
            return
        if self.path.startswith("/hold"):
            self.owner.held.release()
            self.owner.go.wait(30)
        said = {
            "name": self.owner.name,
            "path": self.path,
            "size": size,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # the name that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class has
        """No line for each request."""


class GrpcServer:
    """A server of gRPC that answers every unary call with its name."""

    def __init__(self, name: str) -> None:
        self.go = threading.Event()
        self.go.set()

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.go.wait(30)
            return name.encode()

        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        methods = {"ModelInfer": handler}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", methods),)
        )
        self.address = Address("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    def close(self) -> None:
        self.go.set()
        self._server.stop(None).wait()


def call(running: Running, host: str, *, timeout: float = 20.0) -> str:
    """Ask over gRPC, as a client does that knows the service by its host."""
    options = [("grpc.default_authority", host), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{running.gateway.port}", options) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer"
        )
        return method(b"question", timeout=timeout).decode()


class Activator:
    """What answers the gateway's checks on the unix socket of the activator.

    Args:
        socket: the unix socket.
        answer: what is sent for the head of a check; None to close the connection.
    """

    def __init__(self, socket: Path, answer: Callable[[str], bytes | None]) -> None:
        self.checks: list[str] = []
        self.came = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self._server = _UnixServer(
            str(socket), type("Check", (_Check,), {"owner": self, "answer": staticmethod(answer)})
        )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self._socket = socket

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._socket.unlink()


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class _Check(StreamRequestHandler):
    owner: Activator
    answer: Callable[[str], bytes | None]

    def handle(self) -> None:
        while True:
            lines = []
            try:
                while (line := self.rfile.readline().decode("latin-1")) not in ("\r\n", ""):
                    lines.append(line)
            except ConnectionError:
                return
            if not lines:
                self.owner.left.release()
                return
            head = "".join(lines)
            self.owner.checks.append(head)
            self.owner.came.release()
            answer = self.answer(head)
            if answer is None:
                return
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(answer)
            if not answer:
                continue


def to(address: Address) -> bytes:
    """The activator's word that a request is to go to an address."""
    return f"HTTP/1.1 200 OK\r\nx-envoy-original-dst-host: {address}\r\ncontent-length: 0\r\n\r\n".encode()


def refusal(status: int, error: str) -> bytes:
    """The activator's word that a request is not to go anywhere."""
    body = json.dumps({"error": error})
    head = f"HTTP/1.1 {status} No\r\nretry-after: 7\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


def route(weights: dict[str, int], *, host: str = "a.test", path: str | None = None, **split: Any) -> Route:
    return Route(hosts=(host,), path=path, entry=Split(weights=tuple(weights.items()), **split))


def backend(name: str, *servers: Server, calls: Sequence[GrpcServer] | None = None, **options: Any) -> Backend:
    grpc_at = None if calls is None else tuple(each.address for each in calls)
    return Backend(name=name, rest=tuple(each.address for each in servers), grpc=grpc_at, **options)


@contextlib.contextmanager
def load(running: Running, *, host: str = "a.test", path: str = "/v1", threads: int = 8) -> Iterator[dict[Any, int]]:
    """Requests without a pause from some threads; what became of them, by status or error."""
    seen: dict[Any, int] = {}
    lock = threading.Lock()
    done = threading.Event()

    def ask() -> None:
        connection = running.connect()
        while not done.is_set():
            try:
                connection.request("POST", path, b"x" * 100, {"host": host})
                response = connection.getresponse()
                response.read()
                what: int | str = response.status
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                what = repr(error)
            with lock:
                seen[what] = seen.get(what, 0) + 1
        connection.close()

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for each in workers:
        each.start()
    try:
        yield seen
    finally:
        done.set()
        for each in workers:
            each.join()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except (ConnectionRefusedError, ConnectionResetError):  # it was closed with this one in its queue
        return False
    return True


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
