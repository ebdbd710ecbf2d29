"""Tar archives, plain or compressed, read once from front to back."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final, cast

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.storage.archives import Archive, Target

__all__ = ["unpack"]

_HEADER_BUDGET: Final = 1024 * 1024
"""Bytes that the headers of one member may have, long names and attributes included; they are held in memory."""

_XZ_MEMORY: Final = 256 * 1024 * 1024
"""Bytes of memory that an xz stream may ask for; ``xz -9`` asks for 65 MiB, the format allows 4 GiB."""

_ZSTD_WINDOW: Final = 128 * 1024 * 1024
"""Bytes of memory that a Zstandard stream may ask for; ``zstd --ultra -22`` asks for 128 MiB."""

_MAX_SHARED_ATTRIBUTES: Final = 64
"""Attributes that all members may share (pax global headers); they are held in memory, and copied to every member."""

_BLOCK: Final = 64 * 1024


def unpack(archive: Archive, target: Target) -> None:
    """Unpack a tar archive.

    Raises:
        StorageError: see `fairlead.storage.archives.unpack`.
    """
    try:
        with _decompressed(archive.kind, archive.source) as content:
            stream = _Forward(content, target)
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as tar:
                while True:
                    stream.start_header()
                    member = tar.next()
                    if member is None:
                        break
                    tar.members = []  # type: ignore[attr-defined]  # undeclared; or every member stays in memory
                    if len(tar.pax_headers) > _MAX_SHARED_ATTRIBUTES:
                        raise errors.StorageLimitExceeded(
                            f"The archive {archive.name} has more than {_MAX_SHARED_ATTRIBUTES} global attributes."
                        )
                    stream.start_content()
                    _place(tar, member, target)
            stream.finish()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise errors.IntegrityError(f"The archive {archive.name} is damaged or incomplete: {error}.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # bz2 reports damaged content as an OSError without a number.
        raise errors.IntegrityError(f"The archive {archive.name} is damaged or incomplete: {error}.") from error
    except (ValueError, RecursionError, OverflowError) as error:
        # tarfile lets these through for headers whose numbers are nonsense or that nest without end.
        raise errors.IntegrityError(f"The archive {archive.name} has a header that cannot be read.") from error


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Target) -> None:
    name = member.name
    while name.startswith("./"):
        name = name[2:]
    if member.isdir():
        kept = target.keep(f"{name.rstrip('/')}/") if name.rstrip("/") not in ("", ".") else None
        if kept is not None:
            target.folder(kept.rstrip("/"))
        return
    kept = target.keep(name)
    if kept is None:
        return
    name = kept
    if member.issym():
        target.symbolic_link(name, member.linkname)
    elif member.islnk():
        target.hard_link(name, target.keep(member.linkname.removeprefix("./")) or member.linkname)
    elif member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) and not member.issparse():
        if member.size < 0:
            raise errors.IntegrityError(f"{name!a} in {target.archive} announces a negative size.")
        source = tar.extractfile(member)
        assert source is not None
        with source:
            # The stream below counts what it decompresses, so this content is not counted twice.
            target.announce(member.size)
            target.file(name, source, member.size, executable=bool(member.mode & 0o100), count=False)
    else:
        raise target.unsafe(name, f"is {_kind(member)}; only files, folders and links within are unpacked")


def _kind(member: tarfile.TarInfo) -> str:
    kinds = {
        tarfile.CHRTYPE: "a character device",
        tarfile.BLKTYPE: "a block device",
        tarfile.FIFOTYPE: "a named pipe",
    }
    if member.issparse():
        return f"a sparse file of {member.size} bytes"
    return kinds.get(member.type, f"of the unknown kind {member.type!r}")


class _Forward:
    """A file that only goes forward, counts every byte, and lets headers be read in small pieces only."""

    def __init__(self, source: IO[bytes], target: Target) -> None:
        self._source = source
        self._target = target
        self._position = 0
        self._budget: int | None = _HEADER_BUDGET
        self._last = b""

    def start_header(self) -> None:
        """From here on headers are read, which `tarfile` holds in memory."""
        self._budget = _HEADER_BUDGET

    def start_content(self) -> None:
        """From here on a member's content is read, block by block."""
        self._budget = None

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes; fewer only at the end."""
        if self._budget is not None:
            self._budget -= size
            if size < 0 or self._budget < 0:
                raise errors.StorageLimitExceeded(
                    f"A member of {self._target.archive} has headers of more than {_HEADER_BUDGET} bytes."
                )
        data = b""
        while len(data) < size and (piece := self._source.read(size - len(data))):
            data += piece
        self._moved(len(data))
        self._last = data
        return data

    def tell(self) -> int:
        """The position, in bytes of the decompressed archive."""
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go forward to a position; content that is passed over counts as well."""
        if whence != io.SEEK_SET or position < self._position:
            raise errors.IntegrityError(f"The archive {self._target.archive} has members that overlap.")
        self._target.announce(position - self._position)
        while self._position < position:
            piece = self._source.read(min(_BLOCK, position - self._position))
            if not piece:
                raise tarfile.ReadError("it ends within a member")
            self._moved(len(piece))
        return self._position

    def finish(self) -> None:
        """Read to the end, where a compressed stream has its checksum.

        Raises:
            IntegrityError: the archive stopped without the empty block that ends every tar archive.
        """
        if len(self._last) != tarfile.BLOCKSIZE or any(self._last):
            raise errors.IntegrityError(f"The archive {self._target.archive} is damaged or incomplete: it has no end.")
        while piece := self._source.read(_BLOCK):
            self._moved(len(piece))

    def _moved(self, count: int) -> None:
        self._target.check()
        self._position += count
        self._target.count(count)


@contextlib.contextmanager
def _decompressed(kind: str, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """The content of a stream; the stream itself stays open, for it is its owner's."""
    if kind == "tar":
        yield raw
    elif kind == "tar.gz":
        with gzip.GzipFile(fileobj=raw, mode="rb") as content:
            yield cast("IO[bytes]", content)
    elif kind == "tar.bz2":
        with bz2.BZ2File(raw) as content:
            yield cast("IO[bytes]", content)
    elif kind == "tar.xz":
        yield cast("IO[bytes]", io.BufferedReader(_XzReader(raw)))
    elif kind == "tar.zst":
        with _zstandard(raw) as content:
            yield content
    else:
        raise errors.StorageError(f"An archive of the kind {kind!r} cannot be unpacked.")


@contextlib.contextmanager
def _zstandard(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        import zstandard
    except ImportError as error:
        raise errors.StorageError(
            "An archive that is compressed with Zstandard needs a package that is not installed.",
            remedy="pip install 'fairlead[zstd]'",
        ) from error
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        with decompressor.stream_reader(raw, read_across_frames=True, closefd=False) as content:
            yield content
    except zstandard.ZstdError as error:
        raise tarfile.ReadError("its compressed content cannot be read") from error


class _XzReader(io.RawIOBase):
    """An xz stream whose memory is bounded, which `lzma.LZMAFile` cannot do."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decoder = self._new()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io's own stub is wider than its use
        while True:
            if self._decoder.eof:
                self._rest = (self._decoder.unused_data or self._raw.read(_BLOCK)).lstrip(b"\0")
                if not self._rest:
                    return 0
                self._decoder = self._new()
            data, self._rest = self._rest, b""
            if self._decoder.needs_input and not data:
                data = self._raw.read(_BLOCK)
                if not data:
                    raise EOFError("it ends within the xz stream")
            out = self._decoder.decompress(data, max_length=len(buffer))
            if out:
                buffer[: len(out)] = out
                return len(out)

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
