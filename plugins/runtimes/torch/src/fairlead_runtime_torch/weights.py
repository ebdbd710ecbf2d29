"""Weights, and the class beside them: the class is Python code, and asks the policy; the weights run nothing."""

from __future__ import annotations

import inspect
import json
import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, TypeVar

from fairlead import TensorSpec, UnpicklingPolicy, errors
from fairlead.runtimes.safetensors import Entry, Tensors
from fairlead.runtimes.source import SourcePackage
from fairlead_runtime_torch import files
from fairlead_runtime_torch.files import Form
from fairlead_runtime_torch.program import Parameters, Program, of_module

if TYPE_CHECKING:
    import torch

__all__ = ["Stored", "program", "read", "stored", "tensors"]

Stored: TypeAlias = "Mapping[str, tuple[Entry, memoryview]]"
"""The bytes of tensors, by name; PyTorch is not needed to have them."""

T = TypeVar("T")

_NESTED: Final = ("state_dict", "model_state_dict", "model")
"""Where checkpoints of training keep the weights, beside an optimizer's and others."""

_INSTEAD: Final = (
    "Save a program, torch.export.save(torch.export.export(model, inputs), 'model.pt2'); or the weights alone, "
    "torch.save(model.state_dict(), 'model.pt'), and put the file of the model's class beside them as model.py."
)


