"""Reading .safetensors files, also while they arrive: nothing in them runs, and no bound of theirs is believed.

::

    8 bytes   the length of the header, a little-endian number
    header    a JSON object: of each tensor its dtype, its shape, and where its bytes begin and end after the header
    bytes     of all tensors, without gaps

The format is that of https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import mmap
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from fairlead import errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Entry", "Tensors"]

_LONGEST: Final = 100_000_000
"""Bytes of a header at most, as in the library that defines the format."""

_PREFIX: Final = 8

_MOST_AXES: Final = 64
"""Axes of a tensor at most, as in numpy and PyTorch; the product of millions of lengths takes for ever."""

_SIZES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Bytes of one element, by dtype."""

_NUMPY: Final[Mapping[str, str]] = {
    "BOOL": "?",
    **{f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    "C64": "<c8",
}
"""The dtypes that numpy has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file.

    Attributes:
        dtype: as the file names it, for example ``BF16``.
        shape: its lengths.
        start: where its bytes begin, in the file.
        end: where they end.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Tensors:
    """The tensors of a file.

    Args:
        file: the file, as `fairlead.Artifact.open` returns it; of one that still arrives the header is awaited.
        name: its name, for messages.

    Attributes:
        entries: what the file says of each tensor, by name, in the order of their bytes.
        metadata: texts that the author has put there.

    Raises:
        ModelLoadError: it is no such file, or is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        size = file.seek(0, io.SEEK_END)
        start = _PREFIX + int.from_bytes(self._read(0, _PREFIX), "little")
        if start - _PREFIX > _LONGEST or start > size:
            raise self._wrong(f"its header would have {start - _PREFIX} bytes")
        try:
            found = json.loads(self._read(_PREFIX, start), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"its header is no JSON object ({error})") from error
        metadata = found.pop("__metadata__", {}) if isinstance(found, dict) else None
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise self._wrong("its header is no JSON object of tensors and texts")
        entries = {key: self._entry(key, value, start) for key, value in found.items()}
        ordered = sorted(entries.items(), key=lambda item: (item[1].start, item[1].end))
        end = start
        for key, entry in ordered:
            if entry.start != end:
                raise self._wrong(f"the bytes of {key!r} do not begin where those before it end")
            end = entry.end
        if end != size:
            raise self._wrong(f"its tensors end after {end} bytes, and it has {size}")
        self.entries: Final[Mapping[str, Entry]] = MappingProxyType(dict(ordered))
        self.metadata: Final[Mapping[str, str]] = MappingProxyType(metadata)
        self._mapped = _mapped(file, size)

    def data(self, name: str) -> memoryview:
        """The bytes of a tensor, which may be written to; the file stays as it is.

        Of a whole file on disk they are a view of it, read when they are used; of one that still arrives they are read.

        Raises:
            KeyError: there is no tensor of that name.
            StorageError: the file cannot be fetched.
        """
        entry = self.entries[name]
        if self._mapped is not None and entry.start % _SIZES[entry.dtype] == 0:
            return memoryview(self._mapped)[entry.start : entry.end]
        return memoryview(self._read(entry.start, entry.end))

    def array(self, name: str) -> NDArray[Any]:
        """A tensor as an array.

        Raises:
            KeyError: there is no tensor of that name.
            ModelLoadError: numpy has no such dtype, for example BF16.
            StorageError: the file cannot be fetched.
        """
        entry = self.entries[name]
        if entry.dtype not in _NUMPY:
            raise errors.ModelLoadError(f"{name!r} in {self._name} is {entry.dtype}, which numpy does not have.")
        return np.frombuffer(self.data(name), dtype=_NUMPY[entry.dtype]).reshape(entry.shape)

    def _entry(self, key: str, value: Any, start: int) -> Entry:
        try:
            dtype, shape, (first, last) = value["dtype"], tuple(value["shape"]), value["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong(f"{key!r} has no dtype, shape or data_offsets") from error
        if len(shape) > _MOST_AXES or not all(type(each) is int and each >= 0 for each in (*shape, first, last)):
            raise self._wrong(f"{key!r} has a shape or offsets that are none")
        if not isinstance(dtype, str) or dtype not in _SIZES:
            raise self._wrong(f"{key!r} has the dtype {dtype!r}, which is not known")
        if last - first != math.prod(shape) * _SIZES[dtype]:
            raise self._wrong(f"{key!r} has {last - first} bytes, which are not those of {dtype} {list(shape)}")
        return Entry(dtype, shape, start + first, start + last)

    def _read(self, start: int, end: int) -> bytearray:
        data = bytearray(end - start)
        self._file.seek(start)
        if self._file.readinto(data) != len(data):  # type: ignore[attr-defined]  # typing.BinaryIO lacks it
            raise self._wrong(f"it ends before byte {end}")
        return data

    def _wrong(self, what: str) -> errors.ModelLoadError:
        return errors.ModelLoadError(
            f"{self._name} is no whole file of safetensors: {what}.",
            remedy="Save the model again, or copy the file again.",
        )


def _mapped(file: BinaryIO, size: int) -> mmap.mmap | None:
    """A file on disk as memory that is copied where it is written to; None for one that still arrives."""
    try:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    except io.UnsupportedOperation:
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found
