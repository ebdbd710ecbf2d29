"""A fetch under way, on disk: what of it is there, and what of that is surely part of the same content.

::

    partial/
      listing.json   what the source said of each object when its file was begun, and in which run of the machine
      done.jsonl     one line for each object that arrived whole, with its SHA-256
      files/…        the files, under their names
      marks/…        which blocks of a large file are there; see `fairlead.storage.growing`
      unpacked/…     what was packed
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from fairlead.storage import cache, digests
from fairlead.storage.cache import Listed
from fairlead.storage.growing import Growing

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject

__all__ = ["IN_BLOCKS", "Partial", "continuable"]

IN_BLOCKS: Final = 16 * 1024 * 1024
"""Bytes from which on a file arrives in blocks; below it, one stream from front to back is as fast."""


def continuable(item: RemoteObject) -> bool:
    """Whether a part of an object may be joined to another that is read later."""
    return item.resumable and (item.etag is not None or item.digest is not None)


class Partial:
    """The folder of a fetch under way; its slot's lock is held.

    Args:
        folder: the folder; made in `resume`.
        boot: names this run of the machine. What another run wrote and did not say to be whole may be lost.
        shown: what is fetched, without what may be secret, for whoever looks at the folder.
    """

    def __init__(self, folder: Path, boot: str, shown: str = "") -> None:
        self.folder = folder
        self._shown = shown
        self.tree = folder / "files"
        self.done: dict[str, str] = {}
        self._boot = boot
        self._listing = folder / "listing.json"
        self._done = folder / "done.jsonl"
        self._marks = folder / "marks"
        self._lock = threading.Lock()
        self._noting: TextIO | None = None

    def resume(self, items: Sequence[RemoteObject], check: Callable[[], None]) -> None:
        """Keep what is surely part of the same content, remove the rest, and note what is fetched now.

        Args:
            items: what the source has now.
            check: called between files that are read again, to raise when time is up.
        """
        boot, before = _read_listing(self._listing)
        now = {item.name: Listed.of(item) for item in items}
        kept = {item.name: item for item in items if item.name in before and self._keeps(item, before[item.name])}
        done = {name: digest for name, digest in _read_done(self._done).items() if name in kept}
        if boot != self._boot:
            done = {name: digest for name, digest in done.items() if self._holds(name, digest, check)}
            kept = {name: kept[name] for name in done}
        if not kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        for name in before.keys() - kept.keys():
            (self.tree / name).unlink(missing_ok=True)
            self._marks_of(name).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self.tree, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()  # what was a folder may be a file now; one that holds files stays
        self.done = {
            name: digest
            for name, digest in done.items()
            if (self.tree / name).is_file() and kept[name].size in (None, length(self.tree / name))
        }
        self.tree.mkdir(parents=True, exist_ok=True)
        cache.write_whole(self._done, "".join(_done_line(name, digest) for name, digest in self.done.items()))
        listing = [dataclasses.asdict(entry) for entry in now.values()]
        cache.write_whole(self._listing, json.dumps({"uri": self._shown, "boot": self._boot, "objects": listing}))

    def _keeps(self, item: RemoteObject, before: Listed) -> bool:
        whole = length(self.tree / item.name) == item.size and not self._marks_of(item.name).exists()
        return before.proves(Listed.of(item)) and (item.resumable or whole)

    def _holds(self, name: str, digest: str, check: Callable[[], None]) -> bool:
        check()
        path = self.tree / name
        return path.is_file() and digests.of_file(path, digests.Hashes(())).sha256 == digest

    def growing(self, item: RemoteObject) -> Growing:
        """The file of an object, with what is there of it."""
        blocks = continuable(item) and item.size is not None and item.size >= IN_BLOCKS
        path = self.tree / item.name
        marks = self._marks_of(item.name)
        if not blocks and marks.exists():
            marks.unlink()
            path.unlink(missing_ok=True)
        if item.name not in self.done and path.is_file() and path.stat().st_nlink > 1:
            path.unlink()  # a link to the cache, made just before a kill: what is written to it is written there
        return Growing(path, item.size, marks if blocks and item.name not in self.done else None)

    def note_done(self, name: str, digest: str) -> None:
        """Note that an object arrived whole; from any thread."""
        with self._lock:
            self.done[name] = digest
            if self._noting is None:
                self._noting = self._done.open("a", encoding="utf-8")
            self._noting.write(_done_line(name, digest))
            self._noting.flush()
            if self._marks.exists():
                self._marks_of(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Close what notes are written to; what is there stays."""
        with self._lock:
            if self._noting is not None:
                self._noting.close()
                self._noting = None

    def drop(self, name: str) -> None:
        """Remove what is there of an object, or the next fetch would go on from bytes that are known to be wrong."""
        (self.tree / name).unlink(missing_ok=True)
        self._marks_of(name).unlink(missing_ok=True)

    def _marks_of(self, name: str) -> Path:
        return self._marks / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def length(path: Path) -> int:
    """The length of a file in bytes; zero where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _done_line(name: str, digest: str) -> str:
    return json.dumps({"name": name, "sha256": digest}) + "\n"


def _read_listing(path: Path) -> tuple[str | None, dict[str, Listed]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["boot"], {entry["name"]: Listed(**entry) for entry in content["objects"]}
    except (OSError, ValueError, TypeError, KeyError):
        return None, {}


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
