"""The cache on disk: one slot for each URI, whose versions are placed whole and never change.

::

    <cache>/
      locks/<slot>.lock            held while a slot is filled; it stays, so that nobody locks a removed file
      artifacts/<slot>/
        record.json                which version is current, and what the source said of it
        versions/<version>/…       the files, below a name made from their content
        partial/                   a fetch that is under way or was killed; see `fairlead.storage.download`
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.storage import uris

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject
    from fairlead.storage.machine import Deadline, Machine

__all__ = ["Listed", "Record", "Slot", "sync_folder", "write_whole"]

_LOCK_PAUSE: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """What a source said of one object: the part of a `RemoteObject` that may be written to disk.

    The key is left out, since a signed URL is a secret.
    """

    name: str
    size: int | None
    etag: str | None
    digest: str | None

    @classmethod
    def of(cls, item: RemoteObject) -> Listed:
        """What is kept of a remote object."""
        return cls(item.name, item.size, item.etag, item.digest)

    def proves(self, other: Listed) -> bool:
        """Whether both are surely the same content: equal, with a tag or a digest that would tell a change."""
        return self == other and (self.etag is not None or self.digest is not None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a slot's current version.

    Attributes:
        version: the name of its folder.
        listing: what the source said.
        sha256: the SHA-256 of every object, by name, in hexadecimal.
        files: the size of every file in the folder, by relative path.
    """

    version: str
    listing: tuple[Listed, ...]
    sha256: Mapping[str, str]
    files: Mapping[str, int]

    def unchanged(self, listing: Sequence[Listed]) -> bool:
        """Whether the source surely still has what was fetched."""
        return len(listing) == len(self.listing) and all(
            before.proves(now) for before, now in zip(self.listing, listing, strict=True)
        )


class Slot:
    """The place of one URI in the cache.

    Args:
        cache: the cache folder.
        uri: the URI; of what may be secret in it only a digest is written.
    """

    def __init__(self, cache: Path, uri: str) -> None:
        self.uri = uri
        self.name = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.folder = cache / "artifacts" / self.name
        self.versions = self.folder / "versions"
        self.partial = self.folder / "partial"
        self._record = self.folder / "record.json"
        self._lock = cache / "locks" / f"{self.name}.lock"

    @contextlib.contextmanager
    def locked(self, deadline: Deadline, machine: Machine) -> Iterator[None]:
        """Hold the slot alone, among threads, processes and, where the file system has locks, machines.

        Raises:
            StorageTimeout: another fetcher holds it until the deadline.
        """
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if deadline.remaining <= 0:
                        raise deadline.passed("is being fetched by another process, which did not finish") from None
                    machine.sleep(min(_LOCK_PAUSE, deadline.remaining))
            yield

    def current(self) -> Record | None:
        """The record of the current version, if its files are all there with their sizes."""
        try:
            data = json.loads(self._record.read_text(encoding="utf-8"))
            record = Record(
                version=data["version"],
                listing=tuple(Listed(**entry) for entry in data["listing"]),
                sha256=data["sha256"],
                files=data["files"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None  # absent, or of another version of this format: the source is asked again
        return record if _sizes(self.path(record)) == record.files else None

    def path(self, record: Record) -> Path:
        """The folder of a version."""
        return self.versions / record.version

    def place(self, tree: Path, version: str, listing: Sequence[Listed], sha256: Mapping[str, str]) -> Record:
        """Move a finished tree to its version, record it as the current one, and clear what is left over.

        A version that is there already, with the same files, is kept: a process may be reading it.
        """
        record = Record(version=version, listing=tuple(listing), sha256=dict(sha256), files=_sizes(tree))
        target = self.path(record)
        self.versions.mkdir(parents=True, exist_ok=True)
        if target.exists() and _sizes(target) != record.files:
            aside = self.partial / "damaged"
            shutil.rmtree(aside, ignore_errors=True)
            target.rename(aside)
        if not target.exists():
            for folder, _, _ in os.walk(tree):
                sync_folder(Path(folder))
            tree.rename(target)
            sync_folder(self.versions)
        content: dict[str, Any] = {"uri": uris.redact(self.uri), **dataclasses.asdict(record)}
        write_whole(self._record, json.dumps(content, indent=1))
        self.discard()
        return record

    def discard(self) -> None:
        """Remove the partial fetch, and the slot itself when it holds nothing else."""
        shutil.rmtree(self.partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is either the old or the new one, also after a crash."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sizes(folder: Path) -> dict[str, int]:
    """The size of every file below a folder, links not followed; empty when there is no folder."""
    sizes = {}
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            sizes[str(path.relative_to(folder))] = path.lstat().st_size
    return sizes
