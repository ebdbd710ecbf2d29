"""A real HTTP server for tests, whose faults can be chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import re
import socket
import ssl
import threading
import tracemalloc
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CHUNK = 64 * 1024


@dataclasses.dataclass
class Faults:
    """What the server does wrong; all off at first."""

    truncate_at: int | None = None  # close after so many bytes of a body, once
    truncate_always: bool = False  # ... or each time
    corrupt: bool = False  # change the first byte of a body, once
    broken: list[int] = dataclasses.field(default_factory=list)  # statuses to answer before the right one
    retry_after: str | None = None
    redirects: dict[str, str] = dataclasses.field(default_factory=dict)  # path -> Location
    redirect_status: int = 302
    ignore_range: bool = False
    no_head: int | None = None
    no_etag: bool = False
    no_length: bool = False
    weak_etag: bool = False
    extra_bytes: bytes = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # headers to add to every file
    now: float | None = None  # what the server's clock shows, in seconds, if it stands still
    on_chunk: Callable[[int], None] | None = None  # called with the bytes sent so far
    before_get: Callable[[], None] | None = None
    keep_alive: bool = True  # or else say that each connection is closed after its answer
    unanswered: int = 0  # requests to read and then to close the connection


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Server:
    """Files by path, the requests that were made, and the faults."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.faults = Faults()
        self.requests: list[Request] = []
        self.sent = 0
        self.sending = 0  # bodies that are being sent, but for those of an index
        self.most_sending = 0
        self.lock = threading.Lock()
        self.connections = 0
        self._open: set[socket.socket] = set()
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._httpd = http.server.ThreadingHTTPServer((host, 0), Handler)
        self._httpd.daemon_threads = True
        if context is not None:
            self._httpd.socket = context.wrap_socket(self._httpd.socket, server_side=True)
        self.port = self._httpd.server_address[1]
        self.url = f"{'https' if context else 'http'}://{host}:{self.port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self._places = 0

    def put(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return f"{self.url}{path}"

    def place(self, tree: Mapping[str, bytes]) -> str:
        self._places += 1
        for name, content in tree.items():
            self.files[f"/{self._places}/{name}"] = content
        return f"{self.url}/{self._places}"

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def hang_up(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.hang_up()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


@contextmanager
def serving(host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(host, context)
    try:
        yield server
    finally:
        server.close()


@functools.lru_cache(maxsize=4)
def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server
    timeout = 60
    disable_nagle_algorithm = True  # or a short body waits for the client to confirm the headers

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server_state.faults.now if timestamp is None else timestamp)

    def setup(self) -> None:
        super().setup()
        self.server_state.connections += 1
        self.server_state._open.add(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client was killed between two requests
            super().handle()

    def finish(self) -> None:
        self.server_state._open.discard(self.connection)
        super().finish()

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        state, faults = self.server_state, self.server_state.faults
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        state.requests.append(Request(self.command, self.path, dict(self.headers.items()), sent))
        if faults.unanswered:
            faults.unanswered -= 1
            self.close_connection = True
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if faults.broken:
            self._empty(faults.broken.pop(0), {"Retry-After": faults.retry_after} if faults.retry_after else {})
        elif path in faults.redirects:
            self._empty(faults.redirect_status, {"Location": faults.redirects[path]})
        elif not body and faults.no_head is not None:
            self._empty(faults.no_head, {})
        elif path not in state.files:
            self._empty(404, {})
        else:
            if body and faults.before_get is not None:
                faults.before_get()
            self._file(state.files[path], body=body)

    def _empty(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self._headers({**headers, "Content-Length": "0"})

    def _file(self, content: bytes, *, body: bool) -> None:
        faults = self.server_state.faults
        tag = ("W/" if faults.weak_etag else "") + etag_of(content)
        start, end = self._range(content, tag) or (None, len(content))
        part = memoryview(content)[start or 0 : end]
        headers = {} if faults.no_etag else {"ETag": tag}
        if start is not None and start >= len(content):
            return self._empty(416, {**headers, "Content-Range": f"bytes */{len(content)}"})
        self.send_response(200 if start is None else 206)
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        headers["Content-Length"] = str(len(part) + len(faults.extra_bytes) * body)
        if faults.no_length:
            del headers["Content-Length"]
            self.close_connection = True
        self._headers({**headers, **faults.headers})
        if body:
            with contextlib.ExitStack() as counted:
                counted.enter_context(self._counted())
                self._send(part, counted.close)
        return None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        state, counted = self.server_state, not self.path.endswith("/index.json")
        with state.lock:
            state.sending += counted
            state.most_sending = max(state.most_sending, state.sending)
        try:
            yield
        finally:
            with state.lock:
                state.sending -= counted

    def _headers(self, headers: Mapping[str, str]) -> None:
        if not self.server_state.faults.keep_alive:
            self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _range(self, content: bytes, tag: str) -> tuple[int, int] | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None or self.server_state.faults.ignore_range or self.headers.get("If-Range") not in (None, tag):
            return None
        return int(found.group(1)), min(int(found.group(2) or len(content)) + 1, len(content))

    def _send(self, part: memoryview, before_last: Callable[[], None]) -> None:
        state, faults = self.server_state, self.server_state.faults
        sent, limit = 0, faults.truncate_at  # read once: a test may change it while others are answered
        if faults.corrupt:
            part, faults.corrupt = memoryview(bytes([part[0] ^ 0xFF]) + part[1:]), False
        try:
            while sent < len(part):
                upto = sent + CHUNK
                if limit is not None:
                    upto = min(upto, limit)
                if upto >= len(part):
                    before_last()  # the client may go on before this thread does
                self.wfile.write(part[sent:upto])
                with state.lock:
                    state.sent += len(part[sent:upto])
                sent = upto
                if limit is not None and sent >= limit:
                    faults.truncate_at = faults.truncate_at if faults.truncate_always else None
                    self.close_connection = True
                    return
                if faults.on_chunk is not None:
                    faults.on_chunk(sent)
            self.wfile.write(faults.extra_bytes)
        except OSError:
            self.close_connection = True  # the client went away, which is what several tests do


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def memory() -> Iterator[list[int]]:
    """The peak of Python's memory inside a with statement, in bytes, known after it."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
