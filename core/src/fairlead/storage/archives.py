"""Unpacking an archive into a new folder, so that nothing can leave the folder or fill the disk.

Headers are never believed: names, kinds and link targets are judged member by member, and bytes are counted as they
come out. What is refused leaves an error; the caller removes the folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage import names

if TYPE_CHECKING:
    from fairlead.contracts.storage import Unpacking
    from fairlead.storage.settings import FetchSettings

__all__ = ["Archive", "Target", "check_links", "is_archive", "kind_of", "unpack"]

KINDS: Final = {
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar.zst": "tar.zst",
    ".tzst": "tar.zst",
    ".zip": "zip",
}
"""Kinds of archives, by the end of a file's name that says that it is one."""

RATIO_FLOOR: Final = 16 * 1024 * 1024
"""Bytes that any archive may unpack to, whatever its ratio: an all-zero array of a small model is no attack."""

_BLOCK: Final = 256 * 1024
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """An archive to be unpacked, which may still be on its way.

    Attributes:
        name: what it is called, for messages.
        kind: one of the values of `KINDS`.
        source: its content, from the start on; a zip archive is also read from its end.
        size: its length in bytes.
    """

    name: str
    kind: str
    source: IO[bytes]
    size: int


def kind_of(name: str) -> str | None:
    """The kind of archive that a file of this name is; None for none."""
    lower = name.lower()
    return next((kind for suffix, kind in KINDS.items() if lower.endswith(suffix)), None)


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked."""
    return kind_of(name) is not None


def unpack(archive: Archive, target: Target) -> None:
    """Unpack an archive; the symbolic links in it are made by `Target.finish`.

    Raises:
        UnsafeArtifact: a member would leave the target, or is neither a file, a folder nor a link within it.
        StorageLimitExceeded: too many members, too many bytes, or too much expansion.
        IntegrityError: the archive is damaged or incomplete.
        StorageError: it is of a kind that cannot be unpacked here.
    """
    from fairlead.storage import tars, zips

    (zips if archive.kind == "zip" else tars).unpack(archive, target)


class Target:
    """The folder that the members of one archive are written to, and the bounds of the whole archive.

    Args:
        root: the folder; made here, and empty.
        archive: the archive, for its size and for messages.
        settings: the limits.
        check: called between blocks, to raise when time is up.
        unpacking: which members are kept, and what those mean that are whiteouts; all, and nothing, by default.
    """

    def __init__(
        self,
        root: Path,
        archive: Archive,
        settings: FetchSettings,
        check: Callable[[], None],
        unpacking: Unpacking | None = None,
    ) -> None:
        root.mkdir(parents=True)
        self.root = root
        self.archive = archive.name
        self.check = check
        self.settings = settings
        self.expanded = 0
        self.sha256: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.removed: list[str] = []
        self._below = f"{unpacking.below.strip('/')}/" if unpacking is not None and unpacking.below.strip("/") else ""
        self._layered = unpacking is not None and unpacking.layered
        self._most = min(settings.max_expanded_bytes, max(RATIO_FLOOR, int(archive.size * settings.max_expansion)))
        self._names = names.Names(settings.max_members)

    def keep(self, name: str) -> str | None:
        """What a member is called in the target; None for one that is not kept.

        A whiteout of a container image's layer is noted, and not kept.
        """
        if self._below:
            if not name.startswith(self._below) or name == self._below:
                return None
            name = name[len(self._below) :]
        last = posixpath.basename(name)
        if self._layered and last.startswith(_WHITEOUT):
            folder = posixpath.dirname(name)
            gone = posixpath.join(folder, last[len(_WHITEOUT) :])
            names.check(gone)
            self.removed.append(f"{folder}/" if last == _OPAQUE else gone)
            if len(self.removed) > self.settings.max_members:
                raise errors.StorageLimitExceeded(
                    f"The archive {self.archive} has more than {self.settings.max_members} whiteouts.",
                    remedy="The setting max_members bounds them.",
                )
            return None
        return name

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
        written, digest = 0, hashlib.sha256()
        with path.open("xb", buffering=0) as file:
            while block := source.read(_BLOCK):
                self.check()
                written += len(block)
                if count:
                    self.count(len(block))
                file.write(block)
                digest.update(block)
        if written != size:
            raise errors.IntegrityError(f"{name} in {self.archive} has {written} bytes, and announces {size}.")
        if executable:
            mode = path.stat().st_mode
            path.chmod((mode & 0o777) | ((mode & 0o444) >> 2))
        self.sha256[name] = digest.hexdigest()

    def hard_link(self, name: str, to: str) -> None:
        """Link a name to a file that came before it.

        Raises:
            UnsafeArtifact: there was no such file.
        """
        if to not in self.sha256:
            raise self.unsafe(name, f"is a hard link to {to!a}, which is no file before it in the archive")
        self._names.add(name)
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._path(to), path, follow_symlinks=False)
        self.sha256[name] = self.sha256[to]

    def symbolic_link(self, name: str, to: str) -> None:
        """Note a symbolic link; it is made in `finish`, so that no member can be written through it.

        Raises:
            UnsafeArtifact: its target is absolute or outside.
        """
        self._names.add(name)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
        if to.startswith("/") or inside.split("/")[0] == ".." or "\\" in to or "\0" in to or not to:
            raise self.unsafe(name, f"is a symbolic link to {to!a}, outside the target folder")
        self.links[name] = to

    def finish(self) -> None:
        """Make the symbolic links, and follow each to see where it really ends.

        Raises:
            UnsafeArtifact: one ends outside, in a circle, or at nothing.
            ArtifactNotFound: there is no file.
        """
        self.make_links()
        check_links(self.root, self.links, self.archive)
        if not self.sha256:
            raise errors.ArtifactNotFound(f"The archive {self.archive} holds no files.")

    def make_links(self) -> None:
        """Make the symbolic links; nothing has been written through them."""
        for name, to in self.links.items():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(to)

    def unsafe(self, name: str, problem: str) -> errors.UnsafeArtifact:
        """The error for a member that is refused."""
        return _unsafe(self.archive, name, problem)

    def _path(self, name: str) -> Path:
        return self.root / name


def check_links(root: Path, links: Mapping[str, str], archive: str) -> None:
    """Follow symbolic links to see where they really end.

    Raises:
        UnsafeArtifact: one ends outside of the root, in a circle, or at nothing.
    """
    real = root.resolve()
    for name, to in links.items():
        try:
            end = (root / name).resolve(strict=True)
        except (OSError, RuntimeError):
            raise _unsafe(archive, name, f"is a symbolic link to {to!a}, which leads to nothing") from None
        if not end.is_relative_to(real):
            raise _unsafe(archive, name, f"is a symbolic link to {to!a}, outside the target folder")


def _unsafe(archive: str, name: str, problem: str) -> errors.UnsafeArtifact:
    return errors.UnsafeArtifact(f"The member {name!a} of {archive} {problem}.", remedy="The archive was not unpacked.")
