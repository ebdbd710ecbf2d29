"""What the core needs to know of this explainer; importing it loads neither PyTorch nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import ExplainerSpec, Setting, hookimpl

__all__ = ["METHODS", "SPEC", "fairlead_explainers"]

METHODS: Final = ("integrated_gradients", "saliency", "input_x_gradient", "deep_lift", "layer_grad_cam")
"""The methods of Captum that can be chosen."""

SPEC: Final = ExplainerSpec(
    name="captum",
    explains=("tensors", "images"),
    factory="fairlead_explainer_captum.explainer:CaptumExplainer",
    settings=(
        Setting("method", METHODS[0], "The method that attributes a prediction to its inputs.", choices=METHODS),
        Setting("n_steps", 50, "Steps between the baseline and the input; integrated_gradients alone has them."),
        Setting(
            "baseline",
            0.0,
            "The value that stands for nothing, for each element; an array for an input is given by --explainer-dir.",
        ),
        Setting("layer", "", "The module whose output layer_grad_cam looks at, by its name, for example layer4."),
        Setting("internal_batch_size", 64, "Rows that the model computes at a time, which bounds its memory."),
    ),
    remote=False,
)


@hookimpl
def fairlead_explainers() -> Iterable[ExplainerSpec]:
    """The Captum explainer."""
    return (SPEC,)
