"""Holding tensors to what was declared of them: names, datatypes and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead import errors
from fairlead.contracts.tensors import Datatype, Tensor, TensorSpec
from fairlead.runtimes.signature import cast

__all__ = ["check_declared", "conform", "split"]

_MATRIX: Final = 2


def check_declared(kind: str, specs: object) -> tuple[TensorSpec, ...]:
    """The declared inputs or outputs of an author's class.

    Raises:
        ModelLoadError: they are no sequence of `TensorSpec`, or two have the same name.
    """
    if not isinstance(specs, Sequence) or not all(isinstance(spec, TensorSpec) for spec in specs):
        raise errors.ModelLoadError(
            f"`{kind}` is not a sequence of TensorSpec: {specs!r}.",
            remedy=f'Write for example: {kind} = (TensorSpec("x", Datatype.FP32, (-1, 4)),)',
        )
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise errors.ModelLoadError(f"`{kind}` names a tensor twice: {', '.join(names)}.")
    return tuple(specs)


def conform(tensors: Sequence[Tensor], specs: Sequence[TensorSpec]) -> list[Tensor]:
    """The tensors in the declared order, under the declared names and with the declared datatypes.

    Raises:
        ValueError: one is missing, not declared, or of another datatype or shape; with what was expected.
    """
    given = {tensor.name: tensor for tensor in tensors}
    names = [spec.name for spec in specs]
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown or len(given) < len(tensors):
        expected = ", ".join(_describe(spec) for spec in specs)
        sent = ", ".join(repr(tensor.name) for tensor in tensors) or "none"
        raise ValueError(f"expected the tensors {expected}, and got {sent}")
    return [_conform(given[spec.name], spec) for spec in specs]


def split(tensor: Tensor, specs: Sequence[TensorSpec]) -> list[Tensor]:
    """The columns of a matrix as the declared inputs, in their order; the tensor itself where it is no such matrix.

    Rows without names are how V1 sends a table of numbers.
    """
    if tensor.data.ndim != _MATRIX or tensor.shape[1] != len(specs) or any(len(spec.shape) != 1 for spec in specs):
        return [tensor]
    return [Tensor(spec.name, tensor.data[:, place], tensor.datatype) for place, spec in enumerate(specs)]


def _conform(tensor: Tensor, spec: TensorSpec) -> Tensor:
    shape = tensor.shape
    fits = len(shape) == len(spec.shape) and all(
        declared in (-1, length) for declared, length in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"tensor {tensor.name!r} has the shape {list(shape)}, and {_describe(spec)} is expected")
    if tensor.datatype is spec.datatype:
        return Tensor(spec.name, tensor.data, spec.datatype, tensor.parameters)
    if Datatype.BYTES in (tensor.datatype, spec.datatype):
        raise ValueError(f"tensor {tensor.name!r} is {tensor.datatype}, and {_describe(spec)} is expected")
    try:
        data = cast(tensor.data, spec.datatype.numpy)
    except ValueError as error:
        raise ValueError(f"tensor {tensor.name!r} cannot be {spec.datatype}: {error}") from None
    return Tensor(spec.name, data, spec.datatype, tensor.parameters)


def _describe(spec: TensorSpec) -> str:
    return f"{spec.name!r} ({spec.datatype} {list(spec.shape)})"
