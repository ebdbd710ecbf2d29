"""The parts of an estimator, and which kinds of part there are."""

from __future__ import annotations

import sys
from collections import UserList
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "first_parts",
    "forget_names",
    "is_function",
    "is_identity",
    "is_imputer",
    "is_pipeline",
    "is_reader",
    "is_sklearn",
    "is_table_transformer",
    "is_unfitted",
    "is_vectorizer",
    "positions",
    "steps",
]

_INNER = ("best_estimator_", "regressor_", "estimator_", "_preprocessor")
_INNER_LISTS = ("estimators_", "calibrated_classifiers_")

_OF_TEXT = ("feature_extraction.text", "CountVectorizer", "HashingVectorizer")


def _kinds(module: str, *names: str) -> tuple[Any, ...]:
    """Classes of scikit-learn; none where nobody has imported their module, because then nothing is an instance."""
    found = sys.modules.get(f"sklearn.{module}")
    return () if found is None else tuple(getattr(found, name) for name in names)


def is_sklearn(estimator: Any) -> bool:
    """Whether it is of scikit-learn itself."""
    return type(estimator).__module__.split(".")[0] == "sklearn"


def is_pipeline(estimator: Any) -> bool:
    """Whether it is a Pipeline."""
    return isinstance(estimator, _kinds("pipeline", "Pipeline"))


def is_table_transformer(estimator: Any) -> bool:
    """Whether it is a ColumnTransformer."""
    return isinstance(estimator, _kinds("compose", "ColumnTransformer"))


def is_vectorizer(estimator: Any) -> bool:
    """Whether it takes an iterable of strings."""
    return isinstance(estimator, _kinds(*_OF_TEXT)) and estimator.input == "content"


def is_reader(estimator: Any) -> bool:
    """Whether it takes what no request holds: dictionaries, or the names of files, which it opens."""
    if isinstance(estimator, _kinds(*_OF_TEXT)):
        return bool(estimator.input != "content")
    return isinstance(estimator, _kinds("feature_extraction", "DictVectorizer", "FeatureHasher"))


def is_imputer(estimator: Any) -> bool:
    """Whether it is a SimpleImputer, which keeps the columns as they are."""
    return isinstance(estimator, _kinds("impute", "SimpleImputer"))


def is_function(estimator: Any) -> bool:
    """Whether it applies a function to the input as it is."""
    return isinstance(estimator, _kinds("preprocessing", "FunctionTransformer"))


def is_identity(estimator: Any) -> bool:
    """Whether it applies no function, or one of numpy's or scikit-learn's, and so takes what the next step takes."""
    if not is_function(estimator):
        return False
    function = getattr(estimator.func, "func", estimator.func)  # a partial's own
    is_known = str(getattr(function, "__module__", "")).split(".")[0] == "sklearn"
    return function is None or isinstance(function, np.ufunc) or is_known


def is_unfitted(estimator: Any) -> bool:
    """Whether it is of scikit-learn, which can tell, and has not been fitted."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if is_pipeline(estimator):
        return any(is_unfitted(step) for step in steps(estimator)[-1:])
    try:
        if is_sklearn(estimator):
            check_is_fitted(estimator)
    except NotFittedError:
        return True
    return False


def forget_names(estimator: Any) -> bool:
    """Make an estimator that was fitted on a table take a matrix without a warning, if all of it can.

    Wrapping a matrix as a DataFrame costs scikit-learn several times what most predictions cost, and the names serve
    only to check the order of the columns, which the caller does.

    Args:
        estimator: the estimator; ``feature_names_in_`` is deleted from it and from its parts.

    Returns:
        Whether it did; not when a part selects columns by name, is not scikit-learn's own, or answers with a table.
    """
    parts = _all_parts(estimator)
    for part in parts:
        needs_names = is_table_transformer(part) or is_function(part) or getattr(part, "_sklearn_output_config", None)
        if needs_names or not is_sklearn(part):
            return False
    for part in parts:
        vars(part).pop("feature_names_in_", None)
    return True


def _all_parts(estimator: Any) -> list[Any]:
    below = steps(estimator) if is_pipeline(estimator) else [*_union(estimator), *_inner(estimator)]
    return [estimator, *(part for each in below for part in _all_parts(each))]


def _union(estimator: Any) -> list[Any]:
    listed = getattr(estimator, "transformer_list", None)
    return [part for _, part in listed if not isinstance(part, str)] if isinstance(listed, list) else []


def steps(pipeline: Any) -> list[Any]:
    """The steps of a Pipeline that do something."""
    return [step for _, step in pipeline.steps if step is not None and not isinstance(step, str)]


def first_parts(estimator: Any) -> list[Any]:
    """The estimators inside that see the input as this one gets it; for a Pipeline past functions, up to a step."""
    if is_pipeline(estimator):
        found: list[Any] = []
        for step in steps(estimator):
            found.append(step)
            if not is_function(step):
                break
        return found
    return _union(estimator) or _inner(estimator)[:1]


def _inner(estimator: Any) -> list[Any]:
    """The estimators of an ensemble, a search, or another estimator made of estimators."""
    if type(estimator).__name__ == "FrozenEstimator" and is_sklearn(estimator):  # since scikit-learn 1.6
        return [estimator.estimator]
    candidates = [getattr(estimator, name, None) for name in _INNER]
    for name in _INNER_LISTS:
        listed = getattr(estimator, name, None)
        for each in listed if isinstance(listed, list) else ():
            candidates += [each, getattr(each, "estimator", None)]
    return [candidate for candidate in candidates if _is_estimator(candidate)]


def _is_estimator(candidate: Any) -> bool:
    return hasattr(candidate, "get_params") and not isinstance(candidate, type)


def positions(columns: Any, names: Sequence[str]) -> list[int]:
    """The places of a ColumnTransformer's columns.

    Args:
        columns: a name, a place, a slice of either, or a list of names, of places or of truth values.
        names: the names of all columns, in order.
    """
    if isinstance(columns, UserList):  # the remainder, in scikit-learn 1.5 and 1.6, which warns of every look at it
        columns = columns.data
    if isinstance(columns, slice):
        return list(range(len(names))[_slice_of_places(columns, names)])
    listed = [columns] if isinstance(columns, (str, int)) else np.asarray(columns).tolist()
    listed = listed if isinstance(listed, list) else [listed]
    if listed and all(isinstance(each, bool) for each in listed):
        return [place for place, chosen in enumerate(listed) if chosen]
    return [list(names).index(each) if isinstance(each, str) else range(len(names))[each] for each in listed]


def _slice_of_places(columns: slice, names: Sequence[str]) -> slice:
    if not (isinstance(columns.start, str) or isinstance(columns.stop, str)):
        return columns
    # A slice of labels includes its end, as in pandas.
    start = None if columns.start is None else list(names).index(columns.start)
    stop = None if columns.stop is None else list(names).index(columns.stop) + 1
    return slice(start, stop, columns.step)
