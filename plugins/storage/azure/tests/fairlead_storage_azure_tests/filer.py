"""What of Azure Files is used here, over HTTP: Azurite has none, and there is no other emulator.

Written after the pages of the REST reference on List Directories and Files, Get File and Get File Properties. As there,
conditional headers mean nothing, a folder has no content, and a listing tells no digests.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import itertools
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

from fairlead_storage_azure_tests.azurite import ACCOUNT

SHARE = "shelf"
KEY = base64.b64encode(b"the key of an account of file shares").decode()
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Filer(http.server.ThreadingHTTPServer):
    """One share, its files by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.page = 3  # entries of a page of a listing
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{ACCOUNT}"
        self._places = itertools.count()

    @property
    def credentials(self) -> dict[str, str]:
        parts = {"AccountName": ACCOUNT, "AccountKey": KEY, "FileEndpoint": self.url}
        return {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{name}={value}" for name, value in parts.items())}

    def place(self, tree: Mapping[str, bytes]) -> str:
        root = f"place-{next(self._places)}"
        self.files.update({f"{root}/{name}": content for name, content in tree.items()})
        return f"https://{ACCOUNT}.file.core.windows.net/{SHARE}/{root}"

    def entries(self, folder: str) -> dict[str, str]:
        """What lies in a folder: kinds by name."""
        start = f"{folder}/" if folder else ""
        below = [path.removeprefix(start) for path in self.files if path.startswith(start)]
        return {path.partition("/")[0]: "Directory" if "/" in path else "File" for path in sorted(below)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that goes away is what several tests are about
            super().handle_error(request, client_address)


@contextmanager
def running() -> Iterator[Filer]:
    filer = Filer()
    thread = threading.Thread(target=filer.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield filer
    finally:
        filer.shutdown()
        filer.server_close()
        thread.join()


def etag(content: bytes) -> str:
    return f'"0x{hashlib.sha256(content).hexdigest()[:15].upper()}"'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Filer
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, fields))
        account, share, path = [*urllib.parse.unquote(url.path).strip("/").split("/", 2), "", ""][:3]
        signed = fields.get("authorization", "").startswith(f"SharedKey {ACCOUNT}:") or "sig" in query
        if not signed or "x-ms-version" not in fields or "x-ms-date" not in fields:
            self._refuse(403, "AuthenticationFailed")
        elif account != ACCOUNT or share != SHARE:
            self._refuse(404, "ShareNotFound")
        elif query.get("comp") == "list" and query.get("restype") == "directory":
            self._list(path, query)
        elif path in self.server.files:
            self._file(self.server.files[path], fields)
        else:
            self._refuse(404, "ResourceNotFound")

    def _list(self, folder: str, query: dict[str, str]) -> None:
        found = list(self.server.entries(folder).items())
        if folder and not found:
            self._refuse(404, "ResourceNotFound")
            return
        first = int(query.get("marker", "0"))
        after = first + self.server.page
        shown = "".join(self._entry(folder, name, kind, query) for name, kind in found[first:after])
        more = str(after) if after < len(found) else ""
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ShareName="{SHARE}" DirectoryPath="">'
            f"<Entries>{shown}</Entries><NextMarker>{more}</NextMarker></EnumerationResults>"
        )
        self._answer(200, {"Content-Type": "application/xml"}, text.encode())

    def _entry(self, folder: str, name: str, kind: str, query: dict[str, str]) -> str:
        fit = f"<Name>{escape(name)}</Name>"
        if _UNFIT.search(name):
            fit = f'<Name Encoded="true">{urllib.parse.quote(name)}</Name>'
        properties = ""
        if kind == "File":
            content = self.server.files[f"{folder}/{name}" if folder else name]
            properties = f"<Content-Length>{len(content)}</Content-Length>"
            if "ETag" in query.get("include", ""):
                properties += f"<Etag>{escape(etag(content))}</Etag>"
        return f"<{kind}>{fit}<Properties>{properties}</Properties></{kind}>"

    def _file(self, content: bytes, fields: dict[str, str]) -> None:
        headers = {"ETag": etag(content), "x-ms-type": "File"}
        if self.command == "HEAD":
            digest = base64.b64encode(hashlib.md5(content).digest()).decode()
            self._answer(200, {**headers, "Content-MD5": digest}, content)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", fields.get("x-ms-range", fields.get("range", "")))
        if asked is None:
            self._answer(200, headers, content)
            return
        first = int(asked.group(1))
        last = min(int(asked.group(2) or len(content) - 1), len(content) - 1)
        if first >= len(content):
            self._refuse(416, "InvalidRange")
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(206, headers, content[first : last + 1])

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"x-ms-error-code": code}, b"")

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
