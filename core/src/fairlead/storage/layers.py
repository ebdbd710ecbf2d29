"""Several packed objects that become one tree: the layers of a container image, or folders beside each other."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fairlead import errors
from fairlead.storage import archives, names
from fairlead.storage.archives import Archive, Target

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject, Unpacking
    from fairlead.storage.settings import FetchSettings

__all__ = ["Tree"]


class Tree:
    """The tree that objects become; packed ones are unpacked in their order, each over those before it.

    Args:
        root: its folder; made here, and empty.
        label: what is fetched, for messages.
        settings: the limits, of each archive; of all together ``max_bytes`` and ``max_members``.
        check: called between blocks, to raise when time is up.
    """

    def __init__(self, root: Path, label: str, settings: FetchSettings, check: Callable[[], None]) -> None:
        shutil.rmtree(root, ignore_errors=True)
        self.root = root / "tree"
        self.root.mkdir(parents=True)
        self.sha256: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._aside = root
        self._label = label
        self._settings = settings
        self._check = check
        self._count = 0
        self._expanded = 0
        self._members = 0

    def unpack(self, name: str, unpacking: Unpacking, source: IO[bytes], size: int) -> None:
        """Unpack one object over what is there.

        Raises:
            StorageError: see `fairlead.storage.archives.unpack`.
        """
        if into := unpacking.into.strip("/"):
            names.check(into)
        self._count += 1
        archive = Archive(name, unpacking.kind, source, size)
        left = max(1, self._settings.max_bytes - self._expanded)
        settings = dataclasses.replace(self._settings, max_expanded_bytes=min(left, self._settings.max_expanded_bytes))
        target = Target(self._aside / str(self._count), archive, settings, self._check, unpacking)
        archives.unpack(archive, target)
        self._expanded += target.expanded
        self._members += len(target.sha256) + len(target.links) + len(target.removed)
        if self._members > self._settings.max_members:
            raise errors.StorageLimitExceeded(
                f"The archives of {self._label} have more than {self._settings.max_members} members together.",
                remedy="The setting max_members bounds them.",
            )
        target.make_links()
        for removed in target.removed:
            self._remove(_joined(unpacking.into, removed))
        for each in (*target.sha256, *target.links):
            self._move(target.root / each, _joined(unpacking.into, each))
        self.sha256 |= {_joined(unpacking.into, each): digest for each, digest in target.sha256.items()}
        self._links |= {_joined(unpacking.into, each): to for each, to in target.links.items()}
        shutil.rmtree(target.root)

    def add(self, item: RemoteObject, file: Path, digest: str) -> None:
        """Move a file that is not packed to its place."""
        self._move(file, item.name)
        self.sha256[item.name] = digest

    def finish(self) -> None:
        """Judge the tree as a whole.

        Raises:
            UnsafeArtifact: a link leaves it, or two names are one on some systems.
            ArtifactNotFound: it holds no file.
        """
        known = names.Names(self._settings.max_members)
        for name in (*self.sha256, *self._links):
            known.add(name)
        archives.check_links(self.root, self._links, self._label)
        if not self.sha256:
            raise errors.ArtifactNotFound(f"{self._label} holds no files of a model.")

    def _move(self, source: Path, name: str) -> None:
        target = self.root / name
        parts = name.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above in self.sha256 or above in self._links:
                self._remove(above)  # a folder takes the place of what was none
        if target.is_dir() and not target.is_symlink():
            self._remove(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.sha256.pop(name, None)
        self._links.pop(name, None)
        source.replace(target)

    def _remove(self, name: str) -> None:
        """Remove a file or folder; with a ``/`` at its end, what the folder holds."""
        self._check()
        bare = name.strip("/")
        inside = f"{bare}/" if bare else ""
        for known in (self.sha256, self._links):
            for each in [
                each for each in known if each.startswith(inside) or (each == bare and not name.endswith("/"))
            ]:
                (self.root / each).unlink(missing_ok=True)
                del known[each]
        path = self.root / bare
        if bare and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def _joined(folder: str, name: str) -> str:
    inside = folder.strip("/")
    return f"{inside}/{name.lstrip('/')}" if inside else name
