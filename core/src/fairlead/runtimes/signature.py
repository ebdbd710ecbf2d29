"""Reading a request as the named tensors that a model takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Signature", "cast"]


class Signature:
    """The inputs of a model of tensors.

    Args:
        inputs: what they are, in the model's order.
        optional: the names of those that a request may leave out.
    """

    def __init__(self, inputs: Sequence[TensorSpec], optional: Collection[str] = ()) -> None:
        self._inputs: Mapping[str, TensorSpec] = {spec.name: spec for spec in inputs}
        self._required = [name for name in self._inputs if name not in optional]
        self._only = self._required[0] if len(self._required) == 1 else None

    def __str__(self) -> str:
        """What a client should send, as the end of "expected ..."."""
        return ", ".join(_described(spec) for spec in self._inputs.values())

    def read(self, request: InferRequest) -> dict[str, NDArray[Any]]:
        """The arrays of a request by the names that the model has for them, each of the declared datatype.

        The tensors of a request carry the names of the inputs. Where the model needs a single one, a single tensor may
        have any name. Numbers become those of the declared datatype (JSON has no datatypes): see `cast`. An array that
        fits already is not copied, and may be read-only.

        Returns:
            The arrays, in the order of the model's inputs; BYTES are arrays of ``bytes``.

        Raises:
            InvalidInput: a tensor is missing, unknown, twice there, or of another datatype or shape.
        """
        tensors = request.inputs
        if len(tensors) == 1 and self._only is not None and tensors[0].name not in self._inputs:
            return {self._only: self._array(tensors[0], self._inputs[self._only])}
        sent = {tensor.name: tensor for tensor in tensors}
        fits = len(sent) == len(tensors) and all(name in self._inputs for name in sent)
        if not fits or any(name not in sent for name in self._required):
            raise errors.InvalidInput(self._difference(tensors))
        return {name: self._array(sent[name], spec) for name, spec in self._inputs.items() if name in sent}

    def _difference(self, tensors: Sequence[Tensor]) -> str:
        names = [tensor.name for tensor in tensors]
        missing = [name for name in self._required if name not in names]
        unknown = [name for name in dict.fromkeys(names) if name not in self._inputs]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        parts = []
        if not tensors:
            parts.append("holds no tensors")
        elif missing:
            parts.append(f"lacks {', '.join(map(repr, missing))}")
        if unknown:
            parts.append(f"has inputs that the model does not know: {', '.join(map(repr, unknown))}")
        if twice:
            parts.append(f"has two inputs of one name: {', '.join(map(repr, twice))}")
        return f"The request {' and '.join(parts)}; expected {self}."

    def _array(self, tensor: Tensor, spec: TensorSpec) -> NDArray[Any]:
        shape = tensor.data.shape
        if len(shape) != len(spec.shape) or any(
            want not in (-1, got) for got, want in zip(shape, spec.shape, strict=True)
        ):
            raise errors.InvalidInput(
                f"Input {tensor.name!r} has the shape {list(shape)}; expected {_described(spec)} (-1 is any length)."
            )
        if tensor.datatype is spec.datatype:
            return tensor.data
        if Datatype.BYTES in (tensor.datatype, spec.datatype):
            raise errors.InvalidInput(f"Input {tensor.name!r} is {tensor.datatype}; expected {_described(spec)}.")
        try:
            return cast(tensor.data, spec.datatype.numpy)
        except ValueError as error:
            raise errors.InvalidInput(
                f"Input {tensor.name!r} is {tensor.datatype}; expected {_described(spec)}, and {error}."
            ) from error


def cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers in another dtype, as near as that has them.

    JSON has no datatypes, so that integers must become floats and long numbers short ones. Among floating-point dtypes
    a number becomes the nearest of them, and one that is too large is refused; integers must fit; a fraction never
    becomes an integer, nor a number a truth value.

    Args:
        array: numbers or truth values; it is returned as it is where it has the dtype.
        dtype: the other dtype.

    Raises:
        ValueError: a number does not fit, or the kinds do not.
    """
    if array.dtype == dtype:
        return array
    source, target = array.dtype.kind, dtype.kind
    if target == "f" and source in "biuf":
        with np.errstate(over="ignore"):
            changed = array.astype(dtype)
        if np.isinf(changed).sum() > (np.isinf(array).sum() if source == "f" else 0):
            raise ValueError(f"a number is too large for {dtype.name}")
        return changed
    if target in "iu" and source in "biu":
        if source != "b" and array.size:
            limits = np.iinfo(dtype)
            if int(array.min()) < limits.min or int(array.max()) > limits.max:
                raise ValueError(f"a number is not between {limits.min} and {limits.max}")
        return array.astype(dtype)
    raise ValueError(f"{array.dtype.name} does not become {dtype.name}")


def _described(spec: TensorSpec) -> str:
    return f"{spec.name!r} {spec.datatype} {list(spec.shape)}"
