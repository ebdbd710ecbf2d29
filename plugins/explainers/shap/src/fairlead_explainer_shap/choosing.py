"""Which method explains a model: the one that is asked for, or the first that fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_explainer_shap.chance import LARGEST_SEED
from fairlead_explainer_shap.methods import Kernel, Linear, Method, NotOfThisKind, Tree

if TYPE_CHECKING:
    from fairlead_explainer_shap.background import Background

__all__ = ["choose"]

_NO_DATA: Final = "Give reference data, some rows as the model takes them: --explainer-dir URI of a .csv, .npy or .npz."

_KERNEL: Final = "Use --explainer-set method=kernel, which asks the model."


def choose(native: Any, data: Background | None, options: Mapping[str, Any], *, beside: bool) -> Method:
    """Choose the method for a model.

    Args:
        native: the framework's own object; None where there is none to look at.
        data: the reference data; None for none.
        options: the settings of the explainer.
        beside: whether the model is in the same process.

    Raises:
        ModelLoadError: the method does not explain it, or none does without reference data.
        ConfigurationError: a number among the settings is out of range, or a setting has no effect.
    """
    wanted = str(options["method"])
    for name, least in (("nsamples", 0), ("background_rows", 1), ("batch_rows", 1), ("seed", 0)):
        if int(options[name]) < least:
            raise errors.ConfigurationError(f"setting {name}: {options[name]} is less than {least}.")
    if int(options["seed"]) > LARGEST_SEED:
        raise errors.ConfigurationError(f"setting seed: {options['seed']} is more than {LARGEST_SEED}.")
    if wanted in ("tree", "linear") and native is None:
        where = "its runtime does not show what is inside" if beside else "the model is elsewhere"
        raise errors.ModelLoadError(
            f"The method {wanted} looks inside a model, and {where}.",
            remedy=_KERNEL,
        )
    method = _exact(native, data, wanted, str(options["model_output"])) or _kernel(native, data, options)
    if options["model_output"] != "raw" and not isinstance(method, Tree):
        raise errors.ConfigurationError(
            f"setting model_output: {options['model_output']!r} is for trees, and the method is "
            f"{type(method).__name__.lower()}.",
            remedy="Leave it out; kernel explains what the model answers, see the setting predict_parameters.",
        )
    return method


def _exact(native: Any, data: Background | None, wanted: str, model_output: str) -> Method | None:
    """A method that looks inside; None where kernel is wanted, or the model is of no kind that can be looked at."""
    if native is not None and wanted in ("auto", "tree"):
        try:
            return Tree(native, data, model_output)
        except NotOfThisKind as error:
            if wanted == "tree":
                raise errors.ModelLoadError(str(error), remedy=_KERNEL) from error
    if wanted == "linear" or (wanted == "auto" and hasattr(native, "coef_") and hasattr(native, "intercept_")):
        if data is None:
            raise errors.ModelLoadError("The method linear compares rows with reference data.", remedy=_NO_DATA)
        try:
            return Linear(native, data)
        except NotOfThisKind as error:
            if wanted == "linear":
                raise errors.ModelLoadError(str(error), remedy=_KERNEL) from error
    return None


def _kernel(native: Any, data: Background | None, options: Mapping[str, Any]) -> Kernel:
    if data is None:
        known = native is None or options["method"] == "kernel"
        why = "" if known else f"A {type(native).__name__} is no trees and no linear model that shap knows. "
        raise errors.ModelLoadError(
            f"{why}The method kernel takes features from reference data, and there is none.", remedy=_NO_DATA
        )
    seed = int(options["seed"])
    return Kernel(data.drawn(int(options["background_rows"]), seed), int(options["nsamples"]), seed)
