"""A storage provider for tests: folders of many objects on the HTTP server, and addresses that stand for others.

``bucket://host:port/folder`` lists what ``index.json`` in that folder says, which a test may lie in;
``alias://host:port/file`` stands for the address that the file holds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.contracts.storage import RemoteObject, StorageProvider, Unpacking
from fairlead.storage.http.provider import HttpProvider
from fairlead_tests.storage.server import Server, etag_of
from fairlead_tests.storage.stopping import sha256

if TYPE_CHECKING:
    from fairlead_tests.plugins.distributions import Site

__all__ = ["BucketProvider", "Child", "bucket", "install"]

_PLUGIN = """
from fairlead import StorageSpec, hookimpl

@hookimpl
def fairlead_storage_providers():
    prefixes = ("bucket://", "alias://")
    factory = "fairlead_tests.storage.buckets:BucketProvider"
    return [StorageSpec(name={name!r}, prefixes=prefixes, factory=factory, credentials=("BUCKET_*",))]
"""


class BucketProvider(HttpProvider):
    """Reads over HTTP what an index names."""

    def resolve(self, uri: str) -> str:
        if not uri.startswith("alias://"):
            return uri
        return self._read(uri.replace("alias://", "http://")).decode()

    def list(self, uri: str) -> Sequence[RemoteObject]:
        root = uri.replace("bucket://", "http://").rstrip("/")
        found = []
        for entry in json.loads(self._read(f"{root}/index.json")):
            unpacking = Unpacking(**entry.pop("unpacking")) if "unpacking" in entry else None
            found.append(RemoteObject(key=f"{root}/{entry['name']}", unpacking=unpacking, **entry))
        return found

    def _read(self, uri: str) -> bytes:
        (item,) = HttpProvider.list(self, uri)
        return b"".join(self.open_range(item))


assert issubclass(BucketProvider, StorageProvider)


def install(site: Site) -> None:
    site.install("bucket", plugin=_PLUGIN, group="fairlead.storage", distribution="fairlead-storage-bucket")


def bucket(
    server: Server,
    tree: Mapping[str, bytes],
    *,
    digests: bool = False,
    unpacking: Mapping[str, Unpacking] | None = None,
    lies: Mapping[str, Mapping[str, Any]] | None = None,
    folder: str = "models",
) -> str:
    """Put objects onto the server, and an index that tells of them in their order."""
    entries = []
    for name, content in tree.items():
        server.put(f"/{folder}/{name}", content)
        entry: dict[str, Any] = {"name": name, "size": len(content), "etag": etag_of(content)}
        if digests:
            entry["digest"] = f"sha256:{sha256(content)}"
        if unpacking is not None and name in unpacking:
            entry["unpacking"] = dataclasses.asdict(unpacking[name])
        entries.append(entry | dict((lies or {}).get(name, {})))
    server.put(f"/{folder}/index.json", json.dumps(entries).encode())
    return f"bucket://127.0.0.1:{server.port}/{folder}"


class Child:
    """A Python process that sees what is installed in a site.

    Args:
        script: what it runs; the names that a fetch needs are imported.
        arguments: its ``sys.argv[1:]``.
        site: the site.
        options: of `subprocess.Popen`.
    """

    HEAD = """
import os, pathlib, resource, sys, threading, time
from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.machine import Machine
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings

def fetcher(cache, machine=None, progress=None, **settings):
    chosen = FetchSettings(cache=pathlib.Path(cache), **settings)
    return Fetcher(Plugins.discover(), chosen, progress or SilentProgress(), machine=machine)
"""

    def __init__(self, script: str, *arguments: object, site: Site | None = None, **options: Any) -> None:
        found = [str(Path(__file__).parents[2]), *([str(site.folder)] if site is not None else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.HEAD + script, *map(str, arguments)],
            **{
                "stdin": subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "env": {**os.environ, "PYTHONPATH": os.pathsep.join(found)},
                **options,
            },
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return str(self.process.stdout.readline()).strip()

    def result(self) -> str:
        """What it has printed when it ends well."""
        output, complaints = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, complaints
        return str(output).strip()

    def end(self) -> None:
        """Let it go on from where it waits for its input, and wait for its end."""
        self.process.communicate(timeout=60)
