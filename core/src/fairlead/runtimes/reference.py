"""Reference data of an explainer: rows that are like those that will be explained, in a .csv, .npy or .npz file."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fairlead.contracts.runtime import Artifact

__all__ = ["LIMIT", "PATTERNS", "Reference", "read"]

PATTERNS: Final = ("*.csv", "*.npy", "*.npz")
"""The files that hold reference data."""

LIMIT: Final = 128 << 20
"""The most bytes of such a file, and of the array in an archive; an explainer compares each row with all of them."""

_ROWS_AND_COLUMNS: Final = 2
_NUMBERS: Final = "biuf"
_TEXT: Final = "U"


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """Reference data, one row at least and one column.

    Attributes:
        file: the name of its file.
        names: the names of the columns; empty where the file has none.
        columns: each of shape [rows]: ``str`` objects from a .csv or an array of text, else numbers.
    """

    file: str
    names: tuple[str, ...]
    columns: tuple[NDArray[Any], ...]

    def is_text(self, place: int) -> bool:
        """Whether a column has cells that are neither numbers nor empty."""
        column = self.columns[place]
        return column.dtype == object and not _are_numbers(column)

    def numbers(self, place: int) -> NDArray[np.float64]:
        """A column as FP64 of shape [rows]; an empty cell is NaN.

        Raises:
            ModelLoadError: it has text.
        """
        column = self.columns[place]
        if column.dtype != object:
            return column.astype(np.float64)
        try:
            return np.array([_number(cell) for cell in column], np.float64)
        except ValueError as error:
            which = repr(self.names[place]) if self.names else str(place + 1)
            raise errors.ModelLoadError(f"The column {which} of {self.file} is not of numbers: {error}.") from error

    def matrix(self) -> NDArray[np.float64]:
        """All columns as FP64 of shape [rows, columns]; an empty cell is NaN.

        Raises:
            ModelLoadError: one of them has text.
        """
        return np.column_stack([self.numbers(place) for place in range(len(self.columns))])


def read(artifact: Artifact) -> Reference:
    """Read reference data from the one file that holds it: a .csv, an array in a .npy, or an .npz of one array.

    The first line of a .csv names the columns, unless all of it is numbers. Nothing is unpickled.

    Raises:
        ModelLoadError: there is no such file, or more than one (`ArtifactMissing`, `ArtifactAmbiguous`), or it holds no
            table, or one that is larger than `LIMIT`.
    """
    path = artifact.only(PATTERNS)
    try:
        with path.open("rb") as file:
            _check_size(path.name, os.fstat(file.fileno()).st_size)
            if path.suffix == ".csv":
                return _csv(path, file)
            return _table(path.name, _array(path.name, file))
    except errors.FairleadError:
        raise
    except Exception as error:  # zipfile, zlib and lzma have errors of their own, and a header may ask for all memory
        raise errors.ModelLoadError(
            f"The reference data in {path.name} cannot be read: {type(error).__name__}: {str(error).rstrip('.')}.",
            remedy="Write the file again; numpy.save and numpy.savez write arrays.",
        ) from error


def _check_size(name: str, size: int) -> None:
    if size > LIMIT:
        raise errors.ModelLoadError(
            f"The reference data in {name} has {size} bytes, and more than {LIMIT} are not read.",
            remedy="Give some hundreds of rows.",
        )


def _csv(path: Path, file: IO[bytes]) -> Reference:
    rows: list[list[str]] = []
    with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        for line in filter(None, reader):
            rows.append([cell.strip() for cell in line])
            if len(line) != len(rows[0]):
                raise errors.ModelLoadError(
                    f"In {path.name}, line {reader.line_num} has {len(line)} values, and the first {len(rows[0])}."
                )
    names = tuple(rows.pop(0)) if rows and not _are_numbers(rows[0]) else ()
    if not rows:
        raise errors.ModelLoadError(f"The reference data in {path.name} holds no rows.")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise errors.ModelLoadError(
            f"The reference data in {path.name} has two columns {twice!r}.", remedy="Name each column once."
        )
    return Reference(path.name, names, tuple(np.array(column, object) for column in zip(*rows, strict=True)))


def _array(name: str, file: IO[bytes]) -> Any:
    found: Any = np.load(file, allow_pickle=False)
    if not isinstance(found, np.lib.npyio.NpzFile):
        return found
    with found:
        if len(found.files) != 1:
            raise errors.ModelLoadError(f"The archive {name} holds {len(found.files)} arrays, and not one.")
        members = found.zip.infolist() if found.zip is not None else ()  # None once it is closed
        _check_size(name, sum(member.file_size for member in members))
        return found[found.files[0]]


def _table(name: str, found: Any) -> Reference:
    if not isinstance(found, np.ndarray) or found.dtype.kind not in _NUMBERS + _TEXT:
        kind = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
        raise errors.ModelLoadError(f"The reference data in {name} is {kind}, and neither numbers nor text.")
    if found.ndim != _ROWS_AND_COLUMNS or not found.size:
        raise errors.ModelLoadError(
            f"The reference data in {name} has the shape {list(found.shape)}, and not [rows, features]."
        )
    array = found.astype(object) if found.dtype.kind == _TEXT else found
    return Reference(name, (), tuple(array.T))


def _are_numbers(cells: Sequence[str] | NDArray[Any]) -> bool:
    try:
        for cell in cells:
            _number(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    """A number; an empty cell is a missing one."""
    return float(cell) if cell.strip() else float("nan")
