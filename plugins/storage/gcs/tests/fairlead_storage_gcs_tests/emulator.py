"""gcp-storage-emulator in a process of its own, and how to put objects into it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

BUCKET = "models"


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
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gcp_storage_emulator"]
    command += ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        emulator = Emulator(port)
        while not _answers(emulator):
            assert process.poll() is None, "the emulator ended"
        emulator.call("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode(), "application/json")
        yield emulator
    finally:
        process.terminate()
        process.wait()


def _answers(emulator: Emulator) -> bool:
    try:
        return emulator.call("GET", "/") == b"OK"
    except OSError:
        time.sleep(0.05)
        return False
