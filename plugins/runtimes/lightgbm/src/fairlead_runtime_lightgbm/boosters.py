"""How boosters and estimators of LightGBM are asked, and what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import Datatype, errors
from fairlead.runtimes import estimators
from fairlead.runtimes.estimators import Call, Estimator
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader
from fairlead_runtime_lightgbm import categories, modeltext

if TYPE_CHECKING:
    from fairlead_runtime_lightgbm.categories import Categories

__all__ = ["estimator"]


def estimator(native: Any, nthread: int) -> Estimator:
    """Prepare an object of LightGBM for requests.

    Args:
        native: a Booster, or an estimator of the scikit-learn interface; its number of threads is set.
        nthread: how many threads a prediction may use.

    Raises:
        ModelLoadError: it is something else, or an estimator that is not fitted, or its columns of categories cannot
            be told.
    """
    import lightgbm

    is_booster = isinstance(native, lightgbm.Booster)
    if is_booster:
        booster = native
    elif isinstance(native, lightgbm.LGBMModel):
        booster = _fitted(native)
        native.set_params(n_jobs=nthread)
    else:
        kind = f"{type(native).__module__}.{type(native).__qualname__}"
        raise errors.ModelLoadError(
            f"The file holds an object of type {kind}, and neither a Booster nor an estimator of LightGBM.",
            remedy="Pipelines and other estimators of scikit-learn are served by the runtime sklearn.",
        )
    head = modeltext.fields(booster.model_to_string(num_iteration=1).encode())
    known = categories.read(booster)
    table = _table(booster.feature_name(), known)
    # An estimator that was fitted on names warns of every request without them; text needs a DataFrame anyway.
    framed = bool(known) or (table.named and not is_booster)
    return Estimator(
        native=native,
        calls=_of_booster(booster, head.get("objective", b"").decode(), nthread) if is_booster else _of_model(native),
        table=table,
        reader=TableReader(table, framed=framed, fill_missing=True),
        prepared=categories.Framed(known) if framed else estimators.numbers,
        refusals=(lightgbm.basic.LightGBMError, ValueError),
    )


def _of_booster(booster: Any, objective: str, nthread: int) -> dict[str, Call]:
    def ask(rows: Any, **options: Any) -> Any:
        return booster.predict(rows, num_threads=nthread, **options)

    calls: dict[str, Call] = {"predict": ask}
    kind = objective.partition(" ")[0]
    if kind == "binary":
        calls["predict_proba"] = lambda rows: _both_classes(ask(rows))
    elif kind in ("multiclass", "multiclassova"):
        calls["predict_proba"] = ask
    return {**calls, "decision_function": lambda rows: ask(rows, raw_score=True)}


def _of_model(model: Any) -> dict[str, Call]:
    calls: dict[str, Call] = {"predict": model.predict}
    if hasattr(model, "predict_proba"):
        calls["predict_proba"] = model.predict_proba
    return {**calls, "decision_function": lambda rows: model.predict(rows, raw_score=True)}


def _both_classes(positive: Any) -> Any:
    return np.column_stack((1.0 - positive, positive))


def _fitted(model: Any) -> Any:
    if not model.__sklearn_is_fitted__():
        raise errors.ModelLoadError(
            f"The {type(model).__name__} in the file is not fitted.", remedy="Fit it, and save it again."
        )
    return model.booster_


def _table(names: Sequence[str], known: Mapping[str, Categories]) -> Table:
    features = tuple(_feature(name, known.get(name)) for name in names)
    has_text = any(feature.datatype is Datatype.BYTES for feature in features)
    named = any(name != f"Column_{place}" for place, name in enumerate(names))
    return Table(Kind.TABLE if has_text else Kind.MATRIX, features, named=named)


def _feature(name: str, known: Categories | None) -> Feature:
    if not known:
        return Feature(name, Datatype.FP64, 1.0, Certainty.KNOWN)
    if isinstance(known[0], str):  # where every value of a column is missing, it comes as one of numbers
        return Feature(name, Datatype.BYTES, known[0], Certainty.ASSUMED)
    return Feature(name, Datatype.FP64, float(known[0]), Certainty.KNOWN)
