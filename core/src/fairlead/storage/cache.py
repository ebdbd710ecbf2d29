"""The cache on disk: one slot for each URI, whose versions are placed whole and never change.

::

    <cache>/
      locks/<slot>.lock            held while a slot is filled; it stays, so that nobody locks a removed file
      blobs/<xx>/<sha256>          the content of every file, once; the files of versions are hard links to it
      artifacts/<slot>/
        record.json                which version is current, and what the source said of it; its time is the last use
        versions/<version>/…       the files, below a name made from their content
        leases/<version>.lock      held, with others, by every process that uses the version
        partial/                   a fetch that is under way or was killed; see `fairlead.storage.partial`

What is written is not forced to the disk, since that takes as long again as the fetch. A record names the runs of the
machine in which its files are known to be what was fetched; in another one they are read and compared once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.storage import digests, uris
from fairlead.storage.blobs import Blobs

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject
    from fairlead.storage.machine import Deadline, Machine

__all__ = ["Content", "Listed", "Record", "Slot", "write_whole"]

_LOCK_PAUSE: Final = 0.1
_MOST_KNOWN: Final = 64
_VERSION: Final = re.compile(r"[0-9a-f]{32}")

Content = tuple[int, str | None]
"""The size of a file in bytes, and its SHA-256 in hexadecimal where that is known: a link has none."""


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
        files: every file in the folder, by relative path.
        boots: the runs of machines in which the files are known to be what was fetched.
        access: with which credentials the source was asked for it, each as what tells them apart without telling them;
            empty for those of the process itself.
        pins: other digests than SHA-256 that its one object was compared with.
    """

    version: str
    listing: tuple[Listed, ...]
    sha256: Mapping[str, str]
    files: Mapping[str, Content]
    boots: tuple[str, ...]
    access: tuple[str, ...]
    pins: tuple[str, ...] = ()

    def unchanged(self, listing: Sequence[Listed]) -> bool:
        """Whether the source surely still has what was fetched."""
        return len(listing) == len(self.listing) and all(
            before.proves(now) for before, now in zip(self.listing, listing, strict=True)
        )

    def unsettled(self, folder: Path) -> list[str]:
        """The files whose digest nobody has taken yet; links have none.

        Args:
            folder: the version's.
        """
        return [name for name, (_, digest) in self.files.items() if digest is None and not (folder / name).is_symlink()]

    def damaged(self, folder: Path, check: Callable[[], None]) -> list[str]:
        """The files of a folder whose content is not what was fetched; every one is read.

        Args:
            folder: the version's.
            check: called between files, to raise when time is up.
        """
        found = []
        for name, (_, digest) in self.files.items():
            check()
            try:
                if digest is not None and digests.of_file(folder / name, digests.Hashes(())).sha256 != digest:
                    found.append(name)
            except OSError:
                found.append(name)  # gone, or on a part of the disk that cannot be read any more
        return found


