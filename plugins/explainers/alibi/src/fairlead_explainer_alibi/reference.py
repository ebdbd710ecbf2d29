"""The reference data of a table: rows that are like those that will be explained, and what their features mean."""

from __future__ import annotations

import csv
import dataclasses
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Artifact, errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "PATTERNS", "Reference", "read"]

PATTERNS: Final = ("*.csv", "*.npy", "*.npz")
"""The files that hold reference data."""

FEATURES: Final = "features.json"
"""The file beside them that names features and categories."""

_ROWS_AND_COLUMNS: Final = 2
_KEYS: Final = ("feature_names", "categorical_names")


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """Reference data.

    Attributes:
        values: FP64 of shape [rows, features]; a category is its place among the names.
        names: the names of the features.
        categories: the names of the categories of each feature that has any, by the place of the feature.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    categories: Mapping[int, tuple[str, ...]]


def read(artifact: Artifact) -> Reference:
    """Read reference data from the one file that holds it, and `FEATURES` beside it.

    The first line of a .csv names the columns, and a column of text becomes one of categories. An .npz has one array.

    Raises:
        ModelLoadError: there is no such file, or more than one, or it holds no table, or one with gaps.
    """
    path = artifact.only(PATTERNS)
    described = _described(artifact)
    try:
        names, columns = _csv(path) if path.suffix == ".csv" else _array(path)
    except (OSError, EOFError, ValueError, csv.Error, zipfile.BadZipFile) as error:
        raise errors.ModelLoadError(f"The reference data in {path.name} cannot be read: {error}.") from error
    names = tuple(described.get("feature_names", names))
    if len(names) != len(columns) or len(set(names)) != len(names):
        raise errors.ModelLoadError(
            f"The reference data in {path.name} has {len(columns)} columns, and the names {', '.join(names)}.",
            remedy=f"Name each column once, in {FEATURES} or in the first line of a .csv.",
        )
    categories = _categories(names, described.get("categorical_names", {}))
    numbers = [_coded(place, each, names, categories, path) for place, each in enumerate(columns)]
    return Reference(np.column_stack(numbers), names, categories)


def _csv(path: Path) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if len(lines) < _ROWS_AND_COLUMNS:
        raise ValueError("it holds no rows below a line of names")
    first, *rows = lines
    for place, row in enumerate(rows, 2):
        if len(row) != len(first):
            raise ValueError(f"row {place} has {len(row)} values, and the first {len(first)}")
    if all(map(_is_number, first)):
        raise ValueError("its first line is numbers, and is to name the columns")
    return tuple(cell.strip() for cell in first), [[cell.strip() for cell in column] for column in zip(*rows)]  # noqa: B905  # the lengths are the same


def _array(path: Path) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    with path.open("rb") as file:
        found: Any = np.load(file, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            if len(found.files) != 1:
                raise ValueError(f"it holds {len(found.files)} arrays, and not one")
            found = found[found.files[0]]
    if found.ndim != _ROWS_AND_COLUMNS or not found.size:
        raise ValueError(f"its shape is {list(found.shape)}, and not [rows, features]")
    return tuple(f"feature_{place}" for place in range(found.shape[1])), list(found.T)


def _described(artifact: Artifact) -> dict[str, Any]:
    """What `FEATURES` says; nothing where there is no such file.

    Raises:
        ModelLoadError: it is wrong.
    """
    path = artifact.path / FEATURES
    if artifact.path.is_file() or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise errors.ModelLoadError(f"{FEATURES} cannot be read: {error}.") from error
    names, categories = (found.get(key) for key in _KEYS) if isinstance(found, dict) else (None, None)
    if (
        not isinstance(found, dict)
        or found.keys() - set(_KEYS)
        or not (names is None or _are_texts(names))
        or not (categories is None or (isinstance(categories, dict) and all(map(_are_texts, categories.values()))))
    ):
        raise errors.ModelLoadError(
            f"{FEATURES} is not what it has to be.",
            remedy='Write {"feature_names": ["age", "sex"], "categorical_names": {"sex": ["female", "male"]}}.',
        )
    return {key: value for key, value in found.items() if value is not None}


def _categories(names: Sequence[str], given: Mapping[str, Sequence[str]]) -> dict[int, tuple[str, ...]]:
    """Categories by the place of the feature, which is given by its name or its place."""
    found = {}
    for key, values in given.items():
        place = names.index(key) if key in names else int(key) if key.isdecimal() else len(names)
        if place >= len(names):
            raise errors.ModelLoadError(
                f"{FEATURES} has categories of {key!r}, and there is no such feature ({', '.join(names)})."
            )
        found[place] = tuple(values)
    return found


def _coded(
    place: int, column: Sequence[Any], names: Sequence[str], categories: dict[int, tuple[str, ...]], path: Path
) -> NDArray[np.float64]:
    """One column as numbers; categories are added where it is text."""
    where = f"The column {names[place]!r} of {path.name}"
    known = categories.get(place)
    if any(isinstance(cell, str) and not _is_number(cell) for cell in column) or _are_known(column, known):
        if any(not str(cell) for cell in column):
            raise errors.ModelLoadError(f"{where} has empty cells, and anchors need a value everywhere.")
        known = categories.setdefault(place, tuple(sorted({str(cell) for cell in column})))
        codes = {name: code for code, name in enumerate(known)}
        unknown = next((str(cell) for cell in column if str(cell) not in codes), None)
        if unknown is not None:
            raise errors.ModelLoadError(f"{where} has {unknown!r}, which {FEATURES} does not name as a category.")
        return np.array([codes[str(cell)] for cell in column], np.float64)
    values = np.asarray(column, np.float64)
    if not np.isfinite(values).all():
        raise errors.ModelLoadError(f"{where} has a missing or infinite value, and anchors need a number everywhere.")
    if known is not None and not np.isin(values, range(len(known))).all():
        raise errors.ModelLoadError(f"{where} has codes that are none of the {len(known)} categories of {FEATURES}.")
    return values


def _are_known(column: Sequence[Any], known: Sequence[str] | None) -> bool:
    """Whether numbers in a .csv are themselves the names of categories, such as postal codes."""
    return known is not None and all(isinstance(cell, str) and cell in known for cell in column)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, str) for each in values)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
