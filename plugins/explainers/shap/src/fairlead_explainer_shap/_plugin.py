"""What the core needs to know of this explainer; importing it loads neither shap nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import ExplainerSpec, Setting, hookimpl

__all__ = ["METHODS", "SPEC", "fairlead_explainers"]

METHODS: Final = ("auto", "tree", "linear", "kernel")
"""How SHAP values are computed; ``auto`` is the first of the others that fits."""

SPEC: Final = ExplainerSpec(
    name="shap",
    explains=("tabular",),
    factory="fairlead_explainer_shap.explainer:ShapExplainer",
    settings=(
        Setting(
            "method",
            "auto",
            "How the values are computed; auto is tree or linear where the model is one of these, else kernel.",
            choices=METHODS,
        ),
        Setting(
            "model_output",
            "raw",
            "What of a model of trees is explained: its raw output, or with reference data its probabilities.",
            choices=("raw", "probability"),
        ),
        Setting("output", "", "The output of the model that kernel explains; the first one by default."),
        Setting(
            "predict_parameters",
            "",
            'Parameters of the requests by which kernel asks the model, as a JSON object: {"method": "predict_proba"}.',
        ),
        Setting("nsamples", 0, "Coalitions of features that kernel tries for each row; 0 lets shap choose."),
        Setting("background_rows", 100, "Rows of the reference data that kernel uses; of more, some are drawn."),
        Setting("seed", 0, "Where chance begins, for kernel: the same row gets the same values."),
        Setting("batch_rows", 4096, "Rows that kernel asks the model for in one call."),
    ),
)


@hookimpl
def fairlead_explainers() -> Iterable[ExplainerSpec]:
    """The SHAP explainer."""
    return (SPEC,)