class Slot:
    """The place of one URI in the cache.

    Args:
        cache: the cache folder.
        uri: the URI; of what may be secret in it only a digest is written.
        boot: names this run of the machine.
        variant: what else tells its artefact from others of the same URI.
    """

    def __init__(self, cache: Path, uri: str, boot: str = "", variant: str = "") -> None:
        self.uri = uri
        self.boot = boot
        key = f"{uri}\n{variant}" if variant else uri
        self.name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.folder = cache / "artifacts" / self.name
        self.versions = self.folder / "versions"
        self.partial = self.folder / "partial"
        self._blobs = Blobs(cache)
        self._record = self.folder / "record.json"
        self._lock = cache / "locks" / f"{self.name}.lock"
        self._cache = cache
        self._readable: frozenset[str] | None = None
        self.reader = ""
        """With which credentials it is filled; see `Record.access`."""

    @contextlib.contextmanager
    def locked(self, deadline: Deadline, machine: Machine) -> Iterator[None]:
        """Hold the slot alone, among threads, processes and, where the file system has locks, machines.

        Raises:
            StorageTimeout: another fetcher holds it until the deadline.
            UnsafeArtifact: somebody has put a link to another folder into its place.
        """
        for folder in (self.folder, self.versions, self.partial):
            if folder.is_symlink():
                raise errors.UnsafeArtifact(f"{folder} is a symbolic link.", remedy="Remove it from the cache.")
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
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # a process that was forked meanwhile would go on holding it

    def current(self, check: Callable[[], None], *, verify: bool = False) -> Record | None:
        """The record of the current version, if its files are all there.

        Their sizes are looked at; their content as well in a run of the machine that has not done so yet.

        Args:
            check: called between files that are read, to raise when time is up.
            verify: whether the content is looked at in any case.
        """
        record = read_record(self._record)
        if record is None or _sizes(self.path(record)) != {name: size for name, (size, _) in record.files.items()}:
            return None
        known = self.boot in record.boots
        if (verify or not known) and record.unsettled(self.path(record)):
            return None  # nobody knows what they should be
        if (verify or not known) and (damaged := record.damaged(self.path(record), check)):
            for name in damaged:
                self._blobs.drop(record.files[name][1])
            shutil.rmtree(self.path(record), ignore_errors=True)
            return None
        if not known:
            record = dataclasses.replace(record, boots=(*record.boots, self.boot)[-_MOST_KNOWN:])
            self._write(record)
        os.utime(self._record)
        return record

    def path(self, record: Record) -> Path:
        """The folder of a version."""
        return self.versions / record.version

    def take(self, digest: str | None, size: int | None, target: Path) -> bool:
        """Put a file that is in the cache under another name into a place, if one has this digest; says whether.

        It was fetched with the same credentials: a server that announces a digest proves nothing of who may read it.
        """
        algorithm, _, value = (digest or "").lower().partition(":")
        if algorithm != "sha256" or not self._blobs.path(value).exists():
            return False
        if self._readable is None:
            self._readable = frozenset(_contents(self._cache, self.reader))
        return value in self._readable and self._blobs.take(digest, size, target)

    def grant(self, record: Record, access: str) -> None:
        """Note that the source lets these credentials have a version."""
        if access not in record.access:
            self._write(dataclasses.replace(record, access=(*record.access, access)[-_MOST_KNOWN:]))

    def place(
        self,
        tree: Path,
        version: str,
        listing: Sequence[Listed],
        sha256: Mapping[str, str],
        contents: Mapping[str, str],
        access: str = "",
        pins: Sequence[str] = (),
    ) -> Record:
        """Move a finished tree to its version, record it as the current one, and clear what is left over.

        A version that is there already, with the same files, is kept: a process may be reading it.

        Args:
            tree: the tree.
            version: what it is called.
            listing: what the source said.
            sha256: the digests of the objects.
            contents: the digests of the files in the tree, where those are known; an empty one is not.
            access: with which credentials it was fetched.
            pins: digests that its one object was compared with.
        """
        sizes = _sizes(tree)
        files = {name: (size, contents.get(name) or None) for name, size in sorted(sizes.items())}
        record = Record(
            version=version,
            listing=tuple(listing),
            sha256={name: digest for name, digest in sha256.items() if digest},
            files=files,
            boots=(self.boot,),
            access=(access,),
            pins=tuple(pins),
        )
        target = self.path(record)
        self.versions.mkdir(parents=True, exist_ok=True)
        if target.exists() and (_sizes(target) != sizes or self._is_damaged(record, target)):
            aside = self.partial / "damaged"
            shutil.rmtree(aside, ignore_errors=True)
            target.rename(aside)
        if not target.exists():
            for name, (size, digest) in files.items():
                if digest is not None:
                    self._blobs.share(tree / name, digest, size)
            tree.rename(target)
        self._write(record)
        self.discard()
        return record

    def _is_damaged(self, record: Record, target: Path) -> bool:
        """Whether a version that was replaced is not what it was; nobody has looked at it since. Nor are its blobs."""
        damaged = record.damaged(target, lambda: None)
        for name in damaged:
            self._blobs.drop(record.files[name][1])
        return bool(damaged or record.unsettled(target))

    def settle(self, record: Record, found: Mapping[str, str]) -> None:
        """Note the digests of the files of a version that was placed without; its lock is held.

        Nothing happens where it is not the current one any more.
        """
        now = read_record(self._record)
        if now is None or now.version != record.version:
            return
        for name, digest in found.items():
            self._blobs.share(self.path(now) / name, digest, now.files[name][0])
        files = {name: (size, digest or found.get(name)) for name, (size, digest) in now.files.items()}
        objects = {each.name: found[each.name] for each in now.listing if each.name in found}
        used = self._record.stat()
        self._write(dataclasses.replace(now, files=files, sha256={**now.sha256, **objects}))
        os.utime(self._record, ns=(used.st_atime_ns, used.st_mtime_ns))

    def _write(self, record: Record) -> None:
        content: dict[str, Any] = {"uri": uris.redact(self.uri), **dataclasses.asdict(record)}
        write_whole(self._record, json.dumps(content))

    def discard(self) -> None:
        """Remove the partial fetch, and the slot itself when it holds nothing else."""
        shutil.rmtree(self.partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def read_record(path: Path) -> Record | None:
    """A record; None where there is none, or one of another version of this format: the source is asked again."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not _VERSION.fullmatch(data["version"]) or any(_leads_out(name) for name in data["files"]):
            return None  # whoever else may write to the cache has no say in what lies outside of it
        return Record(
            version=data["version"],
            listing=tuple(Listed(**entry) for entry in data["listing"]),
            sha256=data["sha256"],
            files={name: (size, digest) for name, (size, digest) in data["files"].items()},
            boots=tuple(data["boots"]),
            access=tuple(data["access"]),
            pins=tuple(data.get("pins", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _contents(cache: Path, reader: str) -> Iterator[str]:
    """The SHA-256 of every file in a cache that was fetched with some credentials."""
    for path in (cache / "artifacts").glob("*/record.json"):
        record = read_record(path)
        if record is not None and reader in record.access:
            yield from (digest for _, digest in record.files.values() if digest is not None)
            yield from record.sha256.values()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds either the old or the new one; after a power cut it may be empty.

    What is left of an earlier attempt is not written to: in a cache of several users it may be a link to elsewhere.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with beside.open("x", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def _sizes(folder: Path) -> dict[str, int]:
    """The size of every file below a folder, links not followed; empty when there is no folder."""
    sizes: dict[str, int] = {}
    pending = [(str(folder), "")]
    while pending:
        path, prefix = pending.pop()
        with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    sizes[f"{prefix}{entry.name}"] = entry.stat(follow_symlinks=False).st_size
    return sizes
