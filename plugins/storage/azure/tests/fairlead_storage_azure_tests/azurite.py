"""Azurite's blob service in a process of its own, and how to put blobs into it."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import pytest
from azure.storage.blob import BlobServiceClient, ContentSettings

ACCOUNT = "models"
CONTAINER = "zoo"
PUBLIC = "open"

_ROOT = Path(__file__).parents[5]


class Azurite:
    """A running Azurite, at its port, with one account."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self._client = BlobServiceClient(self.url, credential={"account_name": ACCOUNT, "account_key": key})
        self._places = itertools.count()

    @property
    def credentials(self) -> dict[str, str]:
        return self.credentials_at(self.url)

    def credentials_at(self, url: str) -> dict[str, str]:
        return {"AZURE_SERVICE_URL": url, "AZURE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCESS_KEY": self.key}

    def create(self) -> None:
        self._client.create_container(CONTAINER)
        self._client.create_container(PUBLIC, public_access="container")

    def put(
        self,
        name: str,
        content: bytes,
        *,
        container: str = CONTAINER,
        metadata: dict[str, str] | None = None,
        settings: ContentSettings | None = None,
    ) -> str:
        """Upload a blob; answers with its ETag, as it is sent."""
        blob = self._client.get_blob_client(container, name)
        done = blob.upload_blob(content, overwrite=True, metadata=metadata, content_settings=settings)
        return str(done["etag"])

    def replace(self, name: str, content: bytes) -> None:
        self.put(name, content)

    def place(self, tree: Mapping[str, bytes]) -> str:
        root = f"place-{next(self._places)}"
        for name, content in tree.items():
            self.put(f"{root}/{name}", content)
        return f"az://{CONTAINER}/{root}"

    def close(self) -> None:
        self._client.close()


def program() -> str:
    """Azurite's program; the test is skipped where there is none."""
    folder = Path(os.environ.get("FAIRLEAD_EMULATORS") or _ROOT / "build" / "emulators")
    found = shutil.which("azurite-blob", path=folder / "node_modules" / ".bin") or shutil.which("azurite-blob")
    if found is None:
        pytest.skip(f"azurite-blob is not installed: npm install --prefix {folder} azurite")
    return found


@contextlib.contextmanager
def running() -> Iterator[Azurite]:
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = [program(), "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.DEVNULL)
        try:
            with contextlib.closing(Azurite(_port(process, log), key)) as azurite:
                azurite.create()
                yield azurite
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    """The port that the system chose, which Azurite tells once it listens."""
    # What is read at a place moves nobody's end of the file, which is Azurite's as well.
    while not (found := re.search(rb"listens on http://127\.0\.0\.1:(\d+)\D", os.pread(log.fileno(), 4096, 0))):
        assert process.poll() is None, "Azurite ended"
        time.sleep(0.05)
    return int(found[1])
