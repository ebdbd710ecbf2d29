"""A real S3 server (moto) in a process of its own, and a bucket on it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any

PAGE = 20
"""How many objects a page of a listing holds; Amazon's hold a thousand."""

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "the-secret-that-nobody-prints"}


class Server:
    """The server, and a client of botocore to put objects with."""

    def __init__(self, port: int) -> None:
        import botocore.session

        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client: Any = botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id="placing",
            aws_secret_access_key="placing",
        )

    def bucket(self) -> Bucket:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return Bucket(self, name)


class Bucket:
    """A bucket of its own for each test."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.uri = f"s3://{name}"
        self._places = 0

    def put(self, key: str, content: bytes, **arguments: str) -> str:
        self.server.client.put_object(Bucket=self.name, Key=key, Body=content, **arguments)
        return f"{self.uri}/{key}"

    def change(self, uri: str, content: bytes) -> None:
        self.put(uri.removeprefix(f"{self.uri}/"), content)

    def place(self, tree: Mapping[str, bytes]) -> str:
        self._places += 1
        for name, content in tree.items():
            self.put(f"{self._places}/{name}", content)
        return f"{self.uri}/{self._places}"


def credentials(url: str, **more: str) -> dict[str, str]:
    """What a Secret for this server would hold."""
    return {**KEYS, "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", **more}


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield Server(_port(process, log))
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    """The port that the system chose, which the server tells once it listens."""
    deadline = time.monotonic() + 60
    # What is read at a place moves nobody's end of the file, which is the server's as well.
    while not (found := re.search(rb"http://127\.0\.0\.1:(\d+)\D", os.pread(log.fileno(), 4096, 0))):
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)
    return int(found[1])
