"""A registry, a token server and a store of blobs that do what a test tells them."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Descriptor


@dataclasses.dataclass
class Request:
    """A request that was made."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclasses.dataclass
class Faults:
    """What the double does wrong; all off at first."""

    broken: list[int] = dataclasses.field(default_factory=list)  # statuses to answer /v2/ before the right one
    answers: int | None = None  # 503 after so many requests
    redirect: str | None = None  # where blobs are: another double's address
    drop_after: int | None = None  # close after so many bytes of a blob, once
    ignore_range: bool = False
    stall: threading.Event | None = None  # blobs wait for it after their headers
    digest: str | None = None  # the digest of a manifest to tell
    content_type: str | None = None  # the media type of a manifest to tell
    swapped: dict[str, bytes] = dataclasses.field(default_factory=dict)  # blobs with another content


@dataclasses.dataclass
class Guard:
    """What the double asks for before it answers."""

    challenge: str  # its WWW-Authenticate
    good: set[str]  # values of the Authorization header that it takes
    uses: int | None = None  # after so many requests each value is refused


class Double:
    """It keeps what is pushed in memory; pushing is a method here, not a request."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.guard: Guard | None = None
        self.token: Callable[[Request], tuple[int, Any]] | None = None  # answers /token
        self.requests: list[Request] = []
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.used: dict[str, int] = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            state = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self.faults.stall is not None:
            self.faults.stall.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def blob(self, repository: str, content: bytes, media_type: str, **annotations: str) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        made: Descriptor = {"mediaType": media_type, "digest": digest, "size": len(content)}
        return {**made, "annotations": annotations} if annotations else made

    def manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> Descriptor:
        return self.raw_manifest(repository, tag, json.dumps(document).encode(), document["mediaType"])

    def raw_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for identifier in (tag, digest):
            self.manifests[f"{repository}/{identifier}"] = (media_type, content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def asked(self, part: str) -> list[Request]:
        """The requests whose path has a part."""
        return [request for request in self.requests if part in request.path]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return  # the client went away, which is what several tests do


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Double
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.state.requests.append(request)
        path = urllib.parse.urlsplit(self.path).path
        if path == "/token" and self.state.token is not None:
            status, answer = self.state.token(request)
            self._send(status, json.dumps(answer).encode())
        elif found := re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path):
            self._registry(request, *found.groups())
        elif found := re.fullmatch(r"/kept/([^/]+)", path):
            self._blob(found.group(1))
        else:
            self._send(404)

    def _registry(self, request: Request, repository: str, kind: str, identifier: str) -> None:
        faults = self.state.faults
        if faults.answers:
            faults.answers -= 1
        elif faults.answers == 0:
            return self._send(503)
        if not self._welcome(request):
            assert self.state.guard is not None
            self._send(401, b"{}", {"WWW-Authenticate": self.state.guard.challenge})
        elif faults.broken:
            self._send(faults.broken.pop(0))
        elif kind == "blobs":
            if faults.redirect is not None:
                self._send(307, b"", {"Location": f"{faults.redirect}/kept/{identifier}?signature=s3cr3t"})
            else:
                self._blob(identifier)
        elif found := self.state.manifests.get(f"{repository}/{identifier}"):
            media_type, content = found
            digest = faults.digest or f"sha256:{hashlib.sha256(content).hexdigest()}"
            headers = {"Content-Type": faults.content_type or media_type, "Docker-Content-Digest": digest}
            self._send(200, content, headers)
        else:
            self._send(404)
        return None

    def _welcome(self, request: Request) -> bool:
        guard = self.state.guard
        if guard is None:
            return True
        shown = request.headers.get("authorization", "")
        with self.state.lock:
            uses = self.state.used[shown] = self.state.used.get(shown, 0) + 1
        return shown in guard.good and (guard.uses is None or uses <= guard.uses)

    def _blob(self, digest: str) -> None:
        faults = self.state.faults
        content = faults.swapped.get(digest, self.state.blobs.get(digest))
        if content is None:
            return self._send(404)
        status, headers, part = 200, {}, content
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not faults.ignore_range:
            start = int(asked.group(1))
            end = min(int(asked.group(2) or len(content)), len(content) - 1)
            if start >= len(content):
                return self._send(416)
            status, part = 206, content[start : end + 1]
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._send(status, part, headers, drop=True)

    def _send(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, drop: bool = False
    ) -> None:
        faults = self.state.faults
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        if drop and faults.stall is not None:
            faults.stall.wait(30)
        if drop and faults.drop_after is not None:
            body, faults.drop_after = body[: faults.drop_after], None
            self.close_connection = True
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client went away, which is what several tests do


def bearer(double: Double, *tokens: str, scope: str = "", realm: str | None = None) -> Guard:
    """A guard that takes the given tokens, and sends to the double's own token server."""
    asked = f',scope="{scope}"' if scope else ""
    return Guard(
        challenge=f'Bearer realm="{realm or double.url + "/token"}",service="registry.example"{asked}',
        good={f"Bearer {token}" for token in tokens},
    )
