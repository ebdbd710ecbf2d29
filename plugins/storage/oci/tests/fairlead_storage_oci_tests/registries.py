"""Debian's registry, started for tests, and pushing to it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Descriptor: TypeAlias = dict[str, Any]

_EMULATORS = Path(__file__).parents[5] / "build" / "emulators"
_START_SECONDS = 60.0


def program() -> str:
    """The registry's program; the test is skipped where there is none."""
    folder = Path(os.environ.get("FAIRLEAD_EMULATORS", _EMULATORS))
    own = folder / "docker-registry" / "usr" / "bin" / "docker-registry"
    found = str(own) if own.exists() else shutil.which("docker-registry")
    if found is None:
        pytest.skip("needs docker-registry: apt-get install docker-registry, or make emulators")
    return found


class Registry:
    """A registry on this machine."""

    def __init__(self, port: int, secure: ssl.SSLContext | None = None) -> None:
        self.host = f"127.0.0.1:{port}"
        self.url = f"{'https' if secure else 'http'}://{self.host}"

    def blob(self, repository: str, content: bytes, media_type: str, **annotations: str) -> Descriptor:
        """Push a blob."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        started = self._ask("POST", f"{self.url}/v2/{repository}/blobs/uploads/")
        place = str(started["Location"])
        self._ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content, "application/octet-stream")
        made: Descriptor = {"mediaType": media_type, "digest": digest, "size": len(content)}
        return {**made, "annotations": annotations} if annotations else made

    def manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> Descriptor:
        """Push a manifest or an index, under a tag."""
        content = json.dumps(document).encode()
        self._ask("PUT", f"{self.url}/v2/{repository}/manifests/{tag}", content, document["mediaType"])
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(content)}

    @staticmethod
    def _ask(method: str, url: str, body: bytes = b"", content_type: str = "") -> Mapping[str, str]:
        headers = {"Content-Type": content_type} if content_type else {}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(answer.headers.items())


@contextlib.contextmanager
def running(
    folder: Path, storage: Path, *, auth: Mapping[str, Any] | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[Registry]:
    """A registry over a folder of contents, which several may share.

    Args:
        folder: for its configuration.
        storage: for what is pushed.
        auth: the section of its configuration about logins.
        tls: the files of a certificate and its key.
    """
    configuration = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {
            "addr": "127.0.0.1:0",
            "secret": "tests",
            **({"tls": {"certificate": str(tls[0]), "key": str(tls[1])}} if tls else {}),
        },
        **({"auth": auth} if auth else {}),
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([program(), "serve", str(file)], stdout=output, stderr=output)
    try:
        yield Registry(_port(process, log), ssl.create_default_context() if tls else None)
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the system chose, which the registry tells once it listens."""
    until = time.monotonic() + _START_SECONDS
    while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)\D", log.read_text())):
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"docker-registry does not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return int(found[1])
