"""What a pickle or a joblib file says of itself, read without unpickling it.

Files may be plain, or compressed with zlib, gzip, bz2, lzma or xz, as joblib writes them. How much is read is bounded,
and what is damaged is read as far as it goes: the error of the load says what is wrong with it.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from fairlead.runtimes.opcodes import Global, Made, Walk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["expanded", "is_version", "modules", "outermost", "recorded", "search"]

_MOST_OPCODES: Final = 250_000
"""About a quarter of a second; estimators name their classes long before that."""
_MOST_BYTES: Final = 1 << 28
"""Of a compressed file, which has to be expanded up to what is looked for."""
_MAKERS: Final = frozenset(["copyreg", "copy_reg"])
"""Functions in these make an object of the class that is their first argument."""

_CHUNK: Final = 1 << 20
_LONGEST_RECORD: Final = 512
_LONGEST_SUFFIX: Final = 16
# Between a key and its version stand opcodes of a pickle (a frame header at most) or the punctuation of JSON.
_VERSION_AFTER: Final = rb"(?s:.{1,160}?)(?<![0-9.])(\d+(?:\.\d+)+(?:\.?(?:dev|rc|post|a|b)\d+)?)"
_VERSION: Final = re.compile(r"\d+(\.\d+)+([.a-z0-9+]*)")
_DAMAGE: Final = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


class _Inflated(io.RawIOBase):
    """A zlib stream, as joblib writes it by default, read piece by piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                return 0
            if found := self._inflate.decompress(packed, len(view)):
                view[: len(found)] = found
                return len(found)
        return 0


def modules(path: Path) -> frozenset[str]:
    """The top-level packages that a pickle or a joblib file names; nothing is imported, and nothing runs.

    Of a file of very many parts only the first 250,000 opcodes are looked at, and of one that is compressed only the
    first 256 MiB.

    Args:
        path: the file; one that is no pickle names nothing.
    """
    named: set[Global] = set()
    for walk in _walked(path):
        named = walk.named
    return frozenset(each.module.partition(".")[0] for each in named)


def outermost(path: Path) -> str | None:
    """The module of the class of a pickled object, for example ``sklearn.pipeline``; nothing is imported or run.

    Where a function makes the object, this is the function's module. Only the start of the file is read.

    Args:
        path: a pickle or a joblib file.

    Returns:
        The module, with dots; ``builtins`` for a dictionary, a list or a text; None where it is no pickle.
    """
    bottom: list[Any] = []
    with contextlib.closing(_walked(path)) as walks:
        for walk in walks:
            bottom = walk.stack[:1]
            if (module := _module_of(bottom)) is not None:
                return module
    return "builtins" if bottom and isinstance(bottom[0], (str, int)) else None


def recorded(path: Path, key: bytes) -> str | None:
    """A version that a file holds shortly after a key, for example ``1.5.2`` after ``_sklearn_version``.

    The whole file may be read, in pieces of one MiB; nothing of it is interpreted.

    Args:
        path: the file.
        key: the key.

    Returns:
        The first such version; None when there is none, or the file is damaged.
    """
    with contextlib.suppress(*_DAMAGE), path.open("rb") as file:
        return search(expanded(file), key)
    return None


def search(stream: IO[bytes], key: bytes) -> str | None:
    """The first version that stands shortly after a key in a stream, with memory for one piece of it.

    Args:
        stream: the bytes, as they are once expanded.
        key: the key.
    """
    record = re.compile(re.escape(key) + _VERSION_AFTER)
    window = b""
    while True:
        piece = stream.read(_CHUNK)
        window += piece
        found = record.search(window)
        # A version close to the end of a piece may go on in the next.
        if found and (not piece or found.end() + _LONGEST_SUFFIX <= len(window)):
            return found[1].decode("ascii")
        if not piece:
            return None
        window = window[-_LONGEST_RECORD:]


def is_version(text: str) -> bool:
    """Whether this is a version that could be installed; files of old releases record ``pre-0.18``."""
    return _VERSION.fullmatch(text) is not None


def expanded(file: IO[bytes]) -> IO[bytes]:
    """The bytes of a file, decompressed while they are read where it is compressed in one of the known ways.

    Args:
        file: a file that can seek, at its start.
    """
    start = file.read(6)
    file.seek(0)
    stream: Any = file
    if start.startswith(b"\x1f\x8b"):
        stream = gzip.GzipFile(fileobj=file)
    elif start.startswith(b"BZh"):
        stream = bz2.BZ2File(file)
    elif start.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        stream = lzma.LZMAFile(file)  # noqa: SIM115  # the caller closes the file itself
    elif start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0:
        stream = io.BufferedReader(_Inflated(file), _CHUNK)
    return cast("IO[bytes]", stream)


def _walked(path: Path) -> Generator[Walk, None, None]:
    """A walk through the opcodes of a file, after each step and at its end, as far as the file is whole."""
    with contextlib.suppress(*_DAMAGE), path.open("rb") as file:
        walk = Walk(expanded(file), _MOST_OPCODES, _MOST_BYTES)
        for _ in walk.steps():
            yield walk
        yield walk


def _module_of(bottom: list[Any]) -> str | None:
    """The module of what lies at the bottom of the stack, which becomes the object; None while it is not known."""
    match bottom:
        case [Made(by=Global(module=module), args=(Global(module=of), *_))] if module in _MAKERS:
            return _named(of)
        case [Made(by=Global(module=module)) | Global(module=module)] if module not in _MAKERS:
            return _named(module)
        case [dict() | tuple()]:
            return "builtins"
    return None


def _named(module: str) -> str:
    return "builtins" if module == "__builtin__" else module
