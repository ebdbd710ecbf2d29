"""Downloading the objects of a listing into a slot's ``partial`` folder, going on where an earlier fetch stopped.

::

    partial/
      listing.json   what the source said of each object when its file was begun
      done.jsonl     one line for each object that arrived whole, with its SHA-256
      files/…        the files, under their names
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fairlead import errors
from fairlead.storage import cache, digests, faults, names, uris
from fairlead.storage.cache import Listed, Slot
from fairlead.storage.machine import Deadline, Machine, Retries
from fairlead.storage.settings import CACHE_VARIABLE, FetchSettings

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject, StorageProvider
    from fairlead.storage.digests import Hashes
    from fairlead.storage.progress import Advance, Progress

__all__ = ["Download"]


class Download:
    """One download; made for one listing, run once.

    Args:
        slot: where to; its lock is held.
        provider: where from.
        settings: the limits.
        machine: time, chance and disk.
        deadline: when to give up.
        digest: what the user says that the one object must be, as ``<algorithm>:<hexadecimal>``.
    """

    def __init__(
        self,
        slot: Slot,
        provider: StorageProvider,
        settings: FetchSettings,
        machine: Machine,
        deadline: Deadline,
        digest: str | None = None,
    ) -> None:
        self._slot = slot
        self._provider = provider
        self._settings = settings
        self._machine = machine
        self._deadline = deadline
        self._digest = digest
        self._label = uris.redact(slot.uri)
        self._retries = Retries(settings, machine, deadline)
        self._total = 0
        self._done: dict[str, str] = {}
        self.tree = slot.partial / "files"

    def run(self, items: Sequence[RemoteObject], progress: Progress) -> dict[str, str]:
        """Download every object, and return the SHA-256 of each by name.

        Raises:
            StorageError: the objects may not, or could not, be fetched.
        """
        self._judge(items)
        self._resume(items)
        here = sum(_length(self.tree / item.name) for item in items)
        sizes = [item.size for item in items]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        self._ask_for_space(total, here)
        self._total = here
        with progress.transfer(self._label, total=total, done=here) as advance:
            for item in items:
                if item.name not in self._done:
                    self._fetch(item, advance)
        return self._done

    def _judge(self, items: Sequence[RemoteObject]) -> None:
        if not items:
            raise errors.ArtifactNotFound(f"There is nothing at {self._label}.")
        if self._digest is not None and len(items) > 1:
            raise errors.StorageError(
                f"{self._label} holds {len(items)} objects, and a digest is of one.",
                remedy="Name the one object, or leave the digest out.",
            )
        known = names.Names(self._settings.max_members)
        for item in items:
            known.add(item.name)
        self._bound(sum(item.size or 0 for item in items))

    def _bound(self, total: int) -> None:
        if total > self._settings.max_bytes:
            raise errors.StorageLimitExceeded(
                f"{self._label} has {total} bytes or more, and the limit is {self._settings.max_bytes}.",
                remedy="The setting max_bytes is the limit.",
            )

    def _ask_for_space(self, total: int | None, here: int) -> None:
        free = self._machine.free_space(self._slot.partial)
        if total is not None and total - here > free:
            raise errors.StorageLimitExceeded(
                f"{self._label} needs {total - here} bytes, and {self._settings.cache} has {free} free.",
                remedy=f"Make room, or name another folder in {CACHE_VARIABLE}.",
            )

    # -- state ------------------------------------------------------------------------------------------

    def _resume(self, items: Sequence[RemoteObject]) -> None:
        """Keep what is surely part of the same content, remove the rest, and note what is fetched now."""
        listing_file = self._slot.partial / "listing.json"
        before = {entry.name: entry for entry in _read_listing(listing_file)}
        now = {item.name: Listed.of(item) for item in items}
        kept = {
            item.name
            for item in items
            if item.name in before
            and before[item.name].proves(now[item.name])
            and (item.resumable or _length(self.tree / item.name) == item.size)
        }
        if not kept:
            shutil.rmtree(self._slot.partial, ignore_errors=True)
        for name in before.keys() - kept:
            (self.tree / name).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self.tree, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()  # what was a folder may be a file now; one that holds files stays
        sizes = {item.name: item.size for item in items if item.name in kept}
        self._done = {
            name: digest
            for name, digest in _read_done(self._slot.partial / "done.jsonl").items()
            if name in sizes and (self.tree / name).is_file() and sizes[name] in (None, _length(self.tree / name))
        }
        self.tree.mkdir(parents=True, exist_ok=True)
        done = "".join(_done_line(name, digest) for name, digest in self._done.items())
        cache.write_whole(self._slot.partial / "done.jsonl", done)
        cache.write_whole(listing_file, json.dumps([dataclasses.asdict(entry) for entry in now.values()]))

    def _note_done(self, item: RemoteObject, digest: str) -> None:
        self._done[item.name] = digest
        with (self._slot.partial / "done.jsonl").open("a", encoding="utf-8") as file:
            file.write(_done_line(item.name, digest))

    # -- one object -------------------------------------------------------------------------------------

    def _fetch(self, item: RemoteObject, advance: Advance) -> None:
        path = self.tree / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        hashes = digests.Hashes(digest for digest in (item.digest, self._digest) if digest is not None)
        try:
            with path.open("ab") as file:
                if file.tell():
                    self._deadline.check()
                    digests.of_file(path, hashes)
                hashes = self._receive(item, file, hashes, advance)
                file.flush()
                os.fsync(file.fileno())
            hashes.verify(f"{item.name} of {self._label}")
        except errors.IntegrityError:
            path.unlink()  # or the next fetch would go on from bytes that are known to be wrong
            raise
        self._note_done(item, hashes.sha256)

    def _receive(self, item: RemoteObject, file: BinaryIO, hashes: Hashes, advance: Advance) -> Hashes:
        """Append what is missing to a file, attempt after attempt, and return its hashes."""
        have = file.tell()
        while True:
            try:
                for chunk in self._chunks(item, have):
                    have += len(chunk)
                    self._arrived(item, have, len(chunk))
                    file.write(chunk)
                    hashes.update(chunk)
                    advance(len(chunk))
                if item.size is not None and have < item.size:
                    raise errors.StorageUnavailable(
                        f"{item.name} of {self._label} ended after {have} of {item.size} bytes."
                    )
                return hashes
            except errors.StorageUnavailable as error:
                file.flush()
                self._retries.pause(error)
                if not _continuable(item):
                    file.truncate(0)
                    advance(-have)
                    self._total -= have
                    have, hashes = 0, hashes.restarted()

    def _chunks(self, item: RemoteObject, start: int) -> Iterator[bytes]:
        if item.size is not None and start >= item.size:
            if start > item.size:
                raise errors.IntegrityError(f"{item.name} of {self._label} has more than {item.size} bytes here.")
            return
        self._deadline.check()
        with faults.of_provider(self._label):
            yield from self._provider.open_range(item, start)

    def _arrived(self, item: RemoteObject, have: int, count: int) -> None:
        self._deadline.check()
        if count:
            self._retries.progressed()
        if item.size is not None and have > item.size:
            raise errors.IntegrityError(
                f"{item.name} of {self._label} goes on after the {item.size} bytes that its source announced."
            )
        self._total += count
        self._bound(self._total)


def _continuable(item: RemoteObject) -> bool:
    return item.resumable and (item.etag is not None or item.digest is not None)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _done_line(name: str, digest: str) -> str:
    return json.dumps({"name": name, "sha256": digest}) + "\n"


def _read_listing(path: Path) -> list[Listed]:
    try:
        return [Listed(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _read_done(path: Path) -> dict[str, str]:
    done: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return done
    for line in lines:
        try:
            entry = json.loads(line)
            done[entry["name"]] = entry["sha256"]
        except (ValueError, KeyError, TypeError):
            continue  # the last line, cut by a kill: its object is verified again
    return done
