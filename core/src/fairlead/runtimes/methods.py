"""The methods of an estimator: which there are, which answers by default, and which one a request asks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import Setting

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest

__all__ = ["METHOD", "METHODS", "asked", "check", "setting"]

METHODS: Final = ("predict", "predict_proba", "decision_function")
"""The methods of estimators that predict: labels or values, probabilities of the classes, scores before any link."""


def setting(methods: tuple[str, ...]) -> Setting:
    """The setting ``method``: which of these answers a request that names none, ``predict`` by default.

    As with KServe's servers, a true ``PREDICT_PROBA`` in the environment means ``predict_proba``.
    """
    return Setting(
        "method",
        "predict",
        "The method that answers a request which names none.",
        choices=methods,
        env=("PREDICT_PROBA=predict_proba",),
    )


METHOD: Final = setting(METHODS)
"""The setting of a runtime whose models have `METHODS`."""


def check(default: str, methods: Collection[str], kind: str) -> None:
    """See that a model has the method that is to answer by default.

    Args:
        default: the method.
        methods: those that the model has.
        kind: what it is, for example ``Booster``.

    Raises:
        ModelLoadError: it lacks the method; the text names those that it has.
    """
    if default not in methods:
        raise errors.ModelLoadError(
            f"The model is a {kind}, which has no method {default}; it has {', '.join(methods)}.",
            remedy=f"Set method to one of these, for example --set method={next(iter(methods))}.",
        )


def asked(request: InferRequest, default: str, methods: Collection[str]) -> str:
    """The method that a request asks for by its parameter ``method`` or ``predict_proba``, else the default.

    Raises:
        InvalidInput: the model has no such method, or the parameters contradict each other.
    """
    parameters = request.parameters
    if not ("method" in parameters or "predict_proba" in parameters):
        return default
    proba = parameters.get("predict_proba")
    if not isinstance(proba, (bool, type(None))):
        raise errors.InvalidInput(f"The parameter predict_proba is true or false, got {proba!r}.")
    named = {True: "predict_proba", False: "predict", None: default}[proba]
    method = parameters.get("method", named)
    if proba is not None and method != named:
        raise errors.InvalidInput(f"The parameters method={method!r} and predict_proba={proba} contradict.")
    if method not in methods:
        raise errors.InvalidInput(f"The model has no method {method!r}; it has {', '.join(methods)}.")
    return str(method)
