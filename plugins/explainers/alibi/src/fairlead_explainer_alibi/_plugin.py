"""What the core needs to know of this explainer; importing it loads neither alibi nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import ExplainerSpec, Setting, hookimpl

__all__ = ["INTEGRATIONS", "METHODS", "REQUIREMENTS", "SPEC", "fairlead_explainers"]

METHODS: Final = ("auto", "anchor_tabular", "anchor_text", "integrated_gradients")
"""What is computed; ``auto`` is the one that the explainer's files are for."""

INTEGRATIONS: Final = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
"""The ways in which Alibi approximates an integral."""

REQUIREMENTS: Final = (
    "alibi==0.9.4",  # the last release that may be used in production without another licence
    "click>=8.1,<9",  # spacy imports it and does not say so
    "numpy>=1.26,<2",
    "spacy>=3.7.5,<3.8",
)
"""The packages that explain; they need numpy 1, and most models have numpy 2."""

SPEC: Final = ExplainerSpec(
    name="alibi",
    explains=("tabular", "text", "tensors"),
    factory="fairlead_explainer_alibi.explainer:AlibiExplainer",
    settings=(
        Setting(
            "method",
            "auto",
            "What explains: anchor_tabular, anchor_text, integrated_gradients, or the one that the files are for.",
            choices=METHODS,
        ),
        Setting("threshold", 0.95, "The precision that an anchor is to have, from 0 to 1."),
        Setting("delta", 0.1, "How likely an anchor may be less precise than the threshold, from 0 to 1."),
        Setting("tau", 0.15, "How far from the best an anchor that is looked at further may be, from 0 to 1."),
        Setting("batch_size", 100, "Rows or texts that the model is asked for in one call."),
        Setting("beam_size", 1, "Anchors that are looked at further in each step."),
        Setting("max_anchor_size", 0, "The most features or words of an anchor; 0 for any."),
        Setting("coverage_samples", 10000, "Samples by which the coverage of an anchor is estimated."),
        Setting("seed", 0, "Where chance begins: the same request gets the same explanation."),
        Setting("output", "", "The output of the model that holds labels or probabilities; the first by default."),
        Setting("disc_perc", "25,50,75", "Percentiles at which numbers are divided into bins, for anchor_tabular."),
        Setting(
            "sampling",
            "unknown",
            "What takes the place of a word: UNK, or a word that is similar in the spaCy pipeline of the files.",
            choices=("unknown", "similarity"),
        ),
        Setting("sample_proba", 0.5, "How likely a word is replaced, from 0 to 1, for anchor_text."),
        Setting("language", "en", "The language by whose rules text becomes words, where the files have no pipeline."),
        Setting("n_steps", 50, "Steps between the baseline and the input, for integrated_gradients."),
        Setting("integration", "gausslegendre", "How the gradients of the steps are added up.", choices=INTEGRATIONS),
        Setting("internal_batch_size", 100, "Steps whose gradients are computed together; it bounds the memory."),
        Setting("baseline", 0.0, "The value of each element of what an input is compared with."),
    ),
    requirements=REQUIREMENTS,
    asks="fairlead_explainer_alibi.needed:of_artifact",
    in_process=False,
)


@hookimpl
def fairlead_explainers() -> Iterable[ExplainerSpec]:
    """The explainer."""
    return (SPEC,)
