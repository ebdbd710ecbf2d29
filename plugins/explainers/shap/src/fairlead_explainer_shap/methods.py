"""How SHAP values are computed: from the inside of trees and of linear models, or by asking any model."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fairlead import errors
from fairlead_explainer_shap import chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead_explainer_shap.background import Background

__all__ = ["Kernel", "Linear", "Method", "NotOfThisKind", "Tree", "Values"]

_UNKNOWN: Final = "InvalidModelError"
"""What shap raises for a model that it does not know; the module of the class is private."""


class Values(NamedTuple):
    """An explanation of some rows.

    Attributes:
        shap_values: of shape [rows, features], or [rows, features, outputs] for a model of several outputs.
        base_values: what they are added to, of shape [rows] or [rows, outputs].
    """

    shap_values: NDArray[Any]
    base_values: NDArray[Any]


class NotOfThisKind(Exception):
    """A method does not compute values of this model."""


class Method(abc.ABC):
    """One way to compute SHAP values.

    Attributes:
        rows: how many are explained at a time, so that somebody can look at the clock in between; 0 for all at once.
    """

    rows: int = 1024

    @abc.abstractmethod
    def explain(self, rows: NDArray[np.float64], predict: Callable[[NDArray[Any]], NDArray[Any]]) -> Values:
        """The values of these rows.

        Args:
            rows: of shape [rows, features].
            predict: asks the model for the predictions of other rows, as an array of one or two dimensions.
        """


class Tree(Method):
    """Exact values of trees and forests, from their nodes.

    Args:
        native: an estimator or a booster.
        background: the reference data; without it, the rows that the trees have counted when they were fitted.
        model_output: ``raw``, or ``probability``.

    Raises:
        NotOfThisKind: it has no trees that shap knows.
        ModelLoadError: probabilities are asked for without reference data.
    """

    def __init__(self, native: Any, background: Background | None, model_output: str) -> None:
        import shap

        if model_output != "raw" and background is None:
            raise errors.ModelLoadError(
                f"Values of the {model_output} need reference data.", remedy="Give it: --explainer-dir URI."
            )
        data = None if background is None else background.values
        with _of_kind("Its native object is no tree or forest that shap knows", native):
            self._explainer = shap.TreeExplainer(native, data=data, model_output=model_output)

    def explain(self, rows: NDArray[np.float64], predict: Callable[[NDArray[Any]], NDArray[Any]]) -> Values:  # noqa: ARG002  # nothing is asked
        """Compute them; the model is not asked.

        Raises:
            InvalidInput: the model's library refuses the rows, for example numbers that are infinite in FP32.
        """
        try:
            return _values(self._explainer(rows))
        except ValueError as error:  # a sample was explained when it was loaded, so that it is about these rows
            reason = str(error).partition("\nStack trace:")[0].strip()
            raise errors.InvalidInput(f"The trees do not take these rows: {reason}") from error


class Linear(Method):
    """Exact values of linear models, from their coefficients.

    Args:
        native: an estimator with coefficients.
        background: the reference data, whose mean the rows are compared with.

    Raises:
        NotOfThisKind: it is no linear model that shap knows.
    """

    def __init__(self, native: Any, background: Background) -> None:
        import shap

        masker = shap.maskers.Independent(background.values, max_samples=len(background.values))
        with _of_kind("Its native object is no linear model that shap knows", native):
            self._explainer = shap.LinearExplainer(native, masker)

    def explain(self, rows: NDArray[np.float64], predict: Callable[[NDArray[Any]], NDArray[Any]]) -> Values:  # noqa: ARG002  # nothing is asked
        """Compute them; the model is not asked."""
        return _values(self._explainer(rows))


class Kernel(Method):
    """Estimates for any model, from what it answers when features are replaced by those of other rows.

    Args:
        background: the rows that features are taken from, of shape [rows, features].
        nsamples: coalitions of features to try for each row; 0 lets shap choose.
        seed: where the chance of each row begins.
    """

    rows = 0  # it asks the model for the reference data each time, and the clock is looked at with each question

    def __init__(self, background: NDArray[np.float64], nsamples: int, seed: int) -> None:
        import shap

        self._kernel_explainer = chance.seeded(shap.KernelExplainer, seed)
        self._background = background
        self._nsamples: int | str = nsamples or "auto"

    def explain(self, rows: NDArray[np.float64], predict: Callable[[NDArray[Any]], NDArray[Any]]) -> Values:
        """Estimate them; the model is asked for the reference data first."""
        explainer = self._kernel_explainer(predict, self._background)
        values = np.asarray(explainer.shap_values(rows, nsamples=self._nsamples, silent=True))
        base = np.asarray(explainer.expected_value)
        return Values(values, np.broadcast_to(base, (len(rows), *base.shape)).copy())


@contextlib.contextmanager
def _of_kind(problem: str, native: Any) -> Iterator[None]:
    """Make of shap's refusal of a model an error that says so.

    Raises:
        NotOfThisKind: shap refuses it.
    """
    try:
        yield
    except Exception as error:
        if type(error).__name__ != _UNKNOWN:
            raise
        raise NotOfThisKind(f"{problem}: it is a {type(native).__module__}.{type(native).__name__}.") from error


def _values(explanation: Any) -> Values:
    values, base = np.asarray(explanation.values), np.asarray(explanation.base_values)
    shape = (len(values), *values.shape[2:])
    return Values(values, base.reshape(shape) if base.size == np.prod(shape) else np.broadcast_to(base, shape).copy())
