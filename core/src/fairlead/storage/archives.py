"""Unpacking an archive into a new folder, so that nothing can leave the folder or fill the disk.

Headers are never believed: names, kinds and link targets are judged member by member, and bytes are counted as they
come out. What is refused leaves an error; the caller removes the folder.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage import names

if TYPE_CHECKING:
    from fairlead.storage.settings import FetchSettings

__all__ = ["Target", "is_archive", "unpack"]

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
"""File names that say that a file is an archive."""

RATIO_FLOOR: Final = 16 * 1024 * 1024
"""Bytes that any archive may unpack to, whatever its ratio: an all-zero array of a small model is no attack."""

_BLOCK: Final = 64 * 1024


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path, settings: FetchSettings, check: Callable[[], None]) -> None:
    """Unpack an archive.

    Args:
        archive: the file; its name says of which kind it is.
        target: a folder that does not exist yet.
        settings: the limits.
        check: called between blocks, to raise when time is up.

    Raises:
        UnsafeArtifact: a member would leave the target, or is neither a file, a folder nor a link within it.
        StorageLimitExceeded: too many members, too many bytes, or too much expansion.
        IntegrityError: the archive is damaged or incomplete.
    """
    from fairlead.storage import tars, zips

    target.mkdir(parents=True)
    place = Target(target, archive, settings, check)
    if archive.name.lower().endswith(".zip"):
        zips.unpack(archive, place)
    else:
        tars.unpack(archive, place)
    place.finish()


class Target:
    """The folder that members are written to, and the bounds of the whole archive.

    Args:
        root: the folder; it exists and is empty.
        archive: the archive's file, for its size and for messages.
        settings: the limits.
        check: called between blocks.
    """

    def __init__(self, root: Path, archive: Path, settings: FetchSettings, check: Callable[[], None]) -> None:
        self.root = root
        self.archive = archive.name
        self.check = check
        self.settings = settings
        self.expanded = 0
        size = archive.stat().st_size
        self._most = min(settings.max_expanded_bytes, max(RATIO_FLOOR, int(size * settings.max_expansion)))
        self._names = names.Names(settings.max_members)
        self._files: set[str] = set()
        self._links: dict[str, str] = {}

    def count(self, amount: int) -> None:
        """Count bytes that came out of the archive.

        Raises:
            StorageLimitExceeded: there are more than the limits allow.
        """
        self.expanded += amount
        self.announce(0)

    def announce(self, amount: int) -> None:
        """Refuse a member whose announced size alone is too large, before a byte of it is written."""
        if self.expanded + amount > self._most:
            raise errors.StorageLimitExceeded(
                f"The archive {self.archive} unpacks to more than {self._most} bytes.",
                remedy="The settings max_expanded_bytes and max_expansion bound it.",
            )

    def folder(self, name: str) -> None:
        """Make a folder."""
        self._names.add(name, folder=True)
        self._path(name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, source: IO[bytes], size: int, *, executable: bool, count: bool = True) -> None:
        """Write a file; of its mode only whether it is executable is kept.

        Args:
            name: its name.
            source: its content.
            size: its announced size.
            executable: whether its owner may execute it.
            count: whether its bytes have to be counted here.

        Raises:
            IntegrityError: the content does not have the announced size.
        """
        self._names.add(name)
        if count:
            self.announce(size)
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with path.open("xb") as file:
            while block := source.read(_BLOCK):
                self.check()
                written += len(block)
                if count:
                    self.count(len(block))
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if written != size:
            raise errors.IntegrityError(f"{name} in {self.archive} has {written} bytes, and announces {size}.")
        if executable:
            mode = path.stat().st_mode
            path.chmod((mode & 0o777) | ((mode & 0o444) >> 2))
        self._files.add(name)

    def hard_link(self, name: str, to: str) -> None:
        """Link a name to a file that came before it.

        Raises:
            UnsafeArtifact: there was no such file.
        """
        if to not in self._files:
            raise self.unsafe(name, f"is a hard link to {to!a}, which is no file before it in the archive")
        self._names.add(name)
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._path(to), path, follow_symlinks=False)
        self._files.add(name)

    def symbolic_link(self, name: str, to: str) -> None:
        """Note a symbolic link; it is made in `finish`, so that no member can be written through it.

        Raises:
            UnsafeArtifact: its target is absolute or outside.
        """
        self._names.add(name)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
        if to.startswith("/") or inside.split("/")[0] == ".." or "\\" in to or "\0" in to or not to:
            raise self.unsafe(name, f"is a symbolic link to {to!a}, outside the target folder")
        self._links[name] = to

    def finish(self) -> None:
        """Make the symbolic links, and follow each to see where it really ends.

        Raises:
            UnsafeArtifact: one ends outside, in a circle, or at nothing.
        """
        for name, to in self._links.items():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(to)
        root = self.root.resolve()
        for name, to in self._links.items():
            try:
                end = self._path(name).resolve(strict=True)
            except (OSError, RuntimeError):
                raise self.unsafe(name, f"is a symbolic link to {to!a}, which leads to nothing") from None
            if not end.is_relative_to(root):
                raise self.unsafe(name, f"is a symbolic link to {to!a}, outside the target folder")
        if not self._files:
            raise errors.ArtifactNotFound(f"The archive {self.archive} holds no files.")

    def unsafe(self, name: str, problem: str) -> errors.UnsafeArtifact:
        """The error for a member that is refused."""
        return errors.UnsafeArtifact(
            f"The member {name!a} of {self.archive} {problem}.", remedy="The archive was not unpacked."
        )

    def _path(self, name: str) -> Path:
        return self.root / name
