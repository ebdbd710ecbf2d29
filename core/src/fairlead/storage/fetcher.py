"""Fetching: from a URI to an artefact on this machine, the same for every storage provider."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import Artifact
from fairlead.plugins import Kind
from fairlead.storage import choosing, digests, eviction, faults, fetch, uris
from fairlead.storage.arriving import Arrival
from fairlead.storage.leases import Leases
from fairlead.storage.machine import Deadline, Machine, Retries
from fairlead.storage.policy import Policy
from fairlead.storage.progress import automatic
from fairlead.storage.settings import NETWORK_VARIABLE, FetchSettings
from fairlead.storage.settling import Settling
from fairlead.storage.shares import Shares

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.contracts.storage import StorageProvider, StorageSpec
    from fairlead.plugins import Plugins
    from fairlead.storage.arriving import Early
    from fairlead.storage.progress import Progress

__all__ = ["Fetcher"]

_MOST_ADDRESSES: Final = 4
"""How many addresses may stand for one another, the user's own and the last one included."""

_ROUNDS: Final = 1000
"""Rounds of the function that makes of credentials what tells them apart on disk."""


class Fetcher:
    """Fetches artefacts; safe to use from several threads, and beside other processes on the same cache.

    What it has found is held in the cache, so that nobody evicts it, until `release` or the end of the process.

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
        self._shares = Shares(self._settings, self._machine)
        self._leases = Leases()
        self._settling = Settling()
        self._policy = Policy.of({NETWORK_VARIABLE: str(self._settings.network)})

    def fetch(
        self,
        uri: str,
        *,
        digest: str | None = None,
        credentials: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        early: Early | None = None,
    ) -> Artifact:
        """Fetch what a URI names, or find it in the cache.

        A local path is used in place, and a local archive is unpacked into the cache. Anything else is downloaded,
        verified, unpacked when it is a single archive, and placed into the cache in one step.

        Args:
            uri: a path, or a URI that an installed provider takes; ``#sha256=<hexadecimal>`` at its end is a digest.
            digest: what a single file must be, as ``<algorithm>:<hexadecimal>``.
            credentials: in the place of those in the settings.
            progress: where to report this fetch to.
            early: asked, in another thread and once a download has begun, with the names of all files: whether to
                return at once, while they arrive. It is not asked where nothing is downloaded, and where a part of a
                file proves nothing of the rest: of archives, and of sources that announce no size or no tag.

        Returns:
            The artefact: the path itself for a local file, otherwise a folder. Its ``uri`` is shortened to what may
            be shown: no query, no user information. One whose files still arrive can be read, see `Artifact.open`; the
            fetch goes on in a thread of its own, and `Artifact.wait` raises what it fails with. If the source changes
            meanwhile, that is an `IntegrityError`.

        Raises:
            StorageError: it cannot be fetched, or may not be.
        """
        if early is None:
            return self._fetch(uri, digest, credentials, progress)
        arrival = Arrival(uris.redact(uris.split_digest(uri)[0]), early)
        return arrival.fetch(lambda: self._fetch(uri, digest, credentials, progress, arrival))

    def _fetch(
        self,
        uri: str,
        digest: str | None,
        credentials: Mapping[str, str] | None,
        progress: Progress | None,
        arrival: Arrival | None = None,
    ) -> Artifact:
        address, pin = uris.split_digest(uri)
        given = {digests.parse_pin(text) for text in (pin, digest) if text is not None}
        if len(given) > 1:
            raise errors.StorageError(f"{uris.redact(uri)} is given with two different digests.")
        wanted = next(iter(given), None)
        shown = uris.redact(address)
        secret = self._settings.credentials if credentials is None else credentials
        deadline = Deadline(shown, self._settings.deadline, self._machine.clock)
        self._policy.admit(address)
        spec = choosing.choose(self._plugins, address)
        access = _access(spec, self._of(spec, secret))
        settled = wanted is not None or any(re.fullmatch(pattern, address) for pattern in spec.immutable)
        if settled and not spec.local and (path := self._in_cache(spec, address, wanted, secret, deadline)):
            return Artifact(path=path, uri=shown)
        for _ in range(_MOST_ADDRESSES):
            with self._provider(spec, uris.redact(address), self._of(spec, secret)) as provider:
                target = self._resolved(provider, address, deadline)
                if target == address:
                    run = fetch.Fetch(
                        address,
                        wanted,
                        provider,
                        self._settings,
                        self._machine,
                        deadline,
                        self._shares,
                        self._leases,
                        access,
                        _origin(spec, self._of(spec, secret)),
                        arrival,
                        self._settling if self._settings.settle_later and not self._settings.verify else None,
                    )
                    report = progress or self._progress or automatic()
                    path = run.local() if spec.local else run.remote(report)
                    self._bound_cache()
                    return Artifact(path=path, uri=shown)
            address = target
            self._policy.admit(address)
            spec = choosing.choose(self._plugins, address)
            access = _access(spec, self._of(spec, secret))
        raise errors.StorageError(f"{shown} stands for an address that stands for another, {_MOST_ADDRESSES} times.")

    def release(self, artifact: Artifact) -> None:
        """Say that an artefact is not used any more; once for each time that it was fetched."""
        self._leases.release(artifact.path)

    def settle(self) -> None:
        """Wait until the digests of what was handed over without are taken; see `FetchSettings.settle_later`."""
        self._settling.wait()

    def close(self) -> None:
        """Say that nothing that it has found is used any more."""
        self._settling.close()
        self._leases.close()

    def _in_cache(
        self, spec: StorageSpec, uri: str, digest: str | None, secret: Mapping[str, str], deadline: Deadline
    ) -> Path | None:
        """The version that has the digest that the user gave, or that cannot change: the source need not be asked.

        It was fetched with the same credentials: who knows a digest alone may not read what it is of.
        """
        given = self._of(spec, secret)
        slot = fetch.slot_of(self._settings, uri, self._machine, _origin(spec, given))
        if not slot.folder.exists():
            return None
        with faults.of_disk(uris.redact(uri), self._settings.cache), slot.locked(deadline, self._machine):
            current = slot.current(deadline.check, verify=self._settings.verify)
            if current is None or _access(spec, given) not in current.access:
                return None
            if digest is not None and not fetch.pinned(current, digest):
                return None
            path = slot.path(current)
            self._leases.hold(path)
            return path

    def _resolved(self, provider: StorageProvider, uri: str, deadline: Deadline) -> str:
        retries = Retries(self._settings, self._machine, deadline)
        while True:
            deadline.check()
            try:
                with faults.of_provider(uris.redact(uri)):
                    return provider.resolve(uri)
            except errors.StorageUnavailable as error:
                retries.pause(error)

    def _bound_cache(self) -> None:
        most = self._settings.max_cache_bytes
        if most is not None and eviction.size(self._settings.cache) > most:
            eviction.evict(self._settings.cache, keep_bytes=most)

    def _of(self, spec: StorageSpec, credentials: Mapping[str, str]) -> dict[str, str]:
        """The credentials that a provider is given: those that its spec names."""
        return {
            key: value
            for key, value in credentials.items()
            if any(fnmatch.fnmatchcase(key, pattern) for pattern in spec.credentials)
        }

    @contextlib.contextmanager
    def _provider(self, spec: StorageSpec, shown: str, credentials: Mapping[str, str]) -> Iterator[StorageProvider]:
        settings = self._settings
        policy = self._of(spec, self._policy.variables())
        try:
            factory = self._plugins.factory(Kind.STORAGE, spec)
        except errors.PluginError as error:
            raise errors.StorageError(error.reason, remedy=error.remedy) from error
        with faults.of_provider(shown):
            provider: StorageProvider = factory(
                credentials={**credentials, **policy}, timeout=min(settings.timeout, settings.deadline)
            )
        # A source that sends a byte now and then stays within every timeout, for ever.
        watchdog = threading.Timer(settings.deadline, provider.close)
        watchdog.daemon = True
        try:
            with faults.of_threads(shown):
                watchdog.start()
            yield provider
        finally:
            watchdog.cancel()
            provider.close()
            if watchdog.is_alive():
                watchdog.join()  # a process that forks workers counts its threads


def _access(spec: StorageSpec, credentials: Mapping[str, str]) -> str:
    """What tells credentials apart without telling them; empty for those of the process."""
    if not credentials:
        return ""
    text = json.dumps(sorted(credentials.items())).encode()
    return hashlib.pbkdf2_hmac("sha256", text, spec.name.encode(), _ROUNDS)[:16].hex()


def _origin(spec: StorageSpec, credentials: Mapping[str, str]) -> str:
    """What tells apart the servers that credentials and environment name for one URI; empty where they name none."""
    said = {
        key: value
        for key, value in {**os.environ, **credentials}.items()
        if value and any(fnmatch.fnmatchcase(key, pattern) for pattern in spec.origins)
    }
    return json.dumps(sorted(said.items())) if said else ""