_DTYPES: Final[Mapping[str, str]] = {
    "BOOL": "bool",
    "BF16": "bfloat16",
    "C64": "complex64",
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
"""The dtypes of safetensors, as PyTorch names them."""


def program(
    path: Path,
    weights: Mapping[str, Any],
    policy: UnpicklingPolicy,
    inputs: Sequence[TensorSpec],
    device: torch.device,
    *,
    name: str,
    options: str,
) -> Program:
    """Load weights into the class that lies beside them.

    Args:
        path: the file of weights.
        weights: what is in it.
        policy: decides whether the file of the class may run.
        inputs: the inputs that a setting declares; by default the class does, in its attribute ``inputs``.
        device: where it computes.
        name: the name of the class; empty where the file defines one.
        options: the arguments of the class, as a JSON object.

    Raises:
        UnpicklingRefused: the policy does not permit the file of the class.
        ModelLoadError: the class does not take the weights, or there is none.
        ConfigurationError: the arguments are no JSON object.
    """
    arguments = _arguments(options)
    source = files.source_beside(path)
    package = SourcePackage(source, policy)
    defined = _run(package.load, source, f"{source.name} cannot be imported")
    try:
        found = _class_of(defined, source, name)
        module = _run(lambda: found(**arguments), source, f"{found.__name__}() cannot be made")
        _fill(module, weights, path)
        declared = inputs or _specs(found, "inputs")
        made = of_module(module.to(device).eval(), _parameters(found), declared, f"the class {found.__name__}")
        outputs = _specs(found, "outputs")
        return _described(made, outputs, package.forget)
    except BaseException:
        package.forget()
        raise


def read(path: Path, form: Form) -> Mapping[str, Any]:
    """The weights in a file of torch.save, or of safetensors.

    Raises:
        ModelLoadError: it holds more than weights, or is damaged.
    """
    if form is Form.SAVED:
        return _saved(path)
    with path.open("rb") as file:
        return tensors(stored(file, path.name), path.name)


def stored(file: BinaryIO, name: str) -> Stored:
    """The tensors of a file of safetensors, which may still arrive.

    Raises:
        ModelLoadError: it is damaged.
        StorageError: it cannot be fetched.
    """
    found = Tensors(file, name)
    return {key: (entry, found.data(key)) for key, entry in found.entries.items()}


def tensors(stored: Stored, name: str) -> Mapping[str, torch.Tensor]:
    """Tensors over these bytes, which are not copied.

    Raises:
        ModelLoadError: this version of PyTorch has no such dtype.
    """
    import torch

    made = {}
    for key, (entry, data) in stored.items():
        dtype = getattr(torch, _DTYPES[entry.dtype], None)
        if dtype is None:
            raise errors.ModelLoadError(f"{key!r} in {name} is {entry.dtype}, which PyTorch {torch.__version__} lacks.")
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        made[key] = flat.reshape(entry.shape)
    return made


def _described(made: Program, outputs: Sequence[TensorSpec], forget: Callable[[], None]) -> Program:
    import dataclasses

    names = tuple(spec.name for spec in outputs)
    # The author's code may do anything, so it is not called on the event loop.
    return dataclasses.replace(made, outputs=tuple(outputs), output_names=names, waits=True, forget=forget)


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise errors.ConfigurationError(f"setting options: {text!r} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise errors.ConfigurationError(f"setting options: {text!r} is not a JSON object.")
    return found


def _saved(path: Path) -> Mapping[str, Any]:
    """The weights in a file of torch.save, read by the unpickler that runs nothing."""
    import torch

    try:
        with path.open("rb") as file:  # by its path, PyTorch would go by its name
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        words = str(error).replace("\x1b[1m", "").replace("\x1b[0m", "")
        marks = [line.strip() for line in words.splitlines() if "GLOBAL" in line or "Unsupported" in line]
        if not marks:
            raise
        raise errors.ModelLoadError(
            f"{path.name} is a pickle of more than weights, and is not opened, because that would run its code "
            f"({marks[0].partition(' Please use')[0]}).",
            remedy=_INSTEAD,
        ) from error
    if isinstance(found, Mapping):
        for each in (found, *(found[key] for key in _NESTED if key in found)):
            if isinstance(each, Mapping) and each and all(isinstance(value, torch.Tensor) for value in each.values()):
                return each
    raise errors.ModelLoadError(f"{path.name} holds a {type(found).__name__} that is no weights.", remedy=_INSTEAD)


def _fill(module: Any, weights: Mapping[str, Any], path: Path) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise errors.ModelLoadError(
            f"{path.name} does not hold the weights of {type(module).__name__}: {text[:500]}",
            remedy="Put the file of the class beside it that the weights were saved from.",
        ) from error


def _class_of(defined: ModuleType, source: Path, name: str) -> type[Any]:
    """The class of the model: the one that is named, else the only one that the file defines or describes."""
    import torch

    known: dict[str, type[Any]] = {
        key: value for key, value in vars(defined).items() if _is_module_class(value, torch.nn.Module)
    }
    if name:
        if name in known:
            return known[name]
        raise errors.ModelLoadError(f"{source.name} has no class {name!r}; it has {', '.join(known) or 'none'}.")
    own = {key: value for key, value in known.items() if value.__module__ == defined.__name__}
    found = {key: value for key, value in own.items() if hasattr(value, "inputs")} or own
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise errors.ModelLoadError(
            f"{source.name} defines no subclass of torch.nn.Module.", remedy="Define the model's class there."
        )
    raise errors.ModelLoadError(
        f"{source.name} defines several modules: {', '.join(found)}.",
        remedy=f"Choose the model's with the setting class, for example --set class={list(found)[-1]}.",
    )


def _is_module_class(value: object, base: type) -> bool:
    return inspect.isclass(value) and issubclass(value, base)


def _specs(found: type[Any], attribute: str) -> tuple[TensorSpec, ...]:
    declared = getattr(found, attribute, ())
    if isinstance(declared, (list, tuple)) and all(isinstance(each, TensorSpec) for each in declared):
        return tuple(declared)
    raise errors.ModelLoadError(
        f"{found.__name__}.{attribute} is no sequence of fairlead.TensorSpec.",
        remedy=f"Write it as {attribute} = [TensorSpec('x', Datatype.FP32, (-1, 4))].",
    )


def _parameters(found: type[Any]) -> Parameters:
    taken = [*inspect.signature(found.forward).parameters.values()][1:]
    named = [each for each in taken if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return Parameters(
        names=tuple(each.name for each in named),
        optional=frozenset(each.name for each in named if each.default is not each.empty),
        variadic=any(each.kind is each.VAR_POSITIONAL for each in taken),
    )


def _run(call: Callable[[], T], source: Path, subject: str) -> T:
    """Run the author's code; whatever it raises is why the model does not load, with the place in the file."""
    try:
        return call()
    except errors.FairleadError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(source)]
        place = f"{source.name}:{lines[-1]}" if lines else source.name
        text = f"{type(error).__name__}: {error}"
        raise errors.ModelLoadError(f"{subject}: {text} ({place}).", remedy=_remedy(error)) from error


def _remedy(error: Exception) -> str | None:
    if isinstance(error, ModuleNotFoundError):
        return f"Install the distribution that provides {error.name!r}."
    if isinstance(error, TypeError):
        return 'Give the arguments of the class with the setting options, for example --set options={"classes":10}.'
    return None
