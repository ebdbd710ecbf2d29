"""The methods of Captum, for some rows of one model; importing this loads PyTorch and Captum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import captum.attr
import torch

from fairlead import errors
from fairlead_explainer_captum import module

if TYPE_CHECKING:
    from fairlead_explainer_captum.module import Explained

__all__ = ["Attributions", "Attributor", "Target", "attributor"]

Tensors: TypeAlias = "tuple[torch.Tensor, ...]"
Target: TypeAlias = "torch.Tensor | tuple[int, ...] | None"
"""Which output is explained: an index for each row, one index of several dimensions for all, or none."""


class Attributions(NamedTuple):
    """Attributions of some rows.

    Attributes:
        attributions: one tensor for each input.
        delta: for each row, what its attributions add up to less what they should; None where a method claims nothing.
    """

    attributions: Tensors
    delta: torch.Tensor | None = None


Attributor: TypeAlias = "Callable[[Explained, Tensors, Tensors, Target], Attributions]"
"""Explains some rows: the model, the inputs, the baselines, and the target."""


def attributor(native: torch.nn.Module, options: Mapping[str, Any]) -> Attributor:
    """The method that the settings ask for.

    Args:
        native: the module of the model.
        options: the settings of the explainer.

    Raises:
        ModelLoadError: the method does not explain such a module.
        ConfigurationError: a setting is out of range, or has no effect.
    """
    name, layer = str(options["method"]), str(options["layer"])
    for setting in ("n_steps", "internal_batch_size"):
        if int(options[setting]) < 1:
            raise errors.ConfigurationError(f"setting {setting}: {options[setting]} is less than 1.")
    if layer and name != "layer_grad_cam":
        raise errors.ConfigurationError(f"setting layer: the method {name} looks at no layer.", remedy="Leave it out.")
    if name == "layer_grad_cam":
        module.check_hooks(native, name)
        return _layer_grad_cam(module.layer_of(native, layer))
    if name == "deep_lift":
        module.check_hooks(native, name)
        return _deep_lift
    if name == "integrated_gradients":
        return _integrated_gradients(int(options["n_steps"]), int(options["internal_batch_size"]))
    return _saliency if name == "saliency" else _input_x_gradient


def _integrated_gradients(n_steps: int, internal_batch_size: int) -> Attributor:
    def attribute(model: Explained, inputs: Tensors, baselines: Tensors, target: Target) -> Attributions:
        found, delta = captum.attr.IntegratedGradients(model).attribute(
            inputs,
            baselines,
            target,
            n_steps=n_steps,
            internal_batch_size=max(internal_batch_size, len(inputs[0])),
            return_convergence_delta=True,
        )
        return Attributions(found, delta)

    return attribute


def _saliency(model: Explained, inputs: Tensors, baselines: Tensors, target: Target) -> Attributions:  # noqa: ARG001  # one interface
    return Attributions(captum.attr.Saliency(model).attribute(_differentiable(inputs), target))


def _input_x_gradient(model: Explained, inputs: Tensors, baselines: Tensors, target: Target) -> Attributions:  # noqa: ARG001  # one interface
    return Attributions(captum.attr.InputXGradient(model).attribute(_differentiable(inputs), target))


def _deep_lift(model: Explained, inputs: Tensors, baselines: Tensors, target: Target) -> Attributions:
    inputs = _differentiable(inputs)
    found, delta = captum.attr.DeepLift(model).attribute(inputs, baselines, target, return_convergence_delta=True)
    return Attributions(found, delta)


def _layer_grad_cam(layer: torch.nn.Module) -> Attributor:
    def attribute(model: Explained, inputs: Tensors, baselines: Tensors, target: Target) -> Attributions:  # noqa: ARG001  # one interface
        found = captum.attr.LayerGradCam(model, layer).attribute(inputs, target)
        if not isinstance(found, torch.Tensor):
            raise errors.InferenceFailed("The layer returns several tensors, and one is expected.")
        size = inputs[0].shape[2:]
        if len(inputs) == 1 and len(size) == len(found.shape[2:]) > 0:  # a map of the input's own height and width
            found = captum.attr.LayerAttribution.interpolate(found, tuple(size))
        return Attributions((found,))

    return attribute


def _differentiable(inputs: Tensors) -> Tensors:
    """The inputs as those whose gradient is wanted, which Captum warns that it has to say where nobody has."""
    return tuple(each.requires_grad_() for each in inputs)
