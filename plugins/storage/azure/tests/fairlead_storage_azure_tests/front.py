"""A server before Azurite, whose faults can be chosen."""

from __future__ import annotations

import dataclasses
import http.client
import http.server
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclasses.dataclass
class Faults:
    """What goes wrong; all off at first."""

    statuses: list[int] = dataclasses.field(default_factory=list)  # to answer before the right one
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # of those
    drop_at: int | None = None  # close after so many bytes of a body, once
    stall: threading.Event | None = None  # nothing is answered until it is set
    location: str | None = None  # where a redirect leads to
    unconditional: bool = False  # conditions are taken no notice of
    body: bytes | None = None  # instead of the right one
    token: str | None = None  # a token that must be given; what is behind must then be public


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]


class Front(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.faults = Faults()
        self.requests: list[Request] = []
        self.stalled = threading.Event()  # a request has come that is not answered
        self.port = self.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def reads(self) -> list[Request]:
        return [request for request in self.requests if "x-ms-range" in request.headers]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that goes away is what several tests are about
            super().handle_error(request, client_address)


@contextmanager
def standing(behind: int, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    front = Front(behind, tls)
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield front
    finally:
        if front.faults.stall is not None:
            front.faults.stall.set()
        front.shutdown()
        front.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        faults = self.server.faults
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Request(self.command, self.path, fields))
        if faults.stall is not None:
            self.server.stalled.set()
            faults.stall.wait()
        if faults.location is not None:
            self._answer(302, {"Location": faults.location}, b"")
        elif faults.statuses:
            self._answer(faults.statuses.pop(0), faults.headers, b"")
        elif faults.body is not None:
            self._answer(200, {}, faults.body)
        elif faults.token is not None and fields.get("authorization") != f"Bearer {faults.token}":
            self._answer(401, {}, b"")
        else:
            self._forward(fields)

    def _forward(self, fields: dict[str, str]) -> None:
        left_out = {"host", "connection"}
        left_out |= {"if-match"} if self.server.faults.unconditional else set()
        left_out |= {"authorization"} if self.server.faults.token is not None else set()
        sent = {name: value for name, value in fields.items() if name not in left_out}
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)) as connection:
            connection.request(self.command, self.path, headers=sent)
            answer = connection.getresponse()
            length = answer.getheader("Content-Length", "0")
            content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        self._answer(answer.status, kept, content, length if self.command == "HEAD" else None)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": length or str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        at, self.server.faults.drop_at = self.server.faults.drop_at, None
        self.wfile.write(content[:at])
        if at is not None:
            self.close_connection = True
