"""One fetch: an address, its provider, its place in the cache, and a deadline."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, Unpacking
from fairlead.storage import archives, digests, eviction, faults, uris
from fairlead.storage.cache import Listed, Record, Slot
from fairlead.storage.download import Download
from fairlead.storage.layers import Tree
from fairlead.storage.machine import Deadline, Machine, Retries
from fairlead.storage.partial import continuable

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageProvider
    from fairlead.storage.arriving import Arrival
    from fairlead.storage.leases import Leases
    from fairlead.storage.progress import Progress
    from fairlead.storage.settings import FetchSettings
    from fairlead.storage.settling import Settling
    from fairlead.storage.shares import Shares

__all__ = ["Fetch", "slot_of"]

_log = logging.getLogger("fairlead.storage")

_FRESH_STARTS: Final = 2
"""How often a download whose source changed under way is begun again before that is an error."""

_WORTH_KEEPING: Final = (errors.StorageUnavailable, errors.StorageTimeout, errors.AccessDenied)
"""Failures after which a later fetch goes on; after any other the partial files are removed."""


def slot_of(settings: FetchSettings, uri: str, machine: Machine, origin: str = "") -> Slot:
    """The place of a URI in the cache; what is left out of it, or another server, makes it another artefact."""
    parts = [settings.allow, settings.ignore, origin]
    return Slot(settings.cache, uri, machine.boot, json.dumps(parts) if any(parts) else "")


class Fetch:
    """One fetch; made for one address, run once.

    Args:
        uri: the address.
        digest: what its one object must be.
        provider: what reads it.
        settings: the limits.
        machine: time, chance and disk.
        deadline: when to give up.
        shares: what it shares with other fetches.
        leases: where what it finds is held.
        access: tells with which credentials it asks; see `fairlead.storage.cache.Record`.
        origin: tells which server answers, where the address does not; see `StorageSpec.origins`.
        arrival: who reads the files while they arrive; None for nobody. Such a download is not begun again.
        settling: what takes digests after files were handed over; None to take them as the files arrive.
    """

    def __init__(
        self,
        uri: str,
        digest: str | None,
        provider: StorageProvider,
        settings: FetchSettings,
        machine: Machine,
        deadline: Deadline,
        shares: Shares,
        leases: Leases,
        access: str,
        origin: str = "",
        arrival: Arrival | None = None,
        settling: Settling | None = None,
    ) -> None:
        self._uri = uri
        self._shown = uris.redact(uri)
        self._digest = digest
        self._provider = provider
        self._settings = settings
        self._machine = machine
        self._deadline = deadline
        self._shares = shares
        self._leases = leases
        self._access = access
        self._arrival = arrival
        self._settling = settling
        self._slot = slot_of(settings, uri, machine, origin)
        self._slot.reader = access

    # -- local ------------------------------------------------------------------------------------------

    def local(self) -> Path:
        """The path itself, or the folder that a local archive is unpacked to."""
        items = self._list()
        path = _local_root(items, self._uri)
        if self._digest is not None:
            if not path.is_file():
                raise errors.StorageError(
                    f"{self._shown} is a folder, and a digest is of one file.",
                    remedy="Name the one file, or leave the digest out.",
                )
            digests.of_file(path, digests.Hashes([self._digest])).verify(self._shown)
        kind = archives.kind_of(path.name) if path.is_file() else None
        if kind is None:
            if path.is_dir() and not all(self._settings.takes(item.name) for item in items):
                _log.warning("%s is used where it is, whole: patterns leave nothing out of a local folder", self._shown)
            self._leases.hold_within(self._settings.cache, path.absolute())
            return path
        with self._filling() as slot:
            listing = [Listed.of(item) for item in items]
            current = slot.current(self._deadline.check, verify=self._settings.verify)
            if current is not None and current.unchanged(listing):
                return self._found(slot, current)
            tree = self._tree()
            with path.open("rb") as source:
                tree.unpack(path.name, Unpacking(kind=kind), source, path.stat().st_size)
            tree.finish()
            if [Listed.of(item) for item in self._list()] != listing:
                raise errors.IntegrityError(f"{self._shown} changed while it was unpacked.")
            version = _version([str(entry) for entry in listing])
            return self._found(slot, slot.place(tree.root, version, listing, {}, tree.sha256, self._access))

    # -- remote -----------------------------------------------------------------------------------------

    def remote(self, report: Progress) -> Path:
        """The folder of the current version, downloaded if it is not there."""
        with self._filling() as slot:
            record = self._current(slot, report)
        if self._settling is not None and record.unsettled(slot.path(record)):
            self._settling.begin(slot, record, self._machine)
        return slot.path(record)

    def _current(self, slot: Slot, report: Progress) -> Record:
        """The version that the source has now, held."""
        current = slot.current(self._deadline.check, verify=self._settings.verify)
        _log.info("fetching %s", self._shown)
        starts = 0
        while True:
            items = self._list()
            listing = [Listed.of(item) for item in items]
            if current is not None and self._may_use(current, listing, items):
                slot.discard()
                slot.grant(current, self._access)
                _log.info("%s has not changed; it is in the cache", self._shown)
                self._found(slot, current)
                return current
            slot.partial.mkdir(parents=True, exist_ok=True)
            try:
                tree, sha256, contents = self._download(slot, items, report)
                tags = {each.name: f"{each.etag} {each.size}" for each in listing}
                version = _version([f"{name} {digest or tags[name]}" for name, digest in sorted(sha256.items())])
                pins = () if self._digest is None else (self._digest,)
                record = slot.place(tree, version, listing, sha256, contents, self._access, pins)
                self._found(slot, record)
                return record
            except errors.IntegrityError as error:
                starts += 1
                is_read = self._arrival is not None and self._arrival.has_begun
                if starts > _FRESH_STARTS or self._digest is not None or is_read:
                    raise
                _log.warning("%s; it is begun again", error.reason.rstrip("."))

    def _may_use(self, current: Record, listing: Sequence[Listed], items: Sequence[RemoteObject]) -> bool:
        """Whether a version is what the source has, and who asks may read it: to list is not to read.

        Raises:
            AccessDenied: the source does not let these credentials read it.
        """
        if not current.unchanged(listing) or not (self._digest is None or pinned(current, self._digest)):
            return False
        return self._access in current.access or self._reads(items)

    def _reads(self, items: Sequence[RemoteObject]) -> bool:
        """Ask for the first byte of every object; whether all came, or else it is downloaded anew."""

        def read(item: RemoteObject) -> bool:
            self._deadline.check()
            if item.size == 0:
                return True
            with faults.of_provider(self._shown), contextlib.closing(_first_byte(self._provider, item)) as chunks:
                return next(chunks, b"") != b""

        pool = concurrent.futures.ThreadPoolExecutor(self._settings.connections)
        try:
            return all(pool.map(read, items))
        except (errors.StorageUnavailable, errors.IntegrityError):
            return False
        finally:
            pool.shutdown(cancel_futures=True)

    def _download(
        self, slot: Slot, items: Sequence[RemoteObject], report: Progress
    ) -> tuple[Path, Mapping[str, str], Mapping[str, str]]:
        """The tree, the SHA-256 of every object, and that of every file in the tree; empty where it was not taken."""
        packed = _packed(items)
        with Download(
            slot,
            self._provider,
            self._settings,
            self._machine,
            self._deadline,
            self._shares,
            self._make_room,
            self._digest,
            hashed=self._settling is None or bool(packed),
        ) as download:
            download.start(items, report)
            if not packed:
                if self._arrival is not None:
                    self._arrival.begin(download, items)
                sha256 = download.finish()
                return download.partial.tree, sha256, sha256
            tree = self._tree()
            for item, unpacking in packed.items():
                with download.reader(item.name) as source:
                    # What may begin anew is not read before it is whole.
                    size = item.size if item.size is not None and continuable(item) else source.whole()
                    tree.unpack(item.name.rpartition("/")[2], unpacking, cast("IO[bytes]", source), size)
            sha256 = download.finish()
            for item in items:
                if item not in packed:
                    tree.add(item, download.partial.tree / item.name, sha256[item.name])
            tree.finish()
            return tree.root, sha256, tree.sha256

    def _tree(self) -> Tree:
        return Tree(self._slot.partial / "unpacked", self._shown, self._settings, self._deadline.check)

    def _make_room(self, wanted: int) -> int:
        """Remove from the cache what was not used for longest, until so many bytes are free; returns how many are."""
        folder = self._settings.cache
        free, count = self._machine.free_space(folder), 0
        while free < wanted and (removed := eviction.evict(folder, free=wanted - free)).entries:
            count += removed.entries
            free = self._machine.free_space(folder)  # less than hoped for, where files have links elsewhere
        if count:
            _log.info("%d artefacts were removed from the cache to make room for %s", count, self._shown)
        return free

    def _found(self, slot: Slot, record: Record) -> Path:
        """The folder of a version, held for as long as this process uses it."""
        path = slot.path(record)
        self._leases.hold(path)
        if self._arrival is not None:
            self._arrival.end(path)
        return path

    def _list(self) -> Sequence[RemoteObject]:
        retries = Retries(self._settings, self._machine, self._deadline)
        while True:
            self._deadline.check()
            try:
                with faults.of_provider(self._shown):
                    items = self._provider.list(self._uri)
            except errors.StorageUnavailable as error:
                retries.pause(error)
                continue
            if not items:
                raise errors.ArtifactNotFound(f"There is nothing at {self._shown}.")
            return self._filtered(items)

    def _filtered(self, items: Sequence[RemoteObject]) -> Sequence[RemoteObject]:
        allow, ignore = self._settings.allow, self._settings.ignore
        if len(items) == 1 and items[0].name == uris.last_part(self._uri):
            return items  # it was named itself
        kept = [item for item in items if self._settings.takes(item.name)]
        if not kept:
            raise errors.ArtifactNotFound(
                f"None of the {len(items)} objects at {self._shown} is left by the patterns.",
                remedy=f"Allowed are {', '.join(allow) or 'all'}, ignored {', '.join(ignore) or 'none'}.",
            )
        return kept

    @contextlib.contextmanager
    def _filling(self) -> Iterator[Slot]:
        """Hold the slot; whatever is refused leaves nothing in it."""
        with faults.of_disk(self._shown, self._settings.cache), self._slot.locked(self._deadline, self._machine):
            try:
                yield self._slot
            except _WORTH_KEEPING:
                raise
            except (errors.FairleadError, OSError):
                self._slot.discard()
                raise


def pinned(record: Record, digest: str) -> bool:
    """Whether a version is of one object that has this digest."""
    return digest in record.pins or [f"sha256:{sha256}" for sha256 in record.sha256.values()] == [digest]


def _first_byte(provider: StorageProvider, item: RemoteObject) -> Generator[bytes, None, None]:
    """The first byte of an object, as a generator: closing it closes the provider's, where that is one."""
    yield from provider.open_range(item, 0, 1)


def _packed(items: Sequence[RemoteObject]) -> dict[RemoteObject, Unpacking]:
    """The objects that are unpacked, and how."""
    packed = {item: item.unpacking for item in items if item.unpacking is not None}
    if len(items) == 1 and not packed and (kind := archives.kind_of(items[0].name)):
        return {items[0]: Unpacking(kind=kind)}
    return packed


def _local_root(items: Sequence[RemoteObject], uri: str) -> Path:
    """The path that a local listing is of: the one file that the URI names, or the folder that holds all files."""
    first = items[0]
    path = Path(first.key)
    if len(items) == 1 and first.name == path.name == uris.last_part(uri):
        return path
    return path.parents[first.name.count("/")]


def _version(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
