"""The module that is explained: a model's own, as Captum calls it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import torch

from fairlead import errors

__all__ = ["Explained", "check_hooks", "device_of", "layer_of"]


class Explained(torch.nn.Module):  # type: ignore[misc]  # torch is not read by the type checker
    """A module that is called by position and returns one tensor.

    Args:
        module: the model's own.
        names: the names of its inputs, in the order in which they are given.
        check: called before each call; raises when nobody waits any more.
    """

    def __init__(self, module: torch.nn.Module, names: Sequence[str], check: Callable[[], None]) -> None:
        super().__init__()
        self.module = module
        self._names = tuple(names)
        self._check = check
        self._by_name = _takes(module, self._names)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Call the module; of several outputs, the first is explained."""
        self._check()
        result = self.module(**dict(zip(self._names, tensors, strict=True))) if self._by_name else self.module(*tensors)
        if isinstance(result, Mapping):
            result = next(iter(result.values()), None)
        elif isinstance(result, tuple | list):
            result = result[0] if result else None
        if not isinstance(result, torch.Tensor):
            raise errors.InferenceFailed(f"The model returns {type(result).__name__}, and no tensor to explain.")
        return result


def _takes(module: torch.nn.Module, names: Sequence[str]) -> bool:
    """Whether these are names of parameters of its ``forward``; an exported program takes what it was exported with."""
    if isinstance(module, torch.fx.GraphModule):
        return False
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return False
    return all(
        name in parameters and parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in names
    )


def device_of(module: torch.nn.Module) -> torch.device:
    """Where a module computes; the CPU for one without weights."""
    for tensors in (module.parameters(), module.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")


def check_hooks(module: torch.nn.Module, method: str) -> None:
    """Require that a module calls the hooks of its parts.

    Raises:
        ModelLoadError: it is a program without parts.
    """
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        form = "TorchScript" if isinstance(module, torch.jit.ScriptModule) else "an exported program"
        raise errors.ModelLoadError(
            f"The method {method} looks at the parts of a module while it computes, and {form} does not show them.",
            remedy="Use integrated_gradients, or serve the weights together with the class of the module.",
        )


def layer_of(module: torch.nn.Module, name: str) -> torch.nn.Module:
    """A part of a module.

    Raises:
        ModelLoadError: it has no part of that name.
    """
    known = [each for each, _ in module.named_modules() if each]
    if name not in known:
        raise errors.ModelLoadError(
            f"The model has no layer {name!r} (it has {', '.join(known[-20:]) or 'none'}).",
            remedy="Name one of its modules: --explainer-set layer=NAME. Usually it is the last that convolves.",
        )
    return module.get_submodule(name)
