"""The scikit-learn version that a file was saved with, read without loading the file.

Every estimator of scikit-learn writes its library's version under ``_sklearn_version`` into its state, so the bytes
of a pickle or of a skops schema hold the key, and the version shortly after it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

from fairlead_runtime_sklearn._plugin import SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["INSTALL", "is_version", "recorded", "saved_with"]

INSTALL: Final = "pip install scikit-learn=={}"

_KEY: Final = b"_sklearn_version"
# Between key and version stand opcodes of a pickle (a frame header at most) or the JSON of a skops schema.
_RECORD: Final = re.compile(
    re.escape(_KEY) + rb"(?s:.{1,160}?)(?<![0-9.])(\d+(?:\.\d+)+(?:\.?(?:dev|rc|post|a|b)\d+)?)"
)
_LONGEST_RECORD: Final = 256
_LONGEST_SUFFIX: Final = 16
_CHUNK: Final = 1 << 20
_VERSION: Final = re.compile(r"\d+(\.\d+)+([.a-z0-9+]*)")


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Inflated:
    """A zlib stream, as joblib writes it by default, read piece by piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(size)
            if not packed:
                return b""
            if found := self._inflate.decompress(packed, size):
                return found
        return b""


def saved_with(artifact: Artifact) -> Mapping[str, str]:
    """The version of scikit-learn that an artefact was saved with, by distribution name; see `recorded`.

    Empty where it is not known, or where the artefact does not hold exactly one model file.
    """
    found = artifact.matching(SPEC.artifacts)
    version = recorded(found[0]) if len(found) == 1 else None
    return {} if version is None else {SPEC.libraries[0].distribution: version}


def recorded(path: Path) -> str | None:
    """The version that a file was saved with; None when it names none, or is none of the known encodings.

    Reads pickles, joblib files (plain, or compressed with zlib, gzip, bz2, lzma or xz) and skops archives in pieces
    of one MiB, and interprets nothing of them.

    Args:
        path: the file.
    """
    try:
        with path.open("rb") as file:
            return _scan(_opened(file))
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        return None  # it is damaged, and the error of the load says so


def is_version(text: str) -> bool:
    """Whether this is a version that could be installed; files of old releases record ``pre-0.18``."""
    return _VERSION.fullmatch(text) is not None


def _opened(file: IO[bytes]) -> _Reader:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return zipfile.ZipFile(file).open("schema.json")
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.LZMAFile(file)
    if start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0:
        return _Inflated(file)
    return file


def _scan(reader: _Reader) -> str | None:
    """The first version in a stream, with memory for one piece of it."""
    window = b""
    while True:
        piece = reader.read(_CHUNK)
        window += piece
        found = _RECORD.search(window)
        # A version close to the end of a piece may go on in the next.
        if found and (not piece or found.end() + _LONGEST_SUFFIX <= len(window)):
            return found[1].decode("ascii")
        if not piece:
            return None
        window = window[-_LONGEST_RECORD:]
