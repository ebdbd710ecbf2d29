"""A real HTTP server for tests, whose faults can be chosen."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import re
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
    on_chunk: Callable[[int], None] | None = None  # called with the bytes sent so far
    before_get: Callable[[], None] | None = None


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


class Server:
    """Files by path, the requests that were made, and the faults."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.faults = Faults()
        self.requests: list[Request] = []
        self.sent = 0
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

    def close(self) -> None:
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


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        state, faults = self.server_state, self.server_state.faults
        state.requests.append(Request(self.command, self.path, dict(self.headers.items())))
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
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self, content: bytes, *, body: bool) -> None:
        faults = self.server_state.faults
        tag = ("W/" if faults.weak_etag else "") + etag_of(content)
        start = self._start(content, tag)
        part = memoryview(content)[start or 0 :]
        end = len(content) - 1
        headers = {} if faults.no_etag else {"ETag": tag}
        if start is not None and start > end:
            return self._empty(416, {**headers, "Content-Range": f"bytes */{len(content)}"})
        self.send_response(200 if start is None else 206)
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        headers["Content-Length"] = str(len(part) + len(faults.extra_bytes) * body)
        if faults.no_length:
            del headers["Content-Length"]
        for name, value in {**headers, **faults.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(part)
        self.close_connection = True
        return None

    def _start(self, content: bytes, tag: str) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None or self.server_state.faults.ignore_range:
            return None
        condition = self.headers.get("If-Range")
        return int(found.group(1)) if condition in (None, tag) else None

    def _send(self, part: memoryview) -> None:
        state, faults = self.server_state, self.server_state.faults
        sent = 0
        if faults.corrupt:
            part, faults.corrupt = memoryview(bytes([part[0] ^ 0xFF]) + part[1:]), False
        try:
            while sent < len(part):
                upto = sent + CHUNK
                if faults.truncate_at is not None:
                    upto = min(upto, faults.truncate_at)
                self.wfile.write(part[sent:upto])
                state.sent += len(part[sent:upto])
                sent = upto
                if faults.truncate_at is not None and sent >= faults.truncate_at:
                    faults.truncate_at = faults.truncate_at if faults.truncate_always else None
                    return
                if faults.on_chunk is not None:
                    faults.on_chunk(sent)
            self.wfile.write(faults.extra_bytes)
        except OSError:
            return  # the client went away, which is what several tests do


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
