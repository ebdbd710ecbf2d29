"""Reading files and folders of HDFS."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import RemoteObject, StorageProvider, errors
from fairlead.storage.http.client import Client
from fairlead_storage_hdfs import certificates, configuration, places
from fairlead_storage_hdfs.turns import Turns
from fairlead_storage_hdfs.webhdfs import WebHdfs

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer
    from fairlead_storage_hdfs.places import Place
    from fairlead_storage_hdfs.webhdfs import Status

__all__ = ["HdfsProvider"]

_LOGGER: Final = logging.getLogger("fairlead.storage.hdfs")
_CHUNK: Final = 256 * 1024
_FRESH: Final = 5.0
"""Seconds for which what a namenode said of a file is good enough to begin reading it."""

_MOST_ENTRIES: Final = 1_000_000
_MOST_DEPTH: Final = 1000
"""HDFS has no deeper paths (``MAX_PATH_DEPTH``)."""


class HdfsProvider(StorageProvider):
    """Lists and reads files of HDFS over WebHDFS.

    Args:
        credentials: the keys of `fairlead_storage_hdfs.configuration`, and those of `fairlead.storage.policy`.
        timeout: seconds that a single network operation may take.

    Raises:
        ConfigurationError: a value cannot be read, or asks for what is not supported.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._configuration = configuration.read(self.credentials)
        if not self._configuration.verify:
            _LOGGER.warning("TLS_SKIP_VERIFY is on: whoever answers in a namenode's place is believed")
        self._client = Client(
            timeout=timeout, credentials=self.credentials, tls=certificates.context(self._configuration)
        )
        self._webhdfs = WebHdfs(self._client, self._configuration)
        self._turns = Turns(self._configuration.reads)
        self._seen: dict[str, float] = {}

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The file of that name, or all files below the folder; folders without files leave no trace.

        Raises:
            ArtifactNotFound: there is nothing, or no file.
            AccessDenied: the user may not read it.
            UnsafeArtifact: an address that may not be connected to, or credentials for another namenode.
            StorageUnavailable: a fault that may pass.
        """
        place = self._place(uri)
        status = self._webhdfs.status(place.namenodes, place.path)
        if status.kind == "FILE":
            if place.folder:
                raise errors.ArtifactNotFound(f"{place.path} is a file, and {uri} names a folder.")
            return [self._described(place, place.path.rpartition("/")[2], place.path, status)]
        root = place.path.rstrip("/")
        found = [self._described(place, name, f"{root}/{name}", child) for name, child in self._below(place)]
        if not found:
            raise errors.ArtifactNotFound(f"There is no file below {place.path}.")
        return found

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``.

        HDFS cannot read on a condition, so the file's status is asked for around the reading. The last chunk is given
        only once it is known that the file had not changed until then.

        Raises:
            IntegrityError: the file has changed, or is gone, since it was listed.
            StorageUnavailable: a fault that may pass.
        """
        place = self._place(item.key)
        assert item.size is not None
        stop = item.size if end is None else min(end, item.size)
        with self._turns.one():
            if time.monotonic() - self._seen.get(item.key, -_FRESH) >= _FRESH:
                self._check(place, item)
            last = b""
            with contextlib.closing(self._content(place, item, start, stop)) as chunks:
                for chunk in chunks:
                    if last:
                        yield last
                    last = chunk
            self._check(place, item)
            if last:
                yield last

    def close(self) -> None:
        """End what is under way, from any thread: whoever waits for it gets `StorageUnavailable`."""
        self._turns.close()
        self._client.close()

    def _place(self, uri: str) -> Place:
        place = places.parse(uri, self._configuration)
        if place.path.startswith("/"):
            return place
        home = self._webhdfs.home(place.namenodes)
        return dataclasses.replace(place, path=f"{home}/{place.path}")

    def _below(self, place: Place) -> Iterator[tuple[str, Status]]:
        """The files below a folder, by their names relative to it."""
        folders, entries = [""], 0
        while folders:
            folder = folders.pop()
            inner: list[str] = []
            for status in self._webhdfs.children(place.namenodes, f"{place.path.rstrip('/')}/{folder}".rstrip("/")):
                entries += 1
                name = f"{folder}/{status.name}" if folder else status.name
                if entries > _MOST_ENTRIES or name.count("/") > _MOST_DEPTH:
                    raise errors.StorageLimitExceeded(
                        f"{place.path} has more than {_MOST_ENTRIES} entries, or is deeper than {_MOST_DEPTH} folders."
                    )
                if status.kind == "DIRECTORY":
                    inner.append(name)
                elif status.kind == "FILE":
                    yield name, status
                else:
                    raise errors.UnsafeArtifact(
                        f"{name} below {place.path} is a link, which may lead elsewhere.",
                        remedy="Put the file itself into its place.",
                    )
            folders.extend(reversed(inner))

    def _described(self, place: Place, name: str, path: str, status: Status) -> RemoteObject:
        key = place.uri(path)
        self._seen[key] = time.monotonic()
        return RemoteObject(name=name, key=key, size=status.length, etag=status.tag)

    def _content(self, place: Place, item: RemoteObject, start: int, stop: int) -> Generator[bytes, None, None]:
        if start >= stop:
            return
        try:
            answer = self._webhdfs.read(place.namenodes, place.path, start, stop - start)
        except errors.StorageError:
            self._check(place, item)  # a file that is shorter now, or gone, is what most of them mean
            raise
        with contextlib.closing(answer):
            left = stop - start
            if _length(answer) not in (None, left):
                self._check(place, item)
                raise errors.StorageUnavailable(f"{answer.location} has {_length(answer)} bytes where it has {left}.")
            while left and (chunk := answer.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
        if left:
            self._check(place, item)
            raise errors.StorageUnavailable(f"{answer.location} closed {left} bytes before the end.")

    def _check(self, place: Place, item: RemoteObject) -> None:
        try:
            status = self._webhdfs.status(place.namenodes, place.path)
        except errors.ArtifactNotFound:
            raise errors.IntegrityError(f"{place.path} is gone since it was listed.") from None
        if status.tag != item.etag:
            raise errors.IntegrityError(f"{place.path} has another content than when it was listed.")
        self._seen[item.key] = time.monotonic()


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
