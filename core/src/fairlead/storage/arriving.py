"""An artefact whose files still arrive: a fetch in a thread of its own, and what of it can be read meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from fairlead.contracts.runtime import Artifact
from fairlead.storage.growing import Growing, Reader
from fairlead.storage.partial import continuable

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject
    from fairlead.storage.download import Download

__all__ = ["Arrival", "ArrivingArtifact", "Early"]

Early: TypeAlias = "Callable[[Collection[str]], bool]"
"""Whether to return an artefact with files of these names while they arrive."""


class Arrival:
    """One fetch that somebody may read while it goes on.

    Args:
        uri: its address, as it may be shown.
        early: decides whether it is read while it goes on.
    """

    def __init__(self, uri: str, early: Early) -> None:
        self._uri = uri
        self._early = early
        self._returned: Future[Artifact] = Future()
        self._place: Future[Path] = Future()

    @property
    def has_begun(self) -> bool:
        """Whether somebody reads it."""
        return self._returned.done()

    def fetch(self, work: Callable[[], Artifact]) -> Artifact:
        """Fetch in another thread, until there is something to return.

        Args:
            work: the fetch; it calls `begin` and `end`.

        Returns:
            What the fetch returns, or, if that is wanted, an artefact whose files still arrive.

        Raises:
            StorageError: it cannot be fetched.
        """

        def run() -> None:
            try:
                artifact = work()
            except BaseException as error:  # noqa: BLE001  # it is raised again in the threads that wait
                for future in (self._place, self._returned):
                    if not future.done():
                        future.set_exception(error)
            else:
                if not self._returned.done():
                    self._returned.set_result(artifact)

        try:
            threading.Thread(target=run, name="fairlead-fetch", daemon=True).start()
        except RuntimeError:  # the system has no thread left: then nothing can be read early
            run()
        return self._returned.result()

    def begin(self, download: Download, items: Sequence[RemoteObject]) -> None:
        """Let the files of a download that has begun be read, if they can be, and somebody wants to."""
        sizes = {item.name: item.size for item in items if item.size is not None and continuable(item)}
        if len(sizes) == len(items) and self._early(tuple(sizes)):
            files = {name: download.growing(name) for name in sizes}
            self._returned.set_result(ArrivingArtifact(self._uri, sizes, files, self._place))

    def end(self, path: Path) -> None:
        """Say where the files are, verified; before anybody else may write to where they were."""
        self._place.set_result(path)


class ArrivingArtifact(Artifact):
    """An artefact whose files still arrive.

    Args:
        uri: its address, as it may be shown.
        sizes: what the source says of its files.
        files: the files on their way.
        place: where all of them are in the end.
    """

    def __init__(self, uri: str, sizes: Mapping[str, int], files: Mapping[str, Growing], place: Future[Path]) -> None:
        object.__setattr__(self, "uri", uri)
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_files", files)
        object.__setattr__(self, "_place", place)

    _sizes: Mapping[str, int]
    _files: Mapping[str, Growing]
    _place: Future[Path]

    @property
    def path(self) -> Path:
        """The folder, once all files are there and verified."""
        return self._place.result()

    def sizes(self) -> Mapping[str, int]:
        """As `Artifact.sizes`."""
        return self._sizes

    def open(self, name: str) -> BinaryIO:
        """As `Artifact.open`."""
        if name not in self._files:
            raise self.lacks(name)
        return io.BufferedReader(_Reader(self._files[name], self._place, name))

    def wait(self) -> None:
        """As `Artifact.wait`."""
        self._place.result()

    def __repr__(self) -> str:
        return f"ArrivingArtifact(uri={self.uri!r})"


class _Reader(Reader):
    """A file that moves to its place once all are verified."""

    def __init__(self, growing: Growing, place: Future[Path], name: str) -> None:
        super().__init__(growing)
        self._place = place
        self._name = name

    def _opened(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            file = super()._opened()
            if not self._place.done():
                return file
            os.close(file)  # it may be another fetch's already
        return os.open(self._place.result() / self._name, os.O_RDONLY | os.O_CLOEXEC)
