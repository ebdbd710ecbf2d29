"""The artefacts of a replica: fetched, and laid out as its container would find them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from fairlead import errors
from fairlead.local.config import CONFIG
from fairlead.local.declared import Declared
from fairlead.local.replicas.threads import in_thread
from fairlead.resolve import access, credential_values, credentials
from fairlead.resolve.credential_values import Values
from fairlead.storage import faults, uris

if TYPE_CHECKING:
    from fairlead.plugins import Plugins
    from fairlead.resolve.service import Source
    from fairlead.storage.fetcher import Fetcher
    from fairlead.storage.settings import FetchSettings

__all__ = ["Fetching", "check", "given", "lay_out"]


_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...], bytes | None]
"""What one fetch is: an address, and who asks for it."""


class Fetching:
    """Fetches artefacts, each with the credentials that its service names.

    Replicas that need the same one at the same time, and ask with the same credentials, share one fetch.

    Args:
        plugins: where storage providers are looked up.
        settings: how artefacts are fetched; by default those of the environment.
        declared: what is declared now of Secrets and what names them.
    """

    def __init__(
        self, plugins: Plugins, settings: FetchSettings | None = None, *, declared: Declared | None = None
    ) -> None:
        self._plugins = plugins
        self._settings = settings
        self._made: tuple[Fetcher, Path] | None = None
        self._making = threading.Lock()
        self._declared = declared or Declared()
        self._running: dict[_Key, asyncio.Task[Path]] = {}

    async def fetch(self, source: Source, namespace: str, say: Callable[[str], None]) -> Path:
        """The file or folder that an artefact is, on this machine.

        Args:
            source: the artefact.
            namespace: the namespace of its service, whose Secrets may be used.
            say: gets lines that tell how far it is.

        Raises:
            StorageError: it cannot be fetched.
            ConfigurationError: a setting of fetches is wrong, or its credentials cannot be used.
        """
        values = self._values(source, namespace)
        key = (source.uri, tuple(sorted(values.variables.items())), values.authorities)
        task = self._running.get(key)
        if task is None:
            loop = asyncio.get_running_loop()

            def tell(line: str) -> None:
                loop.call_soon_threadsafe(say, line)

            task = loop.create_task(in_thread(lambda: self._fetch(source.uri, values, tell)))
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _values(self, source: Source, namespace: str) -> Values:
        """What its service gives for it; nothing for files of this machine."""
        if not access.needs_credentials(source.uri):
            return Values()
        vault, specs = self._declared.vault, self._plugins.storage_providers()
        given = credentials.given(source.credentials, namespace, vault, CONFIG.credentials, specs)
        return credential_values.values(given, namespace, vault)

    def _fetch(self, uri: str, values: Values, tell: Callable[[str], None]) -> Path:
        from fairlead.storage.progress import LineProgress

        fetcher, cache = self._fetcher()
        # Where nothing is given, providers look where the client of their source looks: in the environment.
        return fetcher.fetch(uri, credentials=given(values, cache), progress=LineProgress(_Lines(tell))).path

    def _fetcher(self) -> tuple[Fetcher, Path]:
        """The one that all fetches share, with its bounds on connections, and its cache."""
        from fairlead.storage.fetcher import Fetcher
        from fairlead.storage.settings import FetchSettings

        with self._making:
            if self._made is None:
                settings = self._settings or FetchSettings.from_environment(settle_later=True)
                self._made = Fetcher(self._plugins, settings), settings.cache
            return self._made

    def _forget(self, key: _Key, task: asyncio.Task[Path]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; where nobody does any more it is nobody's


def given(values: Values, cache: Path) -> Mapping[str, str]:
    """The variables that providers are given, with the file of certificates that one of them names.

    It is named by its content: under another name for each fetch, the variables would be those of somebody else.

    Args:
        values: what a service gives.
        cache: the folder that keeps what is fetched; the file is in it.

    Raises:
        StorageError: it cannot be written.
    """
    if values.authorities is None:
        return values.variables
    file = cache / "authorities" / f"{hashlib.sha256(values.authorities).hexdigest()}.crt"
    with faults.of_disk("A bundle of certificates", cache):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
                made.write(values.authorities)
            Path(made.name).replace(file)
    return {**values.variables, "AWS_CA_BUNDLE": str(file)}


class _Lines(io.StringIO):
    """A text stream whose lines are told."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def write(self, text: str, /) -> int:
        for line in text.splitlines():
            if line.strip():
                self._tell(line)
        return len(text)


def check(sources: Sequence[Source]) -> None:
    """Refuse artefacts that there are only in a cluster.

    Raises:
        Unresolvable: one is in a volume of a cluster.
    """
    for source in sources:
        if source.uri.startswith("pvc://"):
            raise errors.Unresolvable(
                "UnsupportedStorageUri",
                f"{uris.redact(source.uri)} is in a volume of a cluster.",
                remedy="Use a path of this machine here, as file:///path/to/model.",
            )


def lay_out(sources: Sequence[Source], fetched: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Folders of this machine by the paths at which containers find them.

    A single artefact that is a folder is used in place. A file stands in a folder, as KServe puts it, and several
    artefacts stand together below their common parent: these folders are made of links.

    Args:
        sources: the artefacts.
        fetched: where each of them is.
        folder: where folders may be made; what is there already is removed.

    Returns:
        A folder for each mount path, and for the common parent of several.

    Raises:
        StorageError: two artefacts have a file of the same name in the same folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if len(sources) == 1 and fetched[0].is_dir():
        return {sources[0].mount_path: fetched[0].absolute()}
    mounts: dict[str, Path] = {}
    for source, path in sorted(zip(sources, fetched, strict=True), key=lambda pair: len(pair[0].mount_path)):
        place = folder.joinpath(*PurePosixPath(source.mount_path).parts[1:])
        _make(place, source)
        for entry in [path] if path.is_file() else sorted(path.iterdir()):
            _link(entry.absolute(), place / entry.name, source)
        mounts[source.mount_path] = place
    return _with_parent(mounts, folder)


def _make(place: Path, source: Source) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.StorageError(
            f"{uris.redact(source.uri)} cannot stand at {source.mount_path}: {error.strerror}.",
            remedy="Give every storageUri a mountPath of its own, and none within another.",
        ) from error


def _link(entry: Path, link: Path, source: Source) -> None:
    try:
        link.symlink_to(entry)
    except FileExistsError as error:
        raise errors.StorageError(
            f"{entry.name} of {uris.redact(source.uri)} is at {source.mount_path} already, from another storageUri.",
            remedy="Give every storageUri a mountPath of its own.",
        ) from error


def _with_parent(mounts: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    parent = os.path.commonpath(mounts)
    if parent == "/" or parent in mounts:
        return dict(mounts)
    return {**mounts, parent: folder.joinpath(*PurePosixPath(parent).parts[1:])}
