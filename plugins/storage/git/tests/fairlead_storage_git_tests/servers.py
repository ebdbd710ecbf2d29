"""A real git server over HTTP, whose faults can be chosen: git's own (`git http-backend`), or dulwich's."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.server
import io
import os
import shutil
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from dulwich.errors import GitProtocolError
from dulwich.protocol import pkt_line
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import HTTPGitApplication


@dataclasses.dataclass
class Faults:
    login: tuple[str, str] | None = None  # who may read
    statuses: list[int] = dataclasses.field(default_factory=list)  # to answer before the right one
    cut_at: int | None = None  # close after so many bytes of a pack
    flip_at: int | None = None  # change a byte of a pack
    redirect: str | None = None  # where to, in place of the server's own address
    page: bytes | None = None  # a page for people, in place of git's protocol
    hold: threading.Event | None = None  # answer nothing before it is set


@dataclasses.dataclass
class Request:
    method: str
    path: str
    authorization: str | None


class GitServer:
    """Serves the repositories of a folder."""

    def __init__(self, root: Path, backend: str, tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self.faults = Faults()
        self.requests: list[Request] = []
        self.sent = 0
        outer = self

        class Handler(_Handler):
            state = outer

        self.answer = _git if backend == "git" else _dulwich
        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._httpd.daemon_threads = True
        self.port = self._httpd.server_address[1]
        if tls is not None:
            self._httpd.socket = tls.wrap_socket(self._httpd.socket, server_side=True)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


@contextmanager
def serving(root: Path, backend: str, tls: ssl.SSLContext | None = None) -> Iterator[GitServer]:
    server = GitServer(root, backend, tls)
    try:
        yield server
    finally:
        server.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: GitServer
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        with contextlib.suppress(OSError):  # the client went away, which is what several tests do
            self._speak(body)

    def _speak(self, body: bytes) -> None:
        state, faults = self.state, self.state.faults
        state.requests.append(Request(self.command, self.path, self.headers.get("Authorization")))
        if faults.hold is not None:
            faults.hold.wait(30)
        if faults.statuses:
            self._plain(faults.statuses.pop(0), {})
        elif faults.redirect is not None:
            self._plain(302, {"Location": faults.redirect + self.path})
        elif faults.login is not None and not self._allowed(*faults.login):
            self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
        elif faults.page is not None:
            self._plain(200, {"Content-Type": "text/html"}, faults.page)
        else:
            self._send(*state.answer(state.root, self, body))

    def _allowed(self, user: str, password: str) -> bool:
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.headers.get("Authorization") == wanted

    def _plain(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        faults = self.state.faults
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if b"PACK" in body:
            if faults.flip_at is not None:
                at = body.index(b"PACK") + faults.flip_at
                body = body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :]
            if faults.cut_at is not None:
                body = body[: body.index(b"PACK") + faults.cut_at]
        self.wfile.write(body)
        self.state.sent += len(body)


def _environment(handler: _Handler, body: bytes) -> dict[str, str]:
    path, _, query = handler.path.partition("?")
    return {
        "REQUEST_METHOD": handler.command,
        "PATH_INFO": urllib.parse.unquote(path),
        "QUERY_STRING": query,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
    }


def _git(root: Path, handler: _Handler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(root),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        **_environment(handler, body),
    }
    program = shutil.which("git")
    assert program is not None
    # Its status is that of the request; what the client is told is written all the same.
    done = subprocess.run([program, "http-backend"], input=body, capture_output=True, env=environment, check=False)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head.decode().splitlines())]
    status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
    return status, [pair for pair in headers if pair[0] != "Status"], content


def _dulwich(root: Path, handler: _Handler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    answered: dict[str, Any] = {}
    written: list[bytes] = []

    def start(status: str, headers: list[tuple[str, str]], _failure: Any = None, /) -> Any:
        answered.update(status=int(status.split(maxsplit=1)[0]), headers=headers)
        return written.append

    name = handler.path.split("/")[1]
    if not (root / name).is_dir():
        return 404, [("Content-Length", "0")], b""
    repository = Repo(str(root / name))
    application = HTTPGitApplication(DictBackend(cast("dict[str, BackendRepo]", {f"/{name}": repository})))
    environment = {**_environment(handler, body), "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO()}
    with contextlib.closing(repository):
        try:
            written += application(environment, start)
        except GitProtocolError:  # where git says so to the client
            written = [pkt_line(b"ERR upload-pack: not our ref")]
    return answered["status"], answered["headers"], b"".join(written)
