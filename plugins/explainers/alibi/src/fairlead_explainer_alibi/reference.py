"""The reference data of a table: rows that are like those that will be explained, and what their features mean."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Artifact, errors
from fairlead.runtimes import reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "Reference", "read"]

FEATURES: Final = "features.json"
"""The file beside them that names features and categories."""

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

    The first line of a .csv names the columns, and a column of text becomes one of categories.

    Raises:
        ModelLoadError: there is no such file, or more than one, or it holds no table, or one with gaps.
    """
    found = reference.read(artifact)
    described = _described(artifact)
    if not found.names and found.file.endswith(".csv"):
        raise errors.ModelLoadError(
            f"In {found.file} the first line is numbers, and is to name the columns.",
            remedy="Write the names of the features above the rows.",
        )
    names = found.names or tuple(f"feature_{place}" for place in range(len(found.columns)))
    names = tuple(described.get("feature_names", names))
    if len(names) != len(found.columns) or len(set(names)) != len(names):
        raise errors.ModelLoadError(
            f"The reference data in {found.file} has {len(found.columns)} columns, and the names {', '.join(names)}.",
            remedy=f"Name each column once, in {FEATURES} or in the first line of a .csv.",
        )
    categories = _categories(names, described.get("categorical_names", {}))
    numbers = [_coded(found, place, names, categories) for place in range(len(found.columns))]
    return Reference(np.column_stack(numbers), names, categories)


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
    found: reference.Reference, place: int, names: Sequence[str], categories: dict[int, tuple[str, ...]]
) -> NDArray[np.float64]:
    """One column as numbers; categories are added where it is text."""
    column = found.columns[place]
    where = f"The column {names[place]!r} of {found.file}"
    known = categories.get(place)
    if found.is_text(place) or _are_known(column, known):
        if any(not str(cell) for cell in column):
            raise errors.ModelLoadError(f"{where} has empty cells, and anchors need a value everywhere.")
        known = categories.setdefault(place, tuple(sorted({str(cell) for cell in column})))
        codes = {name: code for code, name in enumerate(known)}
        unknown = next((str(cell) for cell in column if str(cell) not in codes), None)
        if unknown is not None:
            raise errors.ModelLoadError(f"{where} has {unknown!r}, which {FEATURES} does not name as a category.")
        return np.array([codes[str(cell)] for cell in column], np.float64)
    values = found.numbers(place)
    if not np.isfinite(values).all():
        raise errors.ModelLoadError(
            f"{where} has an empty cell, or a missing or infinite value, and anchors need a number everywhere."
        )
    if known is not None and not np.isin(values, range(len(known))).all():
        raise errors.ModelLoadError(f"{where} has codes that are none of the {len(known)} categories of {FEATURES}.")
    return values


def _are_known(column: NDArray[Any], known: Sequence[str] | None) -> bool:
    """Whether numbers in a .csv are themselves the names of categories, such as postal codes."""
    return known is not None and all(isinstance(cell, str) and cell in known for cell in column)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, str) for each in values)
