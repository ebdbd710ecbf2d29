"""The objects of a repository: those of one pack that was fetched, or all that a repository of this machine has."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from fairlead import errors
from fairlead_storage_git import packs

if TYPE_CHECKING:
    from dulwich.object_store import BaseObjectStore
    from dulwich.repo import Repo

__all__ = ["Fetched", "Local", "Objects"]

_LARGE: Final = 64 * 1024 * 1024
_LONGEST_HEAD: Final = 64
_KINDS: Final = {name: kind for kind, name in packs.KINDS.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where an object is stored: at an offset of a pack, or in a file of its own."""

    path: Path
    offset: int | None


class Objects(abc.ABC):
    """Reads objects by id, 40 hexadecimal digits; safe from threads, since every call opens its files anew."""

    def close(self) -> None:  # noqa: B027  # most hold nothing open
        """Let go of what is held open."""

    @abc.abstractmethod
    def locate(self, identifier: str) -> _Place | None:
        """Where an object is stored."""

    def size(self, identifier: str) -> int:
        """The length of an object.

        Raises:
            IntegrityError: it is damaged, or missing.
        """
        with self._reading(identifier) as (place, file):
            if place.offset is None:
                return _loose_head(file)[1]
            return packs.result_size(file, packs.entry_at(file, place.offset))

    def read(self, identifier: str, *, most: int = _LARGE) -> tuple[int, bytes]:
        """The kind and the content of an object that is not large.

        Raises:
            IntegrityError: it is damaged, or missing.
            StorageLimitExceeded: it is longer than so many bytes.
        """
        if self.size(identifier) > most:
            raise errors.StorageLimitExceeded(f"The object {identifier} of the repository is longer than {most} bytes.")
        kind, chunks = self._open(identifier)
        with self._damage(identifier):
            return kind, b"".join(chunks)

    def stream(self, identifier: str) -> Iterator[bytes]:
        """The content of an object in chunks, verified against its id at the end.

        Raises:
            IntegrityError: it is damaged, or missing.
        """
        kind, chunks = self._open(identifier)
        digest = packs.identity(kind, self.size(identifier))
        with self._damage(identifier):
            for chunk in chunks:
                digest.update(chunk)
                yield chunk
            if digest.hexdigest() != identifier:
                raise packs.Corrupt

    def _open(self, identifier: str) -> tuple[int, Iterator[bytes]]:
        with self._reading(identifier) as (place, file):
            if place.offset is None:
                return _loose_head(file)[0], _loose(place.path)
            entry = packs.entry_at(file, place.offset)
            deltas: list[bytes] = []
            while entry.base is not None:
                packs.held(entry.size + sum(map(len, deltas)))
                deltas.append(b"".join(packs.contents(file, entry)))
                if isinstance(entry.base, bytes):
                    kind, base = self.read(entry.base.hex(), most=packs.HELD)
                    return kind, iter([_applied(base, deltas)])
                entry = packs.entry_at(file, entry.base)
            assert entry.kind is not None
            if not deltas:
                return entry.kind, _packed(place.path, entry)
            packs.held(entry.size)
            return entry.kind, iter([_applied(b"".join(packs.contents(file, entry)), deltas)])

    @contextlib.contextmanager
    def _reading(self, identifier: str) -> Iterator[tuple[_Place, BinaryIO]]:
        place = self.locate(identifier)
        if place is None:
            raise errors.IntegrityError(f"The repository lacks its object {identifier}.")
        with self._damage(identifier), place.path.open("rb") as file:
            yield place, file

    @staticmethod
    @contextlib.contextmanager
    def _damage(identifier: str) -> Iterator[None]:
        try:
            yield
        except packs.Corrupt as error:
            raise errors.IntegrityError(f"The object {identifier} of the repository is damaged.") from error
        except OSError as error:
            raise errors.StorageUnavailable(f"The object {identifier} cannot be read: {error.strerror}.") from error


class Fetched(Objects):
    """The objects of one pack.

    Args:
        path: the pack.
        offsets: where each object is, by the 20 bytes of its id.
    """

    def __init__(self, path: Path, offsets: dict[bytes, int]) -> None:
        self._path = path
        self._offsets = offsets

    def locate(self, identifier: str) -> _Place | None:
        """Where an object is stored."""
        offset = self._offsets.get(bytes.fromhex(identifier))
        return None if offset is None else _Place(self._path, offset)


class Local(Objects):
    """The objects of a repository of this machine, and of those that it borrows from (``objects/info/alternates``).

    Args:
        repository: the repository, closed with this.
    """

    def __init__(self, repository: Repo) -> None:
        from dulwich.object_store import DiskObjectStore

        self._repository = repository
        self._packs = []
        self._folders = []
        stores: list[BaseObjectStore] = [repository.object_store]
        for store in stores:
            if isinstance(store, DiskObjectStore):
                self._packs += list(store.packs)
                self._folders.append(Path(store.path))
                stores += [other for other in store.alternates if other not in stores]

    def close(self) -> None:
        """Close the repository."""
        self._repository.close()

    def locate(self, identifier: str) -> _Place | None:
        """Where an object is stored."""
        for folder in self._folders:
            path = folder / identifier[:2] / identifier[2:]
            if path.is_file():
                return _Place(path, None)
        from dulwich.objects import ObjectID

        for pack in self._packs:
            with contextlib.suppress(KeyError):
                return _Place(Path(pack.data.path), pack.index.object_offset(ObjectID(identifier.encode())))
        return None


def _applied(base: bytes, deltas: list[bytes]) -> bytes:
    for delta in reversed(deltas):
        base = packs.applied(base, delta)
    return base


def _packed(path: Path, entry: packs.Entry) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from packs.contents(file, entry)


def _loose_head(file: BinaryIO) -> tuple[int, int]:
    """The kind and the length that a file of one object says."""
    try:
        head, end, _ = zlib.decompressobj().decompress(file.read(4096), _LONGEST_HEAD).partition(b"\0")
    except zlib.error as error:
        raise packs.Corrupt from error
    name, _, size = head.partition(b" ")
    if not end or name not in _KINDS or not size.isdigit():
        raise packs.Corrupt
    return _KINDS[name], int(size)


def _loose(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        kind, size = _loose_head(file)
        head = len(packs.KINDS[kind]) + len(str(size)) + 2
        for chunk in packs.inflated(file, head + size):
            if head < len(chunk):
                yield chunk[head:]
            head = max(0, head - len(chunk))
