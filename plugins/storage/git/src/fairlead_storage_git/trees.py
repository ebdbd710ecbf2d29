"""The files of a commit: folders walked, links followed within the repository."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_storage_git import packs

if TYPE_CHECKING:
    from fairlead_storage_git.objects import Objects

__all__ = ["Tree", "tree_of"]

_KIND: Final = 0o170000
_FOLDER: Final = 0o040000
_LINK: Final = 0o120000
_SUBMODULE: Final = 0o160000
_MAX_HOPS: Final = 40
_MAX_DEPTH: Final = 200
_MAX_FILES: Final = 1_000_000
_MAX_LINK: Final = 4096
_MAX_TAGS: Final = 10


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """What a path leads to, links followed.

    Attributes:
        identifier: the id of the file or folder.
        folder: whether it is a folder.
        trail: the folders that lead to it, by name, and their ids; itself included where it is one.
    """

    identifier: str
    folder: bool
    trail: tuple[tuple[str, str], ...]


def tree_of(objects: Objects, identifier: str, shown: str) -> str:
    """The id of the tree of a commit, or of the commit that a tag stands for.

    Raises:
        StorageError: it stands for something else.
    """
    from dulwich.objects import Commit, ShaFile, Tag

    for _ in range(_MAX_TAGS):
        kind, content = objects.read(identifier)
        if kind == packs.TREE:
            return identifier
        if kind == packs.BLOB:
            break
        thing = ShaFile.from_raw_string(kind, content)
        if isinstance(thing, Commit):
            return str(thing.tree, "ascii")
        assert isinstance(thing, Tag)
        identifier = str(thing.object[1], "ascii")
    raise errors.StorageError(f"What {shown} names is no commit.", remedy="Name a branch, a tag or a commit.")


class Tree:
    """The tree of a commit.

    Args:
        objects: reads the repository.
        root: the id of the tree.
        shown: the repository, as it may be shown.
    """

    def __init__(self, objects: Objects, root: str, shown: str) -> None:
        self._objects = objects
        self._root = root
        self._shown = shown
        self._entries = functools.lru_cache(maxsize=1024)(self._read)

    def files(self, path: str, *, folder: bool) -> list[tuple[str, str]]:
        """The files below a folder, or the one file that a path names: relative names, and ids.

        Args:
            path: a path in the repository; empty for all of it.
            folder: whether it must be a folder.

        Raises:
            ArtifactNotFound: there is nothing of that name, or no file below it.
            UnsafeArtifact: a link leads out of the repository, in a circle, or nowhere.
            StorageError: there is a submodule.
        """
        found = self._follow((), path, path)
        if found is None or (folder and not found.folder):
            raise errors.ArtifactNotFound(f"There is no {'folder' if folder else 'path'} {path!a} in {self._shown}.")
        if not found.folder:
            return [(path.rpartition("/")[2], found.identifier)]
        files: list[tuple[str, str]] = []
        for file in self._walk(found.trail, found.identifier, "", (found.identifier,)):
            if len(files) == _MAX_FILES:
                raise errors.StorageLimitExceeded(f"{self._shown} holds more than {_MAX_FILES} files.")
            files.append(file)
        if not files:
            raise errors.ArtifactNotFound(f"There are no files in {path!a} of {self._shown}.")
        return files

    def _walk(
        self, trail: tuple[tuple[str, str], ...], identifier: str, prefix: str, above: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        if len(above) > _MAX_DEPTH:
            raise errors.UnsafeArtifact(f"{self._shown} holds more than {_MAX_DEPTH} folders in one another.")
        for name, (mode, entry) in self._entries(identifier).items():
            place = prefix + name
            if mode & _KIND == _LINK:
                found = self._follow(trail, name, place)
                if found is None:
                    raise errors.UnsafeArtifact(f"The link {place!a} of {self._shown} leads to nothing.")
            else:
                folder = mode & _KIND == _FOLDER
                self._refuse_submodule(mode, place)
                found = _Found(entry, folder, (*trail, (name, entry)) if folder else trail)
            if not found.folder:
                yield place, found.identifier
            elif found.identifier in above:
                raise errors.UnsafeArtifact(f"The link {place!a} of {self._shown} leads in a circle.")
            else:
                yield from self._walk(found.trail, found.identifier, f"{place}/", (*above, found.identifier))

    def _follow(self, trail: Sequence[tuple[str, str]], path: str, place: str) -> _Found | None:
        """What a path leads to from a folder; None where there is nothing."""
        here = list(trail)
        ahead = deque(path.split("/"))
        hops = 0
        while ahead:
            name = ahead.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                if not here:
                    raise errors.UnsafeArtifact(f"The link {place!a} leads out of {self._shown}.")
                here.pop()
                continue
            mode, identifier = self._entries(here[-1][1] if here else self._root).get(name, (0, ""))
            self._refuse_submodule(mode, place)
            if mode & _KIND == _LINK:
                hops += 1
                if hops > _MAX_HOPS:
                    raise errors.UnsafeArtifact(f"The link {place!a} of {self._shown} leads in a circle.")
                ahead.extendleft(reversed(self._target(identifier, place).split("/")))
            elif mode & _KIND == _FOLDER:
                here.append((name, identifier))
            elif not mode or any(part not in ("", ".") for part in ahead):
                return None
            else:
                return _Found(identifier, folder=False, trail=tuple(here))
        return _Found(here[-1][1] if here else self._root, folder=True, trail=tuple(here))

    def _target(self, identifier: str, place: str) -> str:
        _, content = self._objects.read(identifier, most=_MAX_LINK)
        target = content.decode(errors="surrogateescape")
        if target.startswith("/") or not target:
            raise errors.UnsafeArtifact(f"The link {place!a} leads out of {self._shown}.")
        return target

    def _refuse_submodule(self, mode: int, place: str) -> None:
        if mode & _KIND == _SUBMODULE:
            raise errors.StorageError(
                f"{place!a} of {self._shown} is a submodule, which is not fetched.",
                remedy="Name a folder without one after #subdirectory=, or the submodule's own repository.",
            )

    def _read(self, identifier: str) -> dict[str, tuple[int, str]]:
        from dulwich.errors import ObjectFormatException
        from dulwich.objects import parse_tree

        kind, content = self._objects.read(identifier)
        try:
            entries = list(parse_tree(content, 20, strict=False)) if kind == packs.TREE else None
        except (ObjectFormatException, ValueError):
            entries = None
        if entries is None:
            raise errors.IntegrityError(f"The folder {identifier} of {self._shown} is damaged.")
        return {name.decode(errors="surrogateescape"): (mode, found.decode()) for name, mode, found in entries}
