"""One signature of a model: what it takes and answers, and asking it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PARAMETER", "Call", "Port", "ServedSignature"]

PARAMETER: Final = "signature_name"
"""The parameter of a request that names a signature."""

Call: TypeAlias = "Callable[[dict[str, Any]], Mapping[str, Any]]"
"""Calls a signature: TensorFlow's tensors by name, in and out."""

_LARGEST_SAMPLE: Final = 16 * 1024 * 1024
_NOISE: Final = re.compile(r"\s*\[\[.*?\]\]|\s*\[Op:[^\]]*\]")
_ABOUT_THE_GRAPH: Final = ("Graph execution error", "Detected at node", "<stack traces", "[[", "File ")


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """An input or an output.

    Attributes:
        name: its name in the signature.
        dtype: its dtype, of TensorFlow's.
        shape: its dimensions, -1 where any length is taken; None where not even their number is known.
    """

    name: str
    dtype: Any
    shape: tuple[int, ...] | None

    @classmethod
    def of(cls, name: str, spec: Any) -> Port:
        """The port of a ``tf.TensorSpec``.

        Raises:
            ModelLoadError: it is no dense tensor, or of a dtype that no tensor of the protocols has.
        """
        kind = type(spec).__name__
        if kind != "TensorSpec" or spec.dtype.name not in _DATATYPES:
            what = f"of dtype {spec.dtype.name}" if kind == "TensorSpec" else f"a {kind.removesuffix('Spec')}"
            raise errors.ModelLoadError(
                f"{name!r} is {what}, which no request can hold.",
                remedy="Save a signature of dense tensors; its function can make what it needs of them.",
            )
        shape = None if spec.shape.rank is None else tuple(-1 if each is None else each for each in spec.shape)
        return cls(name, spec.dtype, shape)

    @property
    def spec(self) -> TensorSpec:
        """What the metadata says of it; of an unknown number of dimensions, that it has one."""
        return TensorSpec(self.name, _DATATYPES[self.dtype.name], (-1,) if self.shape is None else self.shape)

    @property
    def has_rows(self) -> bool:
        """Whether it takes any number of rows."""
        return bool(self.shape) and self.shape is not None and self.shape[0] == -1

    @property
    def is_known(self) -> bool:
        """Whether zeros of a known shape are surely one row of what it takes."""
        return self.shape is not None and -1 not in self.shape[1:] and self.dtype.name != "string"


_DATATYPES: Final[Mapping[str, Datatype]] = {
    **{each.numpy.name: each for each in Datatype if each not in (Datatype.BYTES, Datatype.BF16)},
    "string": Datatype.BYTES,
    "bfloat16": Datatype.BF16,
}


class ServedSignature:
    """Answers requests by one signature.

    Args:
        tf: the module ``tensorflow``.
        name: its name.
        inputs: what it takes.
        outputs: what it answers.
        call: calls it.
    """

    def __init__(self, tf: Any, name: str, inputs: Sequence[Port], outputs: Sequence[Port], call: Call) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._tf = tf
        self._call = call
        self._signature = Signature([port.spec for port in inputs])
        self._loose = {port.name for port in inputs if port.shape is None}

    @property
    def batches(self) -> bool:
        """Whether all inputs and outputs have an unknown first dimension: rows, which may be joined and split."""
        ports = (*self.inputs, *self.outputs)
        return all(port.has_rows for port in ports)

    def sample(self) -> InferRequest | None:
        """A request of zeros, of one row; None where it would be large."""
        shapes = [[1 if length < 0 else length for length in port.spec.shape] for port in self.inputs]
        if any(np.prod(shape, dtype=np.float64) > _LARGEST_SAMPLE for shape in shapes):
            return None
        inputs = [_zeros(port, shape) for port, shape in zip(self.inputs, shapes, strict=True)]
        return InferRequest(model_name="", inputs=inputs, parameters={PARAMETER: self.name})

    def answer(self, request: InferRequest) -> list[Tensor]:
        """The outputs for a request.

        Raises:
            InvalidInput: it is not what the signature takes, or TensorFlow refuses its values.
        """
        arrays = self._reader(request).read(request)
        fed = {port.name: self._fed(port, arrays[port.name]) for port in self.inputs}
        try:
            found = self._call(fed)
            return [_tensor(port, found[port.name]) for port in self.outputs]
        except self._tf.errors.InvalidArgumentError as error:
            raise errors.InvalidInput(told(error.message)) from error

    def refusal(self, sample: InferRequest) -> str | None:
        """Why a sample says nothing of the signature: it may not be what it takes, and is refused; None where it does.

        Strings may have to be images or messages, and images of a size that is not declared.
        """
        if all(port.is_known for port in self.inputs):
            return None
        try:
            self.answer(sample)
        except errors.InvalidInput as error:
            return str(error)
        except (self._tf.errors.NotFoundError, self._tf.errors.OutOfRangeError) as error:
            return told(error.message)
        except self._tf.errors.OpError:
            return None  # whoever asks it again sees what is wrong
        return None

    def _reader(self, request: InferRequest) -> Signature:
        """The reader of a request; inputs of any number of dimensions take that of the request."""
        if not self._loose:
            return self._signature
        sent = {tensor.name: tensor.shape for tensor in request.inputs}
        if len(self.inputs) == len(request.inputs) == 1:
            sent[self.inputs[0].name] = request.inputs[0].shape
        specs = [
            dataclasses.replace(port.spec, shape=sent.get(port.name, port.spec.shape))
            if port.name in self._loose
            else port.spec
            for port in self.inputs
        ]
        return Signature(specs)

    def _fed(self, port: Port, array: NDArray[Any]) -> Any:
        """An array as TensorFlow's own; a copy, because it wants memory of its own alignment."""
        if port.dtype.name == "bfloat16":
            return self._tf.cast(self._tf.constant(array), port.dtype)
        return self._tf.constant(array, dtype=port.dtype)


def told(message: str) -> str:
    """What an error of TensorFlow's says of the values, without what it says of the graph."""
    lines = (_NOISE.sub("", line).strip() for line in message.splitlines())
    said = [line for line in lines if line and not line.startswith(_ABOUT_THE_GRAPH)]
    return " ".join(said).lstrip("; ") or message.strip()


def _zeros(port: Port, shape: Sequence[int]) -> Tensor:
    datatype = port.spec.datatype
    zeros = np.full(shape, b"", dtype=object) if datatype is Datatype.BYTES else np.zeros(shape, datatype.numpy)
    return Tensor(port.name, zeros, datatype)


def _tensor(port: Port, value: Any) -> Tensor:
    """An output as it lies in TensorFlow's memory, where that is the CPU's."""
    datatype = port.spec.datatype
    if datatype is Datatype.BYTES:
        text = value.numpy()  # bytes, where it has no dimensions
        array = text if isinstance(text, np.ndarray) else np.array(text, dtype=object)
    else:
        array = np.asarray(value)
    return Tensor(port.name, array.astype(datatype.numpy, copy=False), datatype)
