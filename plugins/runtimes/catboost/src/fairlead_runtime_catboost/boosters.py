"""How estimators of CatBoost are asked, and what they take."""

from __future__ import annotations

from typing import Any

from fairlead import Datatype, errors
from fairlead.runtimes import estimators
from fairlead.runtimes.estimators import Call, Estimator
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader

__all__ = ["estimator"]


def estimator(native: Any, nthread: int) -> Estimator:
    """Prepare an estimator of CatBoost for requests.

    Args:
        native: a CatBoost, a CatBoostClassifier, a CatBoostRegressor or a CatBoostRanker.
        nthread: how many threads a prediction may use.

    Raises:
        ModelLoadError: it is something else, or is not fitted, or takes what no request holds.
    """
    import catboost

    kind = f"{type(native).__module__}.{type(native).__qualname__}"
    if not isinstance(native, catboost.CatBoost):
        raise errors.ModelLoadError(
            f"The file holds an object of type {kind}, and no estimator of CatBoost.",
            remedy="Pipelines and other estimators of scikit-learn are served by the runtime sklearn.",
        )
    if not native.is_fitted():
        raise errors.ModelLoadError(f"The {kind} in the file is not fitted.", remedy="Fit it, and save it again.")
    table = _table(native)
    framed = table.kind is Kind.TABLE
    return Estimator(
        native=native,
        calls=_calls(native, nthread),
        table=table,
        reader=TableReader(table, framed=framed),
        prepared=_framed if framed else estimators.numbers,
        refusals=(catboost.CatBoostError, ValueError),
    )


def _calls(model: Any, nthread: int) -> dict[str, Call]:
    calls: dict[str, Call] = {"predict": lambda rows: model.predict(rows, thread_count=nthread)}
    if hasattr(model, "predict_proba"):
        calls["predict_proba"] = lambda rows: model.predict_proba(rows, thread_count=nthread)
    calls["decision_function"] = lambda rows: model.predict(rows, prediction_type="RawFormulaVal", thread_count=nthread)
    return calls


def _framed(frame: Any) -> Any:
    return frame


def _table(model: Any) -> Table:
    if model.get_embedding_feature_indices():
        raise errors.ModelLoadError(
            "The model takes embeddings, a vector in a column of a table, which requests do not hold.",
            remedy="Train it with each number of the vector in a column of its own.",
        )
    names: list[str] = model.feature_names_
    categories, texts = set(model.get_cat_feature_indices()), set(model.get_text_feature_indices())
    features = tuple(_feature(name, place in categories, place in texts) for place, name in enumerate(names))
    named = any(name != str(place) for place, name in enumerate(names))
    return Table(Kind.TABLE if categories or texts else Kind.MATRIX, features, named=named)


def _feature(name: str, is_category: bool, is_text: bool) -> Feature:
    if is_text:
        return Feature(name, Datatype.BYTES, "text", Certainty.KNOWN)
    if is_category:  # 3 and "3" are one category to CatBoost
        return Feature(name, Datatype.BYTES, "category", Certainty.ASSUMED)
    return Feature(name, Datatype.FP32, 1.0, Certainty.KNOWN)
