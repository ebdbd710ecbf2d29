"""gcp-storage-emulator in a process of its own, and how to put objects into it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

BUCKET = "models"

_TELLING = """
import http.server
from gcp_storage_emulator.__main__ import main

class Telling(http.server.HTTPServer):
    def server_activate(self):
        super().server_activate()
        print(self.server_port, flush=True)

http.server.HTTPServer = Telling
main()
"""
"""The emulator, which by itself keeps to itself what port the system chose."""


class Emulator:
    """A running emulator, at its port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._places = itertools.count()

    def call(self, method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream") -> bytes:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status < 300, (answer.status, content)
        return content

    def put(self, key: str, content: bytes, **fields: str) -> None:
        """Upload an object; ``fields`` are of its resource, for example ``contentEncoding``."""
        upload = f"/upload/storage/v1/b/{BUCKET}/o"
        if content and not fields:
            self.call("POST", f"{upload}?uploadType=media&name={urllib.parse.quote(key, safe='')}", content)
            return
        mark = uuid.uuid4().hex
        head = json.dumps({"name": key, **fields})
        parts = (
            f"--{mark}\r\nContent-Type: application/json\r\n\r\n{head}\r\n--{mark}\r\n"
            f"Content-Type: application/octet-stream\r\n\r\n"
        )
        body = parts.encode() + content + f"\r\n--{mark}--".encode()
        self.call("POST", f"{upload}?uploadType=multipart", body, f"multipart/related; boundary={mark}")

    def place(self, tree: Mapping[str, bytes]) -> str:
        root = f"place-{next(self._places)}"
        for name, content in tree.items():
            self.put(f"{root}/{name}", content)
        return f"gs://{BUCKET}/{root}"

    def resource(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.call("GET", f"/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(key, safe='')}")
        )
        return found


@contextlib.contextmanager
def running() -> Iterator[Emulator]:
    command = [sys.executable, "-c", _TELLING]
    command += ["start", "--host", "127.0.0.1", "--port", "0", "--in-memory", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert told, "the emulator ended"
            emulator = Emulator(int(told))
            emulator.call("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode(), "application/json")
            yield emulator
        finally:
            process.terminate()
