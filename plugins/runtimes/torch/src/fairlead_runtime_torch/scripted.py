"""TorchScript: opened with the policy's permission where its code touches files, and read for its arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import TensorSpec, UnpicklingPolicy, errors
from fairlead_runtime_torch import files
from fairlead_runtime_torch.files import Form
from fairlead_runtime_torch.program import Parameters, Program, of_module

if TYPE_CHECKING:
    import torch

__all__ = ["program"]

_TENSORS: Final = ("Tensor", "Optional[Tensor]")


def program(path: Path, policy: UnpicklingPolicy, inputs: Sequence[TensorSpec], device: torch.device) -> Program:
    """Load a TorchScript file.

    TorchScript is a language of its own, without Python, and its objects are of its own classes. It has operators that
    read and write files, all the same; a file whose code names one of them needs the policy's permission.

    Args:
        path: the file.
        policy: decides about code that touches files.
        inputs: the declared inputs; none where they are not known.
        device: where it computes.

    Raises:
        UnpicklingRefused: the code touches files, and the policy does not permit it.
        ModelLoadError: it takes what is no tensor, or not the inputs that are declared.
    """
    import torch

    if files.touches_files(path):
        with policy.open(path) as file:
            module = torch.jit.load(file, map_location=device)
    else:
        module = torch.jit.load(str(path), map_location=device)
    module.eval()
    made = of_module(module, _parameters(module), inputs, Form.SCRIPT.value)
    return dataclasses.replace(made, compiles=False)


def _parameters(module: Any) -> Parameters:
    arguments = module.forward.schema.arguments[1:]
    others = [each for each in arguments if str(each.type) not in _TENSORS and not each.has_default_value()]
    if others:
        raise errors.ModelLoadError(
            f"forward takes {', '.join(f'{each.name}: {each.type}' for each in others)}, which is no tensor.",
            remedy="Save a module whose forward takes tensors alone.",
        )
    taken = [each for each in arguments if str(each.type) in _TENSORS]
    return Parameters(
        names=tuple(each.name for each in taken),
        optional=frozenset(each.name for each in taken if each.has_default_value()),
    )
