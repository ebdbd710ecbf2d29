"""The reference data: rows of numbers that a prediction is compared with."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Artifact, errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PATTERNS", "Background", "read"]

PATTERNS: Final = ("*.csv", "*.npy", "*.npz")
"""The files that hold reference data."""

_ROWS_AND_COLUMNS: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Background:
    """Reference data.

    Attributes:
        values: FP64 of shape [rows, features].
        names: the names of the features; empty where the file has none.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...] = ()

    def ordered(self, names: Sequence[str]) -> Background:
        """The same data with its features in this order; as it is where it has no names.

        Raises:
            ModelLoadError: it has another number of features, or other ones.
        """
        if self.values.shape[1] != len(names):
            raise errors.ModelLoadError(
                f"The reference data has {self.values.shape[1]} features, and the model {len(names)}.",
                remedy="Give the explainer data as the model takes it, without the target.",
            )
        if not self.names:
            return self
        missing = [name for name in names if name not in self.names]
        if missing:
            raise errors.ModelLoadError(
                f"The reference data has no column {missing[0]!r} (it has {', '.join(map(repr, self.names))}).",
                remedy="Name the columns as the model does.",
            )
        return Background(self.values[:, [self.names.index(name) for name in names]], tuple(names))

    def drawn(self, count: int) -> NDArray[np.float64]:
        """At most so many rows, the same ones each time."""
        rows = len(self.values)
        if rows <= count:
            return self.values
        chosen = np.random.default_rng(0).choice(rows, count, replace=False)
        return self.values[np.sort(chosen)]


def read(artifact: Artifact) -> Background:
    """Read reference data from the one file that holds it: .csv, .npy, or .npz with one array.

    The first line of a .csv may name the columns.

    Raises:
        ModelLoadError: there is no such file, or more than one, or it holds no rows of numbers.
    """
    path = artifact.only(PATTERNS)
    try:
        names, values = _csv(path) if path.suffix == ".csv" else ((), _array(path))
        values = np.asarray(values, dtype=np.float64)
    except (OSError, ValueError, csv.Error, UnicodeDecodeError) as error:
        raise errors.ModelLoadError(f"The reference data in {path.name} cannot be read: {error}.") from error
    if values.ndim != _ROWS_AND_COLUMNS or not values.size:
        raise errors.ModelLoadError(
            f"The reference data in {path.name} has the shape {list(values.shape)}, and not [rows, features]."
        )
    return Background(values, names)


def _array(path: Path) -> NDArray[Any]:
    found: Any = np.load(path, allow_pickle=False)
    if not isinstance(found, np.lib.npyio.NpzFile):
        return np.asarray(found)
    with found:
        if len(found.files) != 1:
            raise ValueError(f"it holds {len(found.files)} arrays, and not one")
        return np.asarray(found[found.files[0]])


def _csv(path: Path) -> tuple[tuple[str, ...], list[list[float]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    first = lines[0] if lines else []
    named = bool(first) and not _are_numbers(first)
    rows = [[_number(cell) for cell in line] for line in lines[named:]]
    for place, row in enumerate(rows):
        if len(row) != len(first):
            raise ValueError(f"line {place + named + 1} has {len(row)} values, and the first {len(first)}")
    return (tuple(cell.strip() for cell in first) if named else ()), rows


def _are_numbers(cells: Sequence[str]) -> bool:
    try:
        return bool([_number(cell) for cell in cells])
    except ValueError:
        return False


def _number(cell: str) -> float:
    """A number; an empty cell is a missing one."""
    return float(cell) if cell.strip() else float("nan")
