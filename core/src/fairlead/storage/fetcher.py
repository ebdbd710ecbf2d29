"""Fetching: from a URI to an artefact on this machine, the same for every storage provider."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import logging
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import Artifact
from fairlead.plugins import Kind
from fairlead.storage import archives, digests, faults, progress, uris
from fairlead.storage.cache import Listed, Record, Slot
from fairlead.storage.download import Download
from fairlead.storage.machine import Deadline, Machine, Retries
from fairlead.storage.settings import NETWORK_VARIABLE, FetchSettings

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject, StorageProvider, StorageSpec
    from fairlead.plugins import Plugins
    from fairlead.storage.progress import Progress

__all__ = ["Fetcher"]

_log = logging.getLogger("fairlead.storage")

_FRESH_STARTS: Final = 2
"""How often a download whose source changed under way is begun again before that is an error."""

_WORTH_KEEPING: Final = (errors.StorageUnavailable, errors.StorageTimeout, errors.AccessDenied)
"""Failures after which a later fetch goes on; after any other the partial files are removed."""


class Fetcher:
    """Fetches artefacts; safe to use from several threads, and beside other processes on the same cache.

    Args:
        plugins: where storage providers are looked up.
        settings: limits, cache folder and credentials; the defaults are those of `FetchSettings`.
        progress: where to report to; by default a bar on a terminal, and lines elsewhere.
        machine: time, chance and disk; given by tests.
    """

    def __init__(
        self,
        plugins: Plugins,
        settings: FetchSettings | None = None,
        progress: Progress | None = None,
        *,
        machine: Machine | None = None,
    ) -> None:
        self._plugins = plugins
        self._settings = settings or FetchSettings()
        self._progress = progress
        self._machine = machine or Machine()

    def fetch(self, uri: str, *, digest: str | None = None) -> Artifact:
        """Fetch what a URI names, or find it in the cache.

        A local path is used in place, and a local archive is unpacked into the cache. Anything else is downloaded,
        verified, unpacked when it is a single archive, and placed into the cache in one step.

        Args:
            uri: a path, or a URI that an installed provider takes; ``#sha256=<hexadecimal>`` at its end is a digest.
            digest: what a single file must be, as ``<algorithm>:<hexadecimal>``.

        Returns:
            The artefact: the path itself for a local file, otherwise a folder. Its ``uri`` is shortened to what may
            be shown: no query, no user information.

        Raises:
            StorageError: it cannot be fetched, or may not be.
        """
        address, pin = uris.split_digest(uri)
        given = {digests.parse_pin(text) for text in (pin, digest) if text is not None}
        if len(given) > 1:
            raise errors.StorageError(f"{uris.redact(uri)} is given with two different digests.")
        wanted = next(iter(given), None)
        shown = uris.redact(address)
        spec = self._spec(address)
        deadline = Deadline(shown, self._settings.deadline, self._machine.clock)
        with self._provider(spec, shown) as provider:
            run = _Fetch(address, wanted, provider, self._settings, self._machine, deadline)
            if spec.local:
                return Artifact(path=run.local(), uri=shown)
            return Artifact(path=run.remote(self._progress or progress.automatic()), uri=shown)

    def _spec(self, uri: str) -> StorageSpec:
        """The provider that takes a URI: by pattern, else by the longest prefix."""
        specs = list(self._plugins.storage_providers().values())
        kind = uris.scheme(uri)
        if kind is None:
            found = [spec for spec in specs if spec.local]
            return self._one(found, uri, "a local path")
        normal = kind + uri[len(kind) :]
        found = [spec for spec in specs if any(re.match(pattern, normal) for pattern in spec.patterns)]
        if not found:
            lengths = {
                spec.name: max((len(prefix) for prefix in spec.prefixes if normal.startswith(prefix)), default=0)
                for spec in specs
            }
            longest = max(lengths.values(), default=0)
            found = [spec for spec in specs if longest and lengths[spec.name] == longest]
        return self._one(found, uri, f"{kind}://")

    def _one(self, found: Sequence[StorageSpec], uri: str, what: str) -> StorageSpec:
        if len(found) == 1:
            return found[0]
        shown = uris.redact(uri)
        if found:
            names = " and ".join(spec.name for spec in found)
            raise errors.StorageError(
                f"{shown} is claimed by the storage providers {names}.",
                remedy="Uninstall one of them, or leave it out of FAIRLEAD_PLUGINS.",
            )
        kind = uris.scheme(uri) or "file"
        for info in self._plugins.infos(Kind.STORAGE):
            if info.error is not None and (info.name == kind or what == "a local path"):
                raise errors.StorageError(info.error.reason, remedy=info.error.remedy) from info.error
        known = sorted(prefix for spec in self._plugins.storage_providers().values() for prefix in spec.prefixes)
        raise errors.StorageError(
            f"No installed storage provider takes {what} ({shown}); they take {', '.join(known) or 'nothing'}.",
            remedy=f"A provider is a plugin, by convention named {Kind.STORAGE.distribution(kind)}.",
        )

    @contextlib.contextmanager
    def _provider(self, spec: StorageSpec, shown: str) -> Iterator[StorageProvider]:
        settings = self._settings
        offered = {NETWORK_VARIABLE: str(settings.network), **settings.credentials}
        credentials = {
            key: value
            for key, value in offered.items()
            if any(fnmatch.fnmatchcase(key, pattern) for pattern in spec.credentials)
        }
        try:
            factory = self._plugins.factory(Kind.STORAGE, spec)
        except errors.PluginError as error:
            raise errors.StorageError(error.reason, remedy=error.remedy) from error
        with faults.of_provider(shown):
            provider: StorageProvider = factory(
                credentials=credentials, timeout=min(settings.timeout, settings.deadline)
            )
        # A source that sends a byte now and then stays within every timeout, for ever.
        watchdog = threading.Timer(settings.deadline, provider.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield provider
        finally:
            watchdog.cancel()
            provider.close()


class _Fetch:
    """One fetch: an address, its provider, and a deadline."""

    def __init__(
        self,
        uri: str,
        digest: str | None,
        provider: StorageProvider,
        settings: FetchSettings,
        machine: Machine,
        deadline: Deadline,
    ) -> None:
        self._uri = uri
        self._shown = uris.redact(uri)
        self._digest = digest
        self._provider = provider
        self._settings = settings
        self._machine = machine
        self._deadline = deadline
        self._slot = Slot(settings.cache, uri)

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
        if not (path.is_file() and archives.is_archive(path.name)):
            return path
        with self._filling() as slot:
            listing = [Listed.of(item) for item in items]
            current = slot.current()
            if current is not None and current.unchanged(listing):
                return slot.path(current)
            tree = self._unpack(path)
            if [Listed.of(item) for item in self._list()] != listing:
                raise errors.IntegrityError(f"{self._shown} changed while it was unpacked.")
            return slot.path(slot.place(tree, _version([str(entry) for entry in listing]), listing, {}))

    # -- remote -----------------------------------------------------------------------------------------

    def remote(self, report: Progress) -> Path:
        """The folder of the current version, downloaded if it is not there."""
        with self._filling() as slot:
            current = slot.current()
            if current is not None and self._pinned(current):
                return slot.path(current)
            _log.info("fetching %s", self._shown)
            items, sha256 = self._download(slot, current, report)
            listing = [Listed.of(item) for item in items]
            if sha256 is None:
                assert current is not None
                slot.discard()
                _log.info("%s has not changed; it is in the cache", self._shown)
                return slot.path(current)
            tree = slot.partial / "files"
            if len(items) == 1 and archives.is_archive(items[0].name):
                tree = self._unpack(tree / items[0].name)
            version = _version([f"{name} {digest}" for name, digest in sorted(sha256.items())])
            return slot.path(slot.place(tree, version, listing, sha256))

    def _pinned(self, current: Record) -> bool:
        """Whether what is there has the digest that the user gave, so that the source need not be asked."""
        return self._digest is not None and [f"sha256:{sha256}" for sha256 in current.sha256.values()] == [self._digest]

    def _download(
        self, slot: Slot, current: Record | None, report: Progress
    ) -> tuple[Sequence[RemoteObject], dict[str, str] | None]:
        """The listing and the SHA-256 of what was downloaded; None for the latter when nothing has changed."""
        starts = 0
        while True:
            items = self._list()
            unchanged = current is not None and current.unchanged([Listed.of(item) for item in items])
            if unchanged and self._digest is None:
                return items, None
            slot.partial.mkdir(parents=True, exist_ok=True)
            download = Download(slot, self._provider, self._settings, self._machine, self._deadline, self._digest)
            try:
                return items, download.run(items, report)
            except errors.IntegrityError:
                starts += 1
                if starts > _FRESH_STARTS or self._digest is not None:
                    raise

    # -- both -------------------------------------------------------------------------------------------

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
            return items

    def _unpack(self, archive: Path) -> Path:
        target = self._slot.partial / "unpacked"
        shutil.rmtree(target, ignore_errors=True)
        archives.unpack(archive, target, self._settings, self._deadline.check)
        return target

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


def _local_root(items: Sequence[RemoteObject], uri: str) -> Path:
    """The path that a local listing is of: the one file that the URI names, or the folder that holds all files."""
    first = items[0]
    path = Path(first.key)
    if len(items) == 1 and first.name == path.name == uris.last_part(uri):
        return path
    return path.parents[first.name.count("/")]


def _version(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
