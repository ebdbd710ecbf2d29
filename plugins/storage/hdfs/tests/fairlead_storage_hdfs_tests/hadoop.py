"""A double of an HDFS cluster: namenodes and datanodes that answer WebHDFS on ports of their own.

It follows the "WebHDFS REST API" of Hadoop 3: statuses and their fields, pages of a listing in the order of bytes,
a redirect to a datanode that holds who asks, `RemoteException`s with the statuses that Hadoop gives them, and content
with its length on a connection that is then closed. What it can do wrong is chosen by `Faults`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import itertools
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

ROOT = "/webhdfs/v1"
CHUNK = 64 * 1024
ANONYMOUS = "dr.who"  # whom Hadoop takes a request for that names nobody

_STATUSES = {
    "IllegalArgumentException": 400,
    "UnsupportedOperationException": 400,
    "SecurityException": 401,
    "FileNotFoundException": 404,
    "RuntimeException": 500,
}  # and 403 for the rest, which are IOExceptions


class RemoteError(Exception):
    """What a server of Hadoop answers instead of a result."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclasses.dataclass
class File:
    content: bytes
    modified: int
    number: int


@dataclasses.dataclass
class Request:
    server: str  # "namenode 0", "datanode 1"
    operation: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclasses.dataclass
class Faults:
    """What the cluster does wrong, or otherwise than Hadoop 3.4; all off at first."""

    no_pages: bool = False  # Hadoop 2.8 and older
    page: int = 1000  # dfs.ls.limit
    proxy: bool = False  # as HttpFS: no redirect, no numbers of files, all of a folder in one page
    safe_mode: bool = False
    answers: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)  # of namenodes, before the right one
    reads: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)  # of datanodes
    errors: list[str] = dataclasses.field(default_factory=list)  # exceptions of datanodes, before the content
    truncate_at: int | None = None  # a datanode closes after so many bytes, once
    announce: int | None = None  # a Content-Length of a datanode's own
    redirect: str | None = None  # where a namenode sends readers to instead
    links: frozenset[str] = frozenset()  # paths that are symbolic links
    before_read: Callable[[], None] | None = None
    on_chunk: Callable[[int], None] | None = None  # called with the bytes sent so far
    mangle: Callable[[dict[str, object]], object] | None = None  # what becomes of a status


class Cluster:
    """Files by absolute path, and the servers that show them."""

    def __init__(
        self, namenodes: int = 1, datanodes: int = 1, context: ssl.SSLContext | None = None, prefix: str = ""
    ) -> None:
        self.files: dict[str, File] = {}
        self.folders: set[str] = {"/"}
        self.private: dict[str, str] = {}  # folder -> the only user who may read below it
        self.tokens: dict[str, str] | None = None  # token -> user; where it is not None, nobody else is let in
        self.proxies: dict[str, set[str]] = {}  # user -> whom it may ask for
        self.required: dict[str, str] = {}  # headers that a gateway in front of the namenodes asks for
        self.faults = Faults()
        self.requests: list[Request] = []
        self.active = 0
        self.prefix = prefix
        self._clock = itertools.count(1_700_000_000_000)
        self._numbers = itertools.count(16_386)
        self._places = itertools.count(1)
        self.datanodes = [_Server(self, f"datanode {index}", context) for index in range(datanodes)]
        self.namenodes = [_Server(self, f"namenode {index}", context) for index in range(namenodes)]

    def put(self, path: str, content: bytes) -> None:
        """Write a file anew, as ``hdfs dfs -put -f`` does."""
        self.files[path] = File(content, next(self._clock), next(self._numbers))
        parts = path.split("/")
        self.folders |= {"/".join(parts[:count]) or "/" for count in range(1, len(parts))}

    def append(self, path: str, content: bytes) -> None:
        file = self.files[path]
        self.files[path] = File(file.content + content, next(self._clock), file.number)

    def place(self, tree: Mapping[str, bytes]) -> str:
        """Put a tree below a folder of its own, and return the folder's path."""
        root = f"/places/{next(self._places)}"
        for name, content in tree.items():
            self.put(f"{root}/{name}", content)
        return root

    @property
    def authority(self) -> str:
        """The first namenode, as a URI names it."""
        return f"127.0.0.1:{self.namenodes[0].port}"

    @property
    def urls(self) -> list[str]:
        """The namenodes, as HDFS_NAMENODE names them."""
        return [server.url + self.prefix for server in self.namenodes]

    def asked(self, operation: str) -> list[Request]:
        return [request for request in self.requests if request.operation == operation]

    def close(self) -> None:
        for server in (*self.namenodes, *self.datanodes):
            server.close()


