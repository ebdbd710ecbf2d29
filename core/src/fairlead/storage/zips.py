"""Zip archives."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.storage.archives import Archive, Target

__all__ = ["unpack"]

_ENCRYPTED: Final = 0x1
_LINK_BYTES: Final = 4096
_DIRECTORY_FLOOR: Final = 1024 * 1024
_DIRECTORY_ENTRY: Final = 256


def unpack(archive: Archive, target: Target) -> None:
    """Unpack a zip archive.

    Raises:
        StorageError: see `fairlead.storage.archives.unpack`.
    """
    try:
        with zipfile.ZipFile(_Bounded(archive.source, target)) as container:
            members = container.infolist()
            if len(members) > target.settings.max_members:
                raise errors.StorageLimitExceeded(
                    f"The archive {archive.name} has {len(members)} members, more than {target.settings.max_members}.",
                    remedy="The setting max_members bounds them.",
                )
            target.announce(sum(member.file_size for member in members))
            for member in members:
                target.check()
                _place(container, member, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise errors.IntegrityError(f"The archive {archive.name} is damaged or incomplete: {error}.") from error


def _place(container: zipfile.ZipFile, member: zipfile.ZipInfo, target: Target) -> None:
    # `filename` is cut at a NUL and has separators exchanged; the name as it stands in the archive is judged.
    name = target.keep(member.orig_filename)
    if name is None:
        return
    mode = member.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if member.flag_bits & _ENCRYPTED:
        raise target.unsafe(name, "is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` decompresses the other methods without a bound on memory.
        raise target.unsafe(name, f"is compressed by method {member.compress_type}; zip members are stored or deflated")
    if name.endswith("/") and kind in (0, stat.S_IFDIR):
        target.folder(name.removesuffix("/"))
        return
    if kind == stat.S_IFLNK:
        if member.file_size > _LINK_BYTES:
            raise target.unsafe(name, "is a symbolic link with an over-long target")
        with container.open(member) as source:  # `read` would decompress in one piece whatever its size
            target.symbolic_link(name, source.read(_LINK_BYTES + 1).decode("utf-8", "surrogateescape"))
    elif kind in (0, stat.S_IFREG):
        with container.open(member) as source:
            target.file(name, source, member.file_size, executable=bool(mode & 0o100))
    else:
        raise target.unsafe(name, "is neither a file, a folder nor a link")


class _Bounded(io.RawIOBase):
    """The archive's file, of which no single read may be large: the list of members is read whole, into memory."""

    def __init__(self, raw: IO[bytes], target: Target) -> None:
        self._raw = raw
        self._target = target
        self._most = _DIRECTORY_FLOOR + _DIRECTORY_ENTRY * target.settings.max_members

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._raw.tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and position < 0:
            raise zipfile.BadZipFile("an offset is negative")
        return self._raw.seek(position, whence)

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        if wanted > self._most:
            raise errors.StorageLimitExceeded(
                f"The list of members of {self._target.archive} has {wanted} bytes, more than {self._most}.",
                remedy="The setting max_members bounds them.",
            )
        data = self._raw.read(self._most + 1 if wanted < 0 else wanted)
        if len(data) > self._most:
            raise errors.StorageLimitExceeded(f"The archive {self._target.archive} cannot be read piece by piece.")
        return data
