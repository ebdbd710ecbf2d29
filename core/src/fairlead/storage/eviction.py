"""What the cache holds, and removing what was not used for longest: never what a process uses or has mapped."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from fairlead.storage import cache, leases
from fairlead.storage.blobs import Blobs, files

__all__ = ["Entry", "Removed", "entries", "evict", "remove", "size"]

_ABANDONED = 24 * 3600.0
"""Seconds after which a fetch that nobody went on with is removed first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version in the cache, or one fetch that was begun.

    Attributes:
        folder: where it is.
        uri: what was fetched, without what may be secret; empty where that is not known any more.
        bytes: what its files hold; several entries may share them.
        used: when it was used last, in seconds since 1970.
        state: ``ready``; ``old`` for a version that another has replaced; ``partial`` for a fetch that was begun.
        in_use: whether a process uses it, or has one of its files mapped.
    """

    folder: Path
    uri: str
    bytes: int
    used: float
    state: str
    in_use: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Removed:
    """What was removed.

    Attributes:
        entries: how many versions and fetches.
        bytes: by how much the cache is smaller; what has a link elsewhere still takes its room there.
    """

    entries: int
    bytes: int


def entries(folder: Path) -> list[Entry]:
    """What a cache holds, the least recently used first."""
    mapped = _mapped()
    found = [entry for slot in sorted((folder / "artifacts").glob("*")) for entry in _of_slot(folder, slot, mapped)]
    return sorted(found, key=lambda entry: entry.used)


def size(folder: Path) -> int:
    """The bytes of all files in a cache, each once however many names it has."""
    return sum((files(folder / "artifacts") | files(folder / "blobs")).values())


def evict(folder: Path, *, keep_bytes: int = 0, free: int | None = None, now: float | None = None) -> Removed:
    """Remove what was not used for longest, until the cache is small enough.

    Fetches that were begun and given up go first, then versions that others have replaced.

    Args:
        folder: the cache.
        keep_bytes: what it may hold.
        free: instead, how many bytes are to get free.
        now: seconds since 1970.
    """
    before = size(folder)
    goal = keep_bytes if free is None else max(0, before - free)
    moment = time.time() if now is None else now
    Blobs(folder).sweep()
    count, held = 0, size(folder)
    ranks = {"partial": 0, "old": 1, "ready": 2}
    found = sorted(entries(folder), key=lambda entry: (ranks[entry.state], entry.used))
    users = collections.Counter(inode for entry in found for inode in files(entry.folder))
    for entry in found:
        if held <= goal:
            break
        if entry.state == "partial" and moment - entry.used < _ABANDONED and free is not None:
            continue  # somebody may go on with it
        inside = files(entry.folder)
        if not entry.in_use and _removed(folder, entry.folder):
            count += 1
            users.subtract(inside.keys())
            held -= sum(blocks for inode, blocks in inside.items() if users[inode] <= 0)
    Blobs(folder).sweep()
    return Removed(count, max(0, before - size(folder)))


def _of_slot(folder: Path, slot: Path, mapped: set[tuple[int, int]]) -> Iterator[Entry]:
    if slot.is_symlink():
        return  # nothing of what lies outside is removed
    path = slot / "record.json"
    record, uri, used = cache.read_record(path), "", 0.0
    with contextlib.suppress(OSError, ValueError, KeyError):
        uri, used = json.loads(path.read_text(encoding="utf-8"))["uri"], path.stat().st_mtime
    with contextlib.suppress(OSError, ValueError, KeyError):
        uri = uri or json.loads((slot / "partial" / "listing.json").read_text(encoding="utf-8"))["uri"]
    versions = slot / "versions"
    for version in () if versions.is_symlink() else sorted(versions.glob("*")):
        current = record is not None and version.name == record.version
        with contextlib.suppress(FileNotFoundError):
            yield Entry(
                folder=version,
                uri=uri,
                bytes=_bytes(version),
                used=used if current else version.stat().st_mtime,
                state="ready" if current else "old",
                in_use=leases.is_used(version) or bool(mapped and not mapped.isdisjoint(files(version))),
            )
    partial = slot / "partial"
    if partial.is_symlink():
        return
    with contextlib.suppress(FileNotFoundError):
        yield Entry(
            folder=partial,
            uri=uri,
            bytes=_bytes(partial),
            used=partial.stat().st_mtime,
            state="partial",
            in_use=leases.is_locked(folder / "locks" / f"{slot.name}.lock"),
        )


def remove(folder: Path, version: Path) -> bool:
    """Remove a version from a cache, unless it is in use; says whether."""
    removed = _removed(folder, version)
    Blobs(folder).sweep()
    return removed


def _removed(folder: Path, gone: Path) -> bool:
    """Remove a version or a fetch, unless somebody began to use it meanwhile."""
    version = gone.parent.name == "versions"
    slot = gone.parent.parent if version else gone.parent
    with _lock(folder / "locks" / f"{slot.name}.lock") as locked:
        if not locked:
            return False
        with leases.free(gone) if version else contextlib.nullcontext(True) as free:
            if not free:
                return False
            record = cache.read_record(slot / "record.json")
            if version and record is not None and record.version == gone.name:
                (slot / "record.json").unlink(missing_ok=True)
            shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):
            (slot / "versions").rmdir()
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if all(path.name == "leases" for path in slot.iterdir()):
                shutil.rmtree(slot, ignore_errors=True)
        return not gone.exists()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            try:
                yield True
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)


def _bytes(folder: Path) -> int:
    if not folder.exists():
        raise FileNotFoundError(folder)
    return sum(
        os.stat(os.path.join(parent, name), follow_symlinks=False).st_size  # noqa: PTH116,PTH118  # many
        for parent, _, names in os.walk(folder)
        for name in names
    )


def _mapped() -> set[tuple[int, int]]:
    """Device and inode of every file that a process has mapped, as far as this user may see; proc(5)."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError), maps.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                _, _, _, device, inode, *_ = line.split(maxsplit=5)
                if inode != "0":
                    major, _, minor = device.partition(":")
                    found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return found
