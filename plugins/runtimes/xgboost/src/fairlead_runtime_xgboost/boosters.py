"""How boosters and estimators of XGBoost are asked, and what they take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import Datatype, errors
from fairlead.runtimes.estimators import Call, Estimator
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader
from fairlead_runtime_xgboost import categories

if TYPE_CHECKING:
    from fairlead_runtime_xgboost.categories import Categories

__all__ = ["estimator"]


def estimator(native: Any, nthread: int, notes: list[str]) -> Estimator:
    """Prepare an object of XGBoost for requests.

    Args:
        native: a Booster, or an estimator of the scikit-learn interface; its number of threads is set.
        nthread: how many threads a prediction may use.
        notes: gains what a user should know.

    Raises:
        ModelLoadError: it is something else, or an estimator that is not fitted.
    """
    import xgboost

    if isinstance(native, xgboost.Booster):
        booster, calls = native, _of_booster(native, nthread)
    elif isinstance(native, xgboost.XGBModel):
        booster, calls = _fitted(native), _of_estimator(native)
        native.set_params(n_jobs=nthread)
    else:
        kind = f"{type(native).__module__}.{type(native).__qualname__}"
        raise errors.ModelLoadError(
            f"The file holds an object of type {kind}, and neither a Booster nor an estimator of XGBoost.",
            remedy="Pipelines and other estimators of scikit-learn are served by the runtime sklearn.",
        )
    booster.set_param({"nthread": nthread})
    known = categories.read(booster, notes)
    table = _table(booster, known)
    return Estimator(
        native=native,
        calls=calls,
        table=table,
        reader=TableReader(table, framed=False, fill_missing=True),
        prepared=categories.Encoder(table.names, known),
        refusals=(xgboost.core.XGBoostError, ValueError),
    )


def _of_booster(booster: Any, nthread: int) -> dict[str, Call]:
    config = json.loads(booster.save_config())["learner"]
    objective = config["objective"]["name"]
    if config["gradient_booster"]["name"] == "gblinear":  # which predicts from a DMatrix alone
        import xgboost

        def ask(rows: Any, *, margin: bool = False) -> Any:
            matrix = xgboost.DMatrix(rows, nthread=nthread)
            return booster.predict(matrix, output_margin=margin, validate_features=False)

    else:

        def ask(rows: Any, *, margin: bool = False) -> Any:
            kind = "margin" if margin else "value"
            return booster.inplace_predict(rows, predict_type=kind, validate_features=False)

    calls: dict[str, Call] = {"predict": ask}
    if objective == "binary:logistic":
        calls["predict_proba"] = lambda rows: _both_classes(ask(rows))
    elif objective == "multi:softprob":
        calls["predict_proba"] = ask
    return {**calls, "decision_function": lambda rows: ask(rows, margin=True)}


def _of_estimator(model: Any) -> dict[str, Call]:
    # The order of columns is seen to before: XGBoost would look for their names in a DataFrame.
    calls: dict[str, Call] = {"predict": lambda rows: model.predict(rows, validate_features=False)}
    if hasattr(model, "predict_proba"):
        calls["predict_proba"] = lambda rows: model.predict_proba(rows, validate_features=False)
    calls["decision_function"] = lambda rows: model.predict(rows, output_margin=True, validate_features=False)
    return calls


def _both_classes(positive: Any) -> Any:
    return np.column_stack((1.0 - positive, positive)) if positive.ndim == 1 else positive


def _fitted(model: Any) -> Any:
    if not model.__sklearn_is_fitted__():
        raise errors.ModelLoadError(
            f"The {type(model).__name__} in the file is not fitted.", remedy="Fit it, and save it again."
        )
    return model.get_booster()


def _table(booster: Any, known: Mapping[int, Categories]) -> Table:
    names: Sequence[str] | None = booster.feature_names
    count = booster.num_features() if names is None else len(names)
    features = tuple(
        _feature(f"f{place}" if names is None else names[place], known.get(place)) for place in range(count)
    )
    has_text = any(feature.datatype is Datatype.BYTES for feature in features)
    return Table(Kind.TABLE if has_text else Kind.MATRIX, features, named=names is not None)


def _feature(name: str, known: Categories | None) -> Feature:
    if known is None:
        return Feature(name, Datatype.FP32, 1.0, Certainty.KNOWN)
    first = next(iter(known), 0.0)
    if isinstance(first, str):  # where every value of a column is missing, it comes as one of numbers
        return Feature(name, Datatype.BYTES, first, Certainty.ASSUMED)
    return Feature(name, Datatype.FP32, float(first), Certainty.KNOWN)
