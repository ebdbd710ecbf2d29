"""A module that can be called with named tensors, whatever file it came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature, cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Array",
    "Call",
    "Declared",
    "Parameters",
    "Program",
    "Reader",
    "Undeclared",
    "as_tensor",
    "free_rows",
    "of_module",
]

Array: TypeAlias = "tuple[NDArray[Any], Datatype]"
"""An array, and the datatype of the tensor that it becomes: BF16 is an array of float32."""

Call: TypeAlias = "Callable[[Any, Mapping[str, Any]], Any]"
"""Calls a module with tensors by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A module, with what is known of it.

    Attributes:
        module: the module; another of the same interface may take its place (a compiled one).
        call: calls it with tensors by the names of the inputs.
        reader: reads requests.
        form: what it was made of, for messages.
        inputs: its inputs; empty when they are not known.
        outputs: its outputs, as far as the file tells.
        output_names: the names of the outputs where their author gives them.
        batching: whether its first axis is one of independent rows, as the shapes tell; None when they do not.
        most_rows: how many rows it takes at once; None for any.
        isolated: whether it may write to its inputs, or to what it has returned.
        example: inputs that it takes; empty when there are none.
        compiles: whether ``torch.compile`` can compile it.
        waits: whether it may wait for something other than its computing.
        notes: findings, for the model's status.
        forget: releases what the module leaves behind in the process.
    """

    module: Any
    call: Call
    reader: Reader
    form: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    output_names: tuple[str, ...] = ()
    batching: bool | None = None
    most_rows: int | None = None
    isolated: bool = True
    example: tuple[Tensor, ...] = ()
    compiles: bool = True
    waits: bool = False
    notes: tuple[str, ...] = ()
    forget: Callable[[], None] = lambda: None


@dataclasses.dataclass(frozen=True)
class Parameters:
    """The parameters of a module's ``forward`` that take tensors.

    Attributes:
        names: their names, in order.
        optional: those that have a default.
        variadic: whether any number of further ones is taken by position.
    """

    names: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    variadic: bool = False


class Declared:
    """Reads requests for inputs that are known.

    Args:
        inputs: the inputs.
        optional: the names of those that may be left out.
    """

    def __init__(self, inputs: Sequence[TensorSpec], optional: frozenset[str] = frozenset()) -> None:
        self._signature = Signature(inputs, optional)
        self._datatypes = {spec.name: spec.datatype for spec in inputs}

    def read(self, request: InferRequest) -> dict[str, Array]:
        """The arrays of a request, of the declared datatypes and shapes.

        Raises:
            InvalidInput: the request has another form.
        """
        return {name: (array, self._datatypes[name]) for name, array in self._signature.read(request).items()}


class Undeclared:
    """Reads requests for inputs of which nothing but the names is known.

    Args:
        parameters: what the module takes.
        floating: the datatype of the module's own floating-point numbers, which those of a request become (JSON has no
            datatypes); None where it has none.
    """

    def __init__(self, parameters: Parameters, floating: Datatype | None) -> None:
        self._names = parameters.names
        self._required = [name for name in parameters.names if name not in parameters.optional]
        self._floating = floating

    def read(self, request: InferRequest) -> dict[str, Array]:
        """The arrays of a request.

        Raises:
            InvalidInput: the names are others, or a tensor holds text.
        """
        sent = {tensor.name: tensor for tensor in request.inputs}
        if len(request.inputs) == 1 and len(self._required or self._names) == 1 and not sent.keys() <= {*self._names}:
            sent = {(self._required or self._names)[0]: request.inputs[0]}
        if not sent or len(sent) < len(request.inputs) or not {*self._required} <= sent.keys() <= {*self._names}:
            given = ", ".join(repr(tensor.name) for tensor in request.inputs) or "none"
            raise errors.InvalidInput(f"The model takes the inputs {', '.join(self._names)}; the request has {given}.")
        return {name: self._array(sent[name]) for name in self._names if name in sent}

    def _array(self, tensor: Tensor) -> Array:
        if tensor.datatype is Datatype.BYTES:
            raise errors.InvalidInput(f"Input {tensor.name!r} is BYTES; the model takes numbers.")
        if self._floating is None or tensor.data.dtype.kind != "f":
            return tensor.data, tensor.datatype
        try:
            return cast(tensor.data, self._floating.numpy), self._floating
        except ValueError as error:
            raise errors.InvalidInput(f"Input {tensor.name!r} becomes {self._floating}, and {error}.") from error


Reader: TypeAlias = "Declared | Undeclared"


def of_module(module: Any, parameters: Parameters, inputs: Sequence[TensorSpec], form: str) -> Program:
    """The program of a module whose inputs are what somebody declares, or else not known.

    Args:
        module: the module, on its device.
        parameters: what its ``forward`` takes.
        inputs: the declared inputs; none where nobody has declared any.
        form: what it was made of, for messages.

    Raises:
        ModelLoadError: there are too many inputs, or too few.
    """
    call, optional = _bound(parameters, inputs)
    return Program(
        module=module,
        call=call,
        reader=Declared(inputs, optional) if inputs else Undeclared(parameters, _floating(module)),
        form=form,
        inputs=tuple(inputs),
        batching=free_rows(inputs),
    )


def _bound(parameters: Parameters, inputs: Sequence[TensorSpec]) -> tuple[Call, frozenset[str]]:
    """How a module is called: by name where the names are its own, else by position; and what may be left out."""
    names = [spec.name for spec in inputs] or list(parameters.names)
    if not names:
        raise errors.ModelLoadError(
            "The arguments of forward have no names of their own.",
            remedy="Declare the inputs with the setting inputs, for example --set 'inputs=x:FP32[-1,4]'.",
        )
    required = {*parameters.names} - parameters.optional
    if required <= {*names} <= {*parameters.names}:
        return _by_name, parameters.optional & {*names}
    if len(required) <= len(names) and (parameters.variadic or len(names) <= len(parameters.names)):
        return lambda module, tensors: module(*(tensors[name] for name in names)), frozenset()
    raise errors.ModelLoadError(
        f"The inputs {', '.join(names)} are declared, and forward takes {', '.join(parameters.names) or 'none'}.",
        remedy="Declare one input for each argument, in their order.",
    )


def _by_name(module: Any, tensors: Mapping[str, Any]) -> Any:
    return module(**tensors)


def free_rows(inputs: Sequence[TensorSpec]) -> bool | None:
    """Whether every input has a first axis of any length; None without inputs."""
    return all(spec.shape[:1] == (-1,) for spec in inputs) if inputs else None


def as_tensor(name: str, value: Any, datatype: Datatype) -> Tensor:
    """A tensor of PyTorch as one of a request; the elements are copied."""
    return Tensor(name, np.array(value.detach().cpu().to(_plain(value)).numpy(force=True)), datatype)


def _plain(value: Any) -> Any:
    import torch

    return torch.float32 if value.dtype is torch.bfloat16 else value.dtype


def _floating(module: Any) -> Datatype | None:
    """The datatype of the first floating-point weight of a module."""
    from fairlead_runtime_torch import tensors

    return next((tensors.datatype_of(each.dtype) for each in module.parameters() if each.is_floating_point()), None)
