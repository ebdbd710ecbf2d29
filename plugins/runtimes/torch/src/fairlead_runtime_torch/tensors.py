"""Arrays of numpy and tensors of PyTorch: their datatypes, and how they get to the device and back."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Datatype, Tensor, errors

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Transfer", "datatype_of", "dtypes", "flatten", "flatten_or_refuse"]

_DTYPES: Final[Mapping[Datatype, str]] = {
    Datatype.BOOL: "bool",
    Datatype.UINT8: "uint8",
    Datatype.UINT16: "uint16",
    Datatype.UINT32: "uint32",
    Datatype.UINT64: "uint64",
    Datatype.INT8: "int8",
    Datatype.INT16: "int16",
    Datatype.INT32: "int32",
    Datatype.INT64: "int64",
    Datatype.FP16: "float16",
    Datatype.BF16: "bfloat16",
    Datatype.FP32: "float32",
    Datatype.FP64: "float64",
}


@functools.cache
def dtypes() -> Mapping[Datatype, torch.dtype]:
    """The dtypes of PyTorch by datatype; text has none."""
    import torch

    return {datatype: getattr(torch, name) for datatype, name in _DTYPES.items()}


def datatype_of(dtype: torch.dtype) -> Datatype | None:
    """The datatype that carries a dtype of PyTorch; None for complex, quantized and 8-bit floating-point numbers."""
    return next((datatype for datatype, each in dtypes().items() if each is dtype), None)


def flatten(result: Any) -> list[tuple[str, Any]]:
    """The parts of what a module returned, with the names that they have or get.

    A dictionary names its own, and so does a NamedTuple; others are ``output-0``, ``output-1``, ... Parts of a
    dictionary that are None are left out.

    Raises:
        InferenceFailed: the result is nested, or empty, or holds something that is neither a tensor nor a number.
    """
    if isinstance(result, Mapping):
        found = [(str(name), each) for name, each in result.items() if each is not None]
    elif isinstance(result, (tuple, list)):
        names = getattr(result, "_fields", None) or [f"output-{place}" for place in range(len(result))]
        found = list(zip(names, result, strict=True))
    else:
        found = [("output-0", result)]
    if not found:
        raise errors.InferenceFailed("The model returned nothing.")
    for name, each in found:
        if not (hasattr(each, "dtype") or isinstance(each, (bool, int, float))):
            raise errors.InferenceFailed(
                f"The model returned a {type(each).__name__} as {name}; an answer is a tensor, a tuple, a list or a "
                "dictionary of tensors, and none of these inside another."
            )
    return found


def flatten_or_refuse(result: Any) -> list[tuple[str, Any]]:
    """As `flatten`, of a result that is known when the model loads.

    Raises:
        ModelLoadError: it is nested, or empty, or holds something that is neither a tensor nor a number.
    """
    try:
        return flatten(result)
    except errors.InferenceFailed as error:
        raise errors.ModelLoadError(
            str(error), remedy="Return tensors from forward, and save the model again."
        ) from error


class Transfer:
    """Brings arrays to a device and tensors back.

    Args:
        device: where the model computes.
        isolated: whether the model may write to its inputs, or keep a tensor that it has returned: such a model gets
            copies, and so do its clients.
    """

    def __init__(self, device: torch.device, *, isolated: bool) -> None:
        import torch

        self._torch = torch
        self._device = device
        self._on_cpu = device.type == "cpu"
        self._on_cuda = device.type == "cuda"
        self._isolated = isolated
        with warnings.catch_warnings():
            # Said once in a process, about arrays that are read-only: they are not written to here.
            warnings.simplefilter("ignore")
            torch.from_numpy(np.frombuffer(bytes(4), dtype=np.float32))

    def to_device(self, array: NDArray[Any], datatype: Datatype) -> torch.Tensor:
        """A tensor with an array's elements, on the device.

        Args:
            array: of the dtype that `Datatype.numpy` says; it is never written to.
            datatype: what the tensor holds.
        """
        if not array.flags.c_contiguous:
            array = array.copy(order="C")
        tensor = self._torch.from_numpy(array)
        if datatype is Datatype.BF16:
            tensor = tensor.to(self._torch.bfloat16)
        elif self._on_cpu and self._isolated:
            tensor = tensor.clone()
        if self._on_cpu:
            return tensor
        if self._on_cuda:
            # From page-locked memory the copy runs while Python goes on; the allocator keeps such memory for the next.
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def to_outputs(self, found: Sequence[tuple[str, Any]]) -> list[Tensor]:
        """The tensors of an answer.

        Raises:
            InferenceFailed: no datatype carries one.
        """
        # All copies are under way before the first is waited for.
        hosts = [(name, self._to_host(each)) for name, each in found]
        if self._on_cuda:
            self._torch.cuda.current_stream(self._device).synchronize()
        return [self._output(name, each) for name, each in hosts]

    def _to_host(self, value: Any) -> torch.Tensor:
        if not isinstance(value, self._torch.Tensor):
            return self._torch.tensor(value)
        value = value.detach()
        if value.layout is not self._torch.strided:
            value = value.to_dense()
        if value.is_quantized:
            value = value.dequantize()
        if value.device.type != "cpu":
            return value.to("cpu", non_blocking=self._on_cuda)
        return value.clone() if self._isolated else value

    def _output(self, name: str, host: torch.Tensor) -> Tensor:
        datatype = datatype_of(host.dtype)
        if datatype is None:
            raise errors.InferenceFailed(
                f"The model returned {name} of {host.dtype}, which no tensor datatype carries."
            )
        if datatype is Datatype.BF16:
            host = host.float()
        return Tensor(name, host.numpy(force=True), datatype)
