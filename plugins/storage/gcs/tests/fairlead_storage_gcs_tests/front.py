"""A server before the emulator: what Google's server does and the emulator does not, and faults that can be chosen."""

from __future__ import annotations

import dataclasses
import gzip
import http.client
import http.server
import json
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_storage_gcs_tests.emulator import Emulator

_PASSED_ON = ("range", "content-type")
_DOWNLOAD = re.compile(r"/download/storage/v1/b/[^/]+/o/([^/?]+)")


@dataclasses.dataclass
class Faults:
    """What goes wrong; all off at first."""

    statuses: list[int] = dataclasses.field(default_factory=list)  # to answer before the right one
    retry_after: str | None = None
    drop_at: int | None = None  # close after so many bytes of a body, once
    stall: threading.Event | None = None  # nothing is answered until it is set
    ignore_generation: bool = False
    location: str | None = None  # where a redirect leads to
    page: int | None = None  # how many objects a page of a listing holds
    names: dict[str, str] = dataclasses.field(default_factory=dict)  # what the emulator cannot hold -> what it holds
    refuse: str | None = None  # a message that the server writes, with the status 403


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]


class Front(http.server.ThreadingHTTPServer):
    """Checks generations and unpacks what is stored packed, as Google's server does."""

    daemon_threads = True

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.emulator = emulator
        self.faults = Faults()
        self.requests: list[Request] = []
        self.stalled = threading.Event()  # a request has come that is not answered
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def downloads(self) -> list[Request]:
        return [request for request in self.requests if request.path.startswith("/download/")]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that goes away is what several tests are about
            super().handle_error(request, client_address)


@contextmanager
def standing(emulator: Emulator) -> Iterator[Front]:
    front = Front(emulator)
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

    def do_GET(self) -> None:
        faults = self.server.faults
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Request(self.command, self.path, fields))
        if faults.stall is not None:
            self.server.stalled.set()
            faults.stall.wait()
        if faults.location is not None:
            self._answer(302, {"Location": faults.location}, b"")
        elif faults.refuse is not None:
            self._answer(403, {}, faults.refuse.encode())
        elif faults.statuses:
            waiting = {} if faults.retry_after is None else {"Retry-After": faults.retry_after}
            self._answer(faults.statuses.pop(0), waiting, b"")
        elif found := _DOWNLOAD.match(self.path):
            self._download(urllib.parse.unquote(found.group(1)), fields)
        elif urllib.parse.urlsplit(self.path).path.endswith("/o"):
            self._list(fields)
        else:
            self._answer(*self._forward(fields))

    def _list(self, fields: dict[str, str]) -> None:
        faults = self.server.faults
        status, answered, content = self._forward(fields)
        if status == 200 and (faults.page is not None or faults.names):
            found = json.loads(content)
            shown = {stored: name for name, stored in faults.names.items()}
            items = [{**item, "name": shown.get(item["name"], item["name"])} for item in found.pop("items", [])]
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            first = int(query.get("pageToken", ["0"])[0])
            after = first + (faults.page or len(items))
            more = {"nextPageToken": str(after)} if after < len(items) else {}
            content = json.dumps({**found, **more, "items": items[first:after]}).encode()
        self._answer(status, answered, content)

    def _download(self, key: str, fields: dict[str, str]) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        stored = self.server.faults.names.get(key, key)
        self.path = self.path.replace(urllib.parse.quote(key, safe=""), urllib.parse.quote(stored, safe=""))
        resource = self.server.emulator.resource(stored)
        asked = query.get("generation", [resource["generation"]])
        if asked != [resource["generation"]] and not self.server.faults.ignore_generation:
            self._answer(404, {}, b"No such object")
            return
        packed = resource.get("contentEncoding") == "gzip"
        unpack = packed and "gzip" not in fields.get("accept-encoding", "")
        status, answered, content = self._forward({} if unpack else fields)
        answered["x-goog-generation"] = resource["generation"]
        if unpack:
            content = gzip.decompress(content)
        elif packed:
            answered["Content-Encoding"] = "gzip"
        self._answer(status, answered, content)

    def _forward(self, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        port = self.server.emulator.port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", self.path, headers={name: fields[name] for name in _PASSED_ON if name in fields})
            answer = connection.getresponse()
            content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("content-type", "content-range")}
        return answer.status, kept, content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        at, self.server.faults.drop_at = self.server.faults.drop_at, None
        self.wfile.write(content[:at])
        if at is not None:
            self.close_connection = True
