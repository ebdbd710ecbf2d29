"""Columns of categories: a model that was trained on a DataFrame keeps their values, and LightGBM encodes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from fairlead import errors

__all__ = ["Categories", "Framed", "read"]

Categories: TypeAlias = "Sequence[str | float]"
"""The values of a column, in the order of their codes."""

_PLACES: Final = re.compile(r"^\[categorical_feature: ([0-9,]*)\]$", re.MULTILINE)


def read(booster: Any) -> dict[str, Categories]:
    """The categories of each column that has them, by the column's name.

    A model lists the categories without the names of their columns. Those are the columns that its parameters call
    categorical, unless the training was told of others.

    Args:
        booster: the model.

    Raises:
        ModelLoadError: the categories are of other columns than those that the parameters name.
    """
    found: Sequence[Categories] = booster.pandas_categorical or ()
    if not found:
        return {}
    text = booster.model_to_string(num_iteration=1)
    match = _PLACES.search(text)
    places = [int(place) for place in match[1].split(",") if place] if match else []
    if len(places) != len(found):
        raise errors.ModelLoadError(
            f"The model has categories for {len(found)} columns, and its parameters name {len(places)} categorical "
            "features, so that which categories belong to which column is not known.",
            remedy="Train it with categorical_feature='auto' on categories that are not ordered, and save it again.",
        )
    names = booster.feature_name()
    return {names[place]: each for place, each in zip(sorted(places), found, strict=True)}


class Framed:
    """Makes of a DataFrame of values one of categories.

    Args:
        known: the categories, by the column's name.
    """

    def __init__(self, known: Mapping[str, Categories]) -> None:
        self._known = known

    def __call__(self, frame: Any) -> Any:
        """The table with columns of categories where the model has them; LightGBM takes unknown ones as missing.

        Raises:
            InvalidInput: there is text in a column of numbers, or the other way round.
        """
        for name, values in self._known.items():
            column = frame[name]
            if values and isinstance(values[0], str):
                if column.dtype.kind != "O" and column.notna().any():
                    raise errors.InvalidInput(f"Column {name!r} takes text (BYTES), got numbers.")
                column = column.astype(object)
            elif values and isinstance(values[0], bool):
                column = column.map({False: False, True: True})  # 0 and 1 are numbers to pandas, and no booleans
            frame[name] = column.astype("category")
        for name in frame.columns:
            if name not in self._known and frame[name].dtype.kind == "O":
                raise errors.InvalidInput(f"Column {name!r} takes numbers, got text (BYTES).")
        return frame