@contextlib.contextmanager
def running(
    namenodes: int = 1, datanodes: int = 1, context: ssl.SSLContext | None = None, prefix: str = ""
) -> Iterator[Cluster]:
    cluster = Cluster(namenodes, datanodes, context, prefix)
    try:
        yield cluster
    finally:
        cluster.close()


class _Server:
    def __init__(self, cluster: Cluster, name: str, context: ssl.SSLContext | None) -> None:
        handler = type("Handler", (_Handler,), {"cluster": cluster, "name": name})
        self.name = name
        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._httpd.daemon_threads = True
        self._httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go away are tested
        if context is not None:
            # The handshake is left to the thread of the connection, so that a client without one blocks nobody.
            self._httpd.socket = context.wrap_socket(
                self._httpd.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._httpd.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            self._httpd.shutdown()
            self._httpd.server_close()
            self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a status is two small writes
    timeout = 60
    cluster: Cluster
    name: str

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        whole = urllib.parse.unquote(parts.path)
        operation = query.get("op", "")
        prefix = self.cluster.prefix if self.name.startswith("namenode") else ""
        path = whole.removeprefix(prefix + ROOT) or "/"
        self.cluster.requests.append(Request(self.name, operation, path, query, dict(self.headers.items())))
        if not whole.startswith(prefix + ROOT):
            self._plain(404, b"It looks like you are making an HTTP request to a Hadoop IPC port.")
            return
        try:
            if self.name.startswith("datanode"):
                self._datanode(path, query)
            else:
                self._namenode(operation, path, query)
        except RemoteError as error:
            body: dict[str, object] = {
                "RemoteException": {
                    "exception": error.name,
                    "javaClassName": f"org.apache.hadoop.{error.name}",
                    "message": str(error),
                }
            }
            self._json(body, _STATUSES.get(error.name, 403))

    # -- a namenode -------------------------------------------------------------------------------------

    def _namenode(self, operation: str, path: str, query: dict[str, str]) -> None:
        cluster, faults = self.cluster, self.cluster.faults
        if faults.answers:
            self._plain(*faults.answers.pop(0))
            return
        for name, value in cluster.required.items():
            if self.headers.get(name) != value:
                self._plain(401, b"<html>log in first</html>", {"WWW-Authenticate": "Basic"})
                return
        user = self._user(query)
        if user is None:
            self._plain(401, b"<html>Authentication required</html>", {"WWW-Authenticate": "Negotiate"})
            return
        if self.name != f"namenode {cluster.active}":
            raise RemoteError("StandbyException", "Operation category READ is not supported in state standby.")
        if operation == "GETHOMEDIRECTORY":
            self._json({"Path": f"/user/{user}"})
            return
        _valid(path)
        self._permitted(path, user)
        if operation == "GETFILESTATUS":
            self._json({"FileStatus": self._status("", path.rstrip("/") or "/")})
        elif operation == "LISTSTATUS":
            self._json({"FileStatuses": {"FileStatus": self._children(path)}})
        elif operation == "LISTSTATUS_BATCH" and not faults.no_pages:
            self._batch(path, query)
        elif operation == "OPEN":
            self._open(path, query, user)
        else:
            raise RemoteError("IllegalArgumentException", f'Invalid value for webhdfs parameter "op": {operation}')

    def _user(self, query: Mapping[str, str]) -> str | None:
        cluster = self.cluster
        if cluster.tokens is not None:
            user = cluster.tokens.get(query.get("delegation", ""))
            if user is None and "delegation" in query:
                raise RemoteError("InvalidToken", f"token ({query['delegation']}) can't be found in cache")
        else:
            user = query.get("user.name", ANONYMOUS)
        wanted = query.get("doas")
        if user is None or wanted is None:
            return user
        if wanted not in cluster.proxies.get(user, set()):
            raise RemoteError("AuthorizationException", f"User: {user} is not allowed to impersonate {wanted}")
        return wanted

    def _permitted(self, path: str, user: str) -> None:
        for folder, owner in self.cluster.private.items():
            if user != owner and (path == folder or path.startswith(f"{folder}/")):
                raise RemoteError("AccessControlException", f'Permission denied: user={user}, inode="{path}"')

    def _status(self, suffix: str, path: str) -> dict[str, object]:
        cluster = self.cluster
        file = cluster.files.get(path)
        if file is None and path not in cluster.folders:
            raise RemoteError("FileNotFoundException", f"File does not exist: {path}")
        kind = "DIRECTORY" if file is None else "SYMLINK" if path in cluster.faults.links else "FILE"
        found: dict[str, object] = {
            "accessTime": 0,
            "blockSize": 134_217_728 if file else 0,
            "childrenNum": 0,
            "fileId": file.number if file else 16_385,
            "group": "supergroup",
            "length": len(file.content) if file else 0,
            "modificationTime": file.modified if file else 1_700_000_000_000,
            "owner": "hdfs",
            "pathSuffix": suffix,
            "permission": "644",
            "replication": 3 if file else 0,
            "storagePolicy": 0,
            "type": kind,
        }
        if cluster.faults.proxy:
            for name in ("fileId", "childrenNum", "storagePolicy"):
                del found[name]
        return found

    def _children(self, path: str) -> list[dict[str, object]]:
        path = path.rstrip("/") or "/"
        if path in self.cluster.files:
            return [self._status("", path)]
        if path not in self.cluster.folders:
            raise RemoteError("FileNotFoundException", f"File {path} does not exist.")
        start = path.rstrip("/") + "/"
        found = {*self.cluster.files, *self.cluster.folders} - {"/"}
        names = {name.removeprefix(start) for name in found if name.startswith(start)}
        return [self._status(name, start + name) for name in sorted(names, key=str.encode) if "/" not in name]

    def _batch(self, path: str, query: Mapping[str, str]) -> None:
        faults = self.cluster.faults
        after = query.get("startAfter", "").encode()
        left = [child for child in self._children(path) if str(child["pathSuffix"]).encode() > after or not after]
        page = left if faults.proxy else left[: faults.page]
        listing = {
            "partialListing": {"FileStatuses": {"FileStatus": page}},
            "remainingEntries": len(left) - len(page),
        }
        self._json({"DirectoryListing": listing})

    def _open(self, path: str, query: Mapping[str, str], user: str) -> None:
        cluster, faults = self.cluster, self.cluster.faults
        file = cluster.files.get(path)
        if file is None:
            raise RemoteError("FileNotFoundException", f"File {path} not found.")
        if faults.safe_mode:
            raise RemoteError("SafeModeException", "Zero blocklocations. Name node is in safe mode.")
        offset = int(query.get("offset", "0"))
        if offset >= len(file.content) > 0:
            raise RemoteError("IOException", f"Offset={offset} out of the range [0, {len(file.content)}); OPEN")
        if faults.proxy:
            self._content(path, query)
            return
        asked = {name: query[name] for name in ("op", "offset", "length") if name in query}
        who = {"delegation": query["delegation"]} if cluster.tokens is not None else {"user.name": user}
        target = urllib.parse.urlencode({**asked, **who, "namenoderpcaddress": "namenode:8020"})
        base = faults.redirect or cluster.datanodes[len(cluster.requests) % len(cluster.datanodes)].url
        self._plain(307, b"", {"Location": f"{base}{ROOT}{urllib.parse.quote(path)}?{target}"})

    # -- a datanode -------------------------------------------------------------------------------------

    def _datanode(self, path: str, query: Mapping[str, str]) -> None:
        cluster, faults = self.cluster, self.cluster.faults
        if faults.reads:
            self._plain(*faults.reads.pop(0))
            return
        if faults.errors:
            raise RemoteError(faults.errors.pop(0), "as the test asks for")
        if cluster.tokens is not None and query.get("delegation") not in cluster.tokens:
            raise RemoteError("InvalidToken", "no such token")
        self._content(path, query)

    def _content(self, path: str, query: Mapping[str, str]) -> None:
        faults = self.cluster.faults
        if faults.before_read is not None:
            faults.before_read()
        content = self.cluster.files[path].content
        offset = int(query.get("offset", "0"))
        part = memoryview(content)[offset : offset + int(query.get("length", len(content)))]
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(part) if faults.announce is None else faults.announce))
        self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        with contextlib.suppress(OSError):  # the client went away, which is what several tests do
            while sent < len(part):
                upto = sent + CHUNK if faults.truncate_at is None else min(sent + CHUNK, faults.truncate_at)
                self.wfile.write(part[sent:upto])
                sent = upto
                if faults.truncate_at is not None and sent >= faults.truncate_at:
                    faults.truncate_at = None
                    return
                if faults.on_chunk is not None:
                    faults.on_chunk(sent)

    # -- answers ----------------------------------------------------------------------------------------

    def _json(self, body: dict[str, object], status: int = 200) -> None:
        changed: object = body
        if self.cluster.faults.mangle is not None and status == http.HTTPStatus.OK:
            changed = self.cluster.faults.mangle(body)
        self._plain(status, json.dumps(changed).encode(), {"Content-Type": "application/json"})

    def _plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _valid(path: str) -> None:
    """HDFS has no empty parts, no ``.`` and ``..``, and no colons."""
    parts = path.rstrip("/").split("/")[1:]
    if any(part in ("", ".", "..") or ":" in part for part in parts):
        raise RemoteError("IllegalArgumentException", f"Invalid path name {path}")
