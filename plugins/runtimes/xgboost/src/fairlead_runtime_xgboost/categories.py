"""Columns of categories: the model file holds the values, and XGBoost computes with their places."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from fairlead import errors
from fairlead.runtimes import estimators

__all__ = ["Categories", "Encoder", "read"]

Categories: TypeAlias = "Mapping[str | float, int]"
"""The values of a column, texts or numbers, and the code of each."""

_KEY = b'"cats":'


def read(booster: Any, notes: list[str]) -> dict[int, Categories]:
    """The categories of each column that a model has them for, by the column's place.

    XGBoost keeps them since version 3.1, for models that were trained on a DataFrame. A column of categories without
    them takes the codes.

    Args:
        booster: the model.
        notes: gains a sentence for columns whose categories the file holds wrong.
    """
    if "c" not in (booster.feature_types or ()):
        return {}
    content = bytes(booster.save_raw("json"))
    start = content.find(_KEY)
    if start < 0:
        return {}
    text = content[start + len(_KEY) :].decode("utf-8")
    encoded = json.JSONDecoder().raw_decode(text.lstrip())[0]["enc"]
    found: dict[int, Categories] = {}
    for place, each in enumerate(encoded):
        values = _values(each)
        if values is None:
            # XGBoost 3.2 counts the letters of a category where it means bytes, and keeps too few of them.
            notes.append(
                f"The categories of column {_name(booster, place)!r} are not ASCII text, of which the model "
                "holds no whole copy, so that the column takes their codes: the places in sorted order."
            )
        elif values:
            found[place] = {value: code for code, value in enumerate(values)}
    return found


class Encoder:
    """Makes of rows as they were sent what XGBoost takes: numbers, with codes in place of categories.

    Args:
        names: the names of the columns.
        known: the categories, by the place of the column.
    """

    def __init__(self, names: Sequence[str], known: Mapping[int, Categories]) -> None:
        self._names = names
        self._known = known

    def __call__(self, rows: Any) -> Any:
        """The rows as numbers.

        Raises:
            InvalidInput: there is text where numbers belong, or the other way round, or a category that the model does
                not know.
        """
        if not self._known:
            return estimators.numbers(rows)
        numbers = np.empty(rows.shape, np.float32)
        for place in range(rows.shape[1]):
            known = self._known.get(place)
            column = rows[:, place]
            if known is not None:
                column = [self._code(place, known, each) for each in column.tolist()]
            numbers[:, place] = column
        return numbers

    def _code(self, place: int, known: Categories, value: Any) -> float:
        code = known.get(value)
        if code is not None:
            return code
        if value != value:  # NaN, which stands for a missing value
            return np.nan
        raise errors.InvalidInput(
            f"Column {self._names[place]!r} has no category {value!r}; the model knows {_some(known)}."
        )


def _values(encoded: Mapping[str, Any]) -> list[str | float] | None:
    """The values of a column; none for a column of numbers, and None where the file holds them wrong."""
    values = encoded["values"]
    if "offsets" not in encoded:
        return list(values)
    content, offsets = bytes(value & 0xFF for value in values), encoded["offsets"]
    if not content.isascii():
        return None
    return [content[start:end].decode() for start, end in itertools.pairwise(offsets)]


def _some(known: Categories) -> str:
    shown = [repr(value) for value in list(known)[:10]]
    return ", ".join(shown) + (", ..." if len(known) > len(shown) else "")


def _name(booster: Any, place: int) -> str:
    names = booster.feature_names
    return f"f{place}" if names is None else str(names[place])
