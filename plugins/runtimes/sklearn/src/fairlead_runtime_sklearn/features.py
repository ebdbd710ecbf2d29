"""What an estimator takes: text, a matrix, or the columns of a table, as far as its fitted parts tell."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fairlead import Datatype, errors
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table
from fairlead_runtime_sklearn import anatomy

__all__ = ["read"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Value:
    datatype: Datatype
    example: str | float
    certainty: Certainty = Certainty.KNOWN


_Found: TypeAlias = "dict[int, _Value]"

_NUMBER = _Value(Datatype.FP64, 1.0)
"""One rather than zero: a logarithm or a Box-Cox transform takes it."""
_ASSUMED = dataclasses.replace(_NUMBER, certainty=Certainty.ASSUMED)
_UNKNOWN = dataclasses.replace(_NUMBER, certainty=Certainty.UNKNOWN)


def read(estimator: Any) -> Table:
    """Find out what a fitted estimator takes.

    Raises:
        ModelLoadError: it takes what no request holds.
    """
    if (reader := _first(estimator, anatomy.is_reader)) is not None:
        raise errors.ModelLoadError(
            f"The model begins with a {type(reader).__name__} that takes dictionaries or the names of files, "
            "and requests hold arrays, tables and text.",
            remedy="Fit it on a table or on the texts themselves, and save it again.",
        )
    vectorizer = _first(estimator, anatomy.is_vectorizer)
    if vectorizer is not None:
        return Table(Kind.TEXT, word=_word(vectorizer))
    fitted_names = getattr(estimator, "feature_names_in_", None)
    count = getattr(estimator, "n_features_in_", None) if fitted_names is None else len(fitted_names)
    if count is None:
        return Table(Kind.MATRIX)
    names = [f"x{place}" for place in range(count)] if fitted_names is None else [str(name) for name in fitted_names]
    found = _values(estimator, range(count), names)
    features = tuple(
        Feature(name, value.datatype, value.example, value.certainty)
        for name, value in ((name, found.get(place, _UNKNOWN)) for place, name in enumerate(names))
    )
    texts = sum(feature.datatype is Datatype.BYTES for feature in features)
    named = fitted_names is not None
    is_table = texts > 0 and (named or texts < count)
    return Table(Kind.TABLE if is_table else Kind.MATRIX, features=features, named=named)


# -- text -----------------------------------------------------------------------------------------------


def _first(estimator: Any, is_kind: Callable[[Any], bool]) -> Any:
    """The part of a kind that sees the whole input first; None when none does."""
    if is_kind(estimator):
        return estimator
    if anatomy.is_table_transformer(estimator):
        return None
    for part in anatomy.first_parts(estimator):
        if (found := _first(part, is_kind)) is not None:
            return found
    return None


def _word(vectorizer: Any) -> str:
    return next(iter(getattr(vectorizer, "vocabulary_", None) or ("text",)))


# -- features -------------------------------------------------------------------------------------------


def _values(estimator: Any, places: Sequence[int], names: Sequence[str]) -> _Found:
    """What an estimator takes at each of these places of the whole input."""
    if anatomy.is_vectorizer(estimator):
        return {place: _Value(Datatype.BYTES, _word(estimator)) for place in places[:1]}
    if anatomy.is_table_transformer(estimator):
        return _of_table(estimator, places, names)
    if anatomy.is_pipeline(estimator):
        return _of_pipeline(estimator, places, names)
    categories = getattr(estimator, "categories_", None)
    if categories is not None and len(categories) == len(places):
        return {place: _of_values(known) for place, known in zip(places, categories, strict=True)}
    if anatomy.is_imputer(estimator) and len(estimator.statistics_) == len(places):
        return {place: _of_values([value]) for place, value in zip(places, estimator.statistics_, strict=True)}
    parts = anatomy.first_parts(estimator)
    if parts:
        return _merged(_values(part, places, names) for part in parts)
    if anatomy.is_function(estimator):
        return dict.fromkeys(places, _UNKNOWN)
    if anatomy.is_sklearn(estimator):
        return dict.fromkeys(places, _NUMBER)
    return dict.fromkeys(places, _UNKNOWN if hasattr(estimator, "transform") else _ASSUMED)


def _of_table(transformer: Any, places: Sequence[int], names: Sequence[str]) -> _Found:
    """A ColumnTransformer: each column as the transformer that gets it takes it."""
    own_names = [names[place] for place in places]
    found = []
    for _, part, columns in transformer.transformers_:
        chosen = [places[index] for index in anatomy.positions(columns, own_names)]
        if isinstance(part, str) or anatomy.is_identity(part):  # "drop" or "passthrough"
            found.append(dict.fromkeys(chosen, _ASSUMED))
        elif chosen:
            found.append(_values(part, chosen, names))
    merged = _merged(found)
    return {place: merged.get(place, _ASSUMED) for place in places}


def _of_pipeline(pipeline: Any, places: Sequence[int], names: Sequence[str]) -> _Found:
    """A Pipeline: its first step, and past those that keep the columns as they are, the step after."""
    merged: _Found = {}
    for step in anatomy.steps(pipeline):
        opaque = anatomy.is_function(step)
        found = {} if opaque else _values(step, places, names)
        if any(value.certainty is Certainty.UNKNOWN for value in merged.values()):
            # A function of the user's own may have made numbers of text, but hardly text of numbers.
            found = {place: value for place, value in found.items() if value.datatype is Datatype.BYTES}
        merged = merged | found
        if opaque and not anatomy.is_identity(step):
            merged = dict.fromkeys(places, _UNKNOWN) | merged
        if not (opaque or anatomy.is_imputer(step)):
            break
    return merged


def _merged(found: Iterable[_Found]) -> _Found:
    """Several findings as one: for each place what is known best."""
    order = (Certainty.KNOWN, Certainty.ASSUMED, Certainty.UNKNOWN)
    merged: _Found = {}
    for each in found:
        for place, value in each.items():
            if place not in merged or order.index(value.certainty) < order.index(merged[place].certainty):
                merged[place] = value
    return merged


def _of_values(known: Any) -> _Value:
    """A feature of which these values are known."""
    values = np.asarray(known).tolist()
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        return _Value(Datatype.BYTES, texts[0])
    numbers = [float(value) for value in values if isinstance(value, (bool, int, float)) and not math.isnan(value)]
    return _Value(Datatype.FP64, numbers[0]) if numbers else _ASSUMED
