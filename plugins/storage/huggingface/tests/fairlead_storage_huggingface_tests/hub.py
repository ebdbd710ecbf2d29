"""A hub on loopback that answers as the Hugging Face Hub does, and the other host where it keeps large files."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

__all__ = ["LARGE", "Hub", "Repo", "Request", "serving"]

LARGE = 1024
"""From so many bytes on a file is kept in LFS."""


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


@dataclasses.dataclass
class Repo:
    """A repository: commits, what names them, and who may see it."""

    commits: dict[str, dict[str, bytes]] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    private: bool = False
    gated: bool = False
    disabled: bool = False

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        text = json.dumps([[name, oid(content)] for name, content in files.items()] + [len(self.commits)])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.names[branch] = self.names[sha] = sha
        return sha


def oid(content: bytes) -> str:
    """What git names a file by."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Server:
    """An HTTP server, the requests that it got, and what it does wrong; nothing at first."""

    def __init__(self, handler: type[Handler]) -> None:
        self.requests: list[Request] = []
        self.broken: list[tuple[int, dict[str, str]]] = []  # answers to give before the right ones
        self.truncate: list[int] = []  # close the connection after so many bytes of a longer body
        self.headers: dict[str, str] = {}  # headers to replace or to add
        self.stall: threading.Event | None = None  # half of a body, and nothing before it is set
        bound = type("Bound", (handler,), {"state": self})
        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound)
        self._httpd.daemon_threads = True
        self.open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        for connection in tuple(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


class Hub(Server):
    """The hub: repositories by ``owner/model``, tokens, and the length of a page."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.tokens: set[str] = set()
        self.page = 1000
        self.next_page: Callable[[str], str] = lambda url: url
        self.documents: list[bytes] = []  # JSON to answer before the right one
        self.store = Store()
        super().__init__(HubHandler)

    def repo(self, name: str, files: Mapping[str, bytes], **options: bool) -> Repo:
        repo = self.repos.setdefault(name, Repo())
        repo.commit(files)
        for option, value in options.items():
            setattr(repo, option, value)
        return repo

    def close(self) -> None:
        super().close()
        self.store.close()


class Store(Server):
    """The host of large files, by their SHA-256."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        super().__init__(StoreHandler)

    def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self.files.setdefault(name, content)
        return f"{self.url}/{name}?Signature=signed-url-secret"


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    try:
        yield hub
    finally:
        hub.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Server
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def setup(self) -> None:
        super().setup()
        self.state.open.add(self.connection)

    def finish(self) -> None:
        self.state.open.discard(self.connection)
        super().finish()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.state.requests.append(Request(self.command, self.path, dict(self.headers.items())))
        if self.state.broken:
            status, headers = self.state.broken.pop(0)
            self.send(status, b"", headers)
        else:
            url = urllib.parse.urlsplit(self.path)
            self.answer(url.path, dict(urllib.parse.parse_qsl(url.query)))

    def answer(self, path: str, query: Mapping[str, str]) -> None:
        raise NotImplementedError

    def send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {}), **self.state.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with contextlib.suppress(OSError):  # the client went away, which is what several tests do
            if self.state.stall is not None and len(body) > 1:
                self.wfile.write(body[: len(body) // 2])
                self.state.stall.wait(20)
                body = body[len(body) // 2 :]
            if self.state.truncate and len(body) > self.state.truncate[0]:
                body = body[: self.state.truncate.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

    def send_file(self, content: bytes, headers: Mapping[str, str]) -> None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            return self.send(200, content, headers)
        start, end = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
        if start >= len(content):
            return self.send(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
        extent = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        return self.send(206, content[start:end], {**headers, **extent})


class StoreHandler(Handler):
    state: Store

    def answer(self, path: str, query: Mapping[str, str]) -> None:
        content = self.state.files.get(path[1:])
        if "Signature" not in query or content is None:
            return self.send(403)
        return self.send_file(content, {"ETag": '"another-tag"'})


class HubHandler(Handler):
    state: Hub

    def answer(self, path: str, query: Mapping[str, str]) -> None:
        if self.state.documents:
            return self.send(200, self.state.documents.pop(0))
        routes: dict[str, Callable[..., None]] = {
            r"/api/models/([^/]+/[^/]+)/revision/([^/]+)": self.describe,
            r"/api/models/([^/]+/[^/]+)/tree/([^/]+)": self.tree,
            r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self.resolve,
        }
        for pattern, act in routes.items():
            if found := re.fullmatch(pattern, path):
                name, revision, *rest = map(urllib.parse.unquote, found.groups())
                repo = self.state.repos.get(name)
                if self.admitted(repo, act == self.resolve):
                    assert repo is not None
                    if revision not in repo.names:
                        return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
                    return act(name, repo.commits[repo.names[revision]], repo.names[revision], query, *rest)
                return None
        return self.refuse(404, "", "Not Found")

    def admitted(self, repo: Repo | None, content: bool) -> bool:
        """Whether the caller may see a repository; otherwise the answer says why not, as the hub's does."""
        header = self.headers.get("Authorization")
        known = header is not None and header.removeprefix("Bearer ") in self.state.tokens
        if header is not None and not known:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.private and not known):
            self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
        elif repo.disabled:
            self.refuse(403, "", "Access to this resource is disabled.")
        elif repo.gated and content and not known:
            self.refuse(401, "GatedRepo", "Access to model is restricted.")
        else:
            return True
        return False

    def refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.send(status, json.dumps({"error": message}).encode(), headers)

    def describe(self, name: str, files: Mapping[str, bytes], sha: str, _query: Mapping[str, str]) -> None:
        siblings = [{"rfilename": path} for path in files]
        document = {"id": name, "modelId": name, "sha": sha, "private": False, "tags": [], "siblings": siblings}
        self.send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def tree(self, _name: str, files: Mapping[str, bytes], _sha: str, query: Mapping[str, str]) -> None:
        assert query.get("recursive", "").lower() == "true"
        entries: list[dict[str, object]] = []
        for path, content in sorted(files.items()):
            for folder in (path[: found.start()] for found in re.finditer("/", path)):
                if all(entry["path"] != folder for entry in entries):
                    entries.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": folder})
            entry: dict[str, object] = {"type": "file", "oid": oid(content), "size": len(content), "path": path}
            if len(content) >= LARGE:
                lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
                entry |= {"oid": oid(b"pointer"), "lfs": lfs, "xetHash": "0" * 64}
            entries.append(entry)
        start = int(query.get("cursor", "0"))
        page, rest = entries[start : start + self.state.page], entries[start + self.state.page :]
        headers = {"Content-Type": "application/json"}
        if rest:
            path = self.path.partition("?")[0]
            following = f"{self.state.url}{path}?recursive=true&cursor={start + self.state.page}"
            headers["Link"] = f'<{self.state.next_page(following)}>; rel="next"'
        self.send(200, json.dumps(page).encode(), headers)

    def resolve(self, _name: str, files: Mapping[str, bytes], sha: str, _query: Mapping[str, str], path: str) -> None:
        if path not in files:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        content = files[path]
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if len(content) < LARGE:
            return self.send_file(content, {**headers, "ETag": f'"{oid(content)}"'})
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers |= {"X-Linked-ETag": tag, "X-Linked-Size": str(len(content)), "ETag": tag}
        return self.send(302, b"Found.", {**headers, "Location": self.state.store.put(content)})
