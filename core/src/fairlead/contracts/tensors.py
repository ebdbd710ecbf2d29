"""Tensors and the one request and response type that every protocol decodes to and encodes from.

The datatypes and their byte layout are those of the Open Inference Protocol: little-endian, row-major, no
padding; BYTES elements are preceded by their length as an unsigned 32-bit integer. A tensor that was read from
a binary encoding is a view of the received buffer, and therefore read-only.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from fairlead import errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Datatype",
    "InferRequest",
    "InferResponse",
    "Parameter",
    "RequestedOutput",
    "Tensor",
    "TensorSpec",
]

Parameter: TypeAlias = "bool | int | float | str"
"""A value of a ``parameters`` map, on a request, a response or a tensor."""


class Datatype(enum.StrEnum):
    """The tensor datatypes of the Open Inference Protocol."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    BF16 = "BF16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype that holds it in memory.

        BF16 is held as float32, which contains every BF16 value exactly: numpy has no such dtype, and a runtime
        that received bare bit patterns could take them for integers. BYTES is ``object``, of ``bytes``.
        """
        return _NUMPY[self]

    @property
    def itemsize(self) -> int | None:
        """Bytes of one element in the binary encodings; None for BYTES, whose elements vary."""
        return _ITEMSIZE[self]

    @classmethod
    def from_numpy(cls, dtype: np.dtype[Any]) -> Datatype:
        """The datatype that carries an array of this dtype.

        Raises:
            InvalidInput: no datatype carries it (complex numbers, durations, structured arrays).
        """
        if dtype.kind in "OSUM":
            return cls.BYTES
        found = _FROM_NUMPY.get(dtype.newbyteorder("="))
        if found is None:
            raise errors.InvalidInput(f"no tensor datatype carries numpy arrays of dtype {dtype}")
        return found


_NUMPY: Final[Mapping[Datatype, np.dtype[Any]]] = {
    Datatype.BOOL: np.dtype(np.bool_),
    Datatype.UINT8: np.dtype("<u1"),
    Datatype.UINT16: np.dtype("<u2"),
    Datatype.UINT32: np.dtype("<u4"),
    Datatype.UINT64: np.dtype("<u8"),
    Datatype.INT8: np.dtype("<i1"),
    Datatype.INT16: np.dtype("<i2"),
    Datatype.INT32: np.dtype("<i4"),
    Datatype.INT64: np.dtype("<i8"),
    Datatype.FP16: np.dtype("<f2"),
    Datatype.BF16: np.dtype("<f4"),
    Datatype.FP32: np.dtype("<f4"),
    Datatype.FP64: np.dtype("<f8"),
    Datatype.BYTES: np.dtype(object),
}
_ITEMSIZE: Final[Mapping[Datatype, int | None]] = {
    datatype: None if dtype.hasobject else 2 if datatype is Datatype.BF16 else dtype.itemsize
    for datatype, dtype in _NUMPY.items()
}
_FROM_NUMPY: Final[Mapping[np.dtype[Any], Datatype]] = {
    dtype: datatype for datatype, dtype in _NUMPY.items() if datatype is not Datatype.BF16
}


@dataclasses.dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model says of one of its inputs or outputs.

    Attributes:
        name: the tensor's name on the wire.
        datatype: its datatype.
        shape: its dimensions, -1 where any length is taken.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


@dataclasses.dataclass(slots=True, eq=False)
class Tensor:
    """A named array with a datatype of the protocol.

    Attributes:
        name: the tensor's name on the wire.
        data: the elements; its shape is the tensor's shape, its dtype is `Datatype.numpy` of the datatype.
            BYTES tensors hold ``bytes`` objects.
        datatype: the datatype on the wire.
        parameters: the tensor's own parameters.
    """

    name: str
    data: NDArray[Any]
    datatype: Datatype
    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_numpy(cls, name: str, array: NDArray[Any], datatype: Datatype | None = None) -> Tensor:
        """Wrap an array, converting what the wire has no datatype for.

        Text, dates and other objects become BYTES of their UTF-8 text (dates as ISO 8601); numbers in an object
        array become the numbers that they are.

        Args:
            name: the tensor's name.
            array: any array that `Datatype.from_numpy` knows.
            datatype: the datatype on the wire; by default the one that carries the array's dtype.

        Raises:
            InvalidInput: no datatype carries the array.
        """
        if array.dtype.kind == "O" and datatype is None:
            array = _unboxed(array)
        datatype = datatype or Datatype.from_numpy(array.dtype)
        if datatype is Datatype.BYTES:
            return cls(name, _as_bytes(array), datatype)
        return cls(name, array.astype(datatype.numpy, copy=False), datatype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return self.data.shape

    def as_strings(self) -> NDArray[Any]:
        """The elements of a BYTES tensor as an object array of ``str``, of the same shape.

        Raises:
            InvalidInput: the tensor is not BYTES, or an element is not UTF-8.
        """
        if self.datatype is not Datatype.BYTES:
            raise errors.InvalidInput(f"tensor {self.name!r} is {self.datatype}, not BYTES")
        decoded = np.empty(self.data.shape, dtype=object)
        try:
            decoded.ravel()[:] = [element.decode("utf-8") for element in self.data.ravel()]
        except UnicodeDecodeError as error:
            raise errors.InvalidInput(f"tensor {self.name!r} has an element that is not UTF-8 text") from error
        return decoded

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        return (
            (self.name, self.datatype, self.shape) == (other.name, other.datatype, other.shape)
            and self.parameters == other.parameters
            and np.array_equal(self.data, other.data, equal_nan=self.data.dtype.kind == "f")
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable, and so are tensors


def _unboxed(array: NDArray[Any]) -> NDArray[Any]:
    """An object array of numbers or booleans as an array of them; anything else unchanged."""
    try:
        plain = np.array(array.tolist())
    except ValueError:
        return array
    return plain if plain.dtype.kind in "biuf" and plain.shape == array.shape else array


def _as_bytes(array: NDArray[Any]) -> NDArray[Any]:
    """Any array as an object array of ``bytes``, of the same shape."""
    encoded = np.empty(array.shape, dtype=object)
    items = np.datetime_as_string(array).ravel() if array.dtype.kind == "M" else array.ravel()
    encoded.reshape(-1)[:] = [_element_bytes(item) for item in items.tolist()]
    return encoded


def _element_bytes(item: object) -> bytes:
    match item:
        case bytes():
            return item
        case bytearray() | memoryview():
            return bytes(item)
        case str():
            try:
                return item.encode("utf-8")
            except UnicodeEncodeError as error:
                raise errors.InvalidInput("a text element has a lone surrogate and cannot be UTF-8") from error
        case _:
            isoformat = getattr(item, "isoformat", None)
            return str(isoformat() if callable(isoformat) else item).encode("utf-8")


@dataclasses.dataclass(slots=True)
class RequestedOutput:
    """An output that the client asks for, with its parameters (``binary_data`` among them)."""

    name: str
    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True, kw_only=True)
class InferRequest:
    """One inference request, whatever protocol it came by.

    Attributes:
        model_name: the model that is asked.
        inputs: the tensors, in the order in which they were sent.
        id: the client's id for the request, returned with the answer.
        model_version: the version that is asked for; None for whichever is served.
        parameters: the request's own parameters.
        outputs: the outputs that are asked for, in order; empty for all.
        payload: the V1 body as decoded JSON, or the raw bytes of a V1 body that is not JSON; None otherwise. When
            `inputs` is empty, this is all there is.
        headers: the transport's headers, names in lower case.
    """

    model_name: str
    inputs: Sequence[Tensor] = ()
    id: str | None = None
    model_version: str | None = None
    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)
    outputs: Sequence[RequestedOutput] = ()
    payload: Any = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def columns(self) -> bool:
        """Whether the inputs are the named columns of one table: parameter ``content_type`` is ``pd``."""
        return self.parameters.get("content_type") == "pd"

    def input(self, name: str) -> Tensor:
        """The input of that name.

        Raises:
            InvalidInput: there is none.
        """
        for tensor in self.inputs:
            if tensor.name == name:
                return tensor
        known = ", ".join(repr(tensor.name) for tensor in self.inputs) or "none"
        raise errors.InvalidInput(f"the request has no input {name!r} (it has {known})")


@dataclasses.dataclass(slots=True, kw_only=True)
class InferResponse:
    """One inference answer, before any protocol encodes it.

    Attributes:
        model_name: the model that answered.
        outputs: the tensors, in the model's order.
        id: the id of the request.
        model_version: the version that answered, where the model has versions.
        parameters: the answer's own parameters.
        payload: an answer that is no tensors: a JSON value for V1, or ``bytes``/``str`` to send as they are.
        headers: extra headers for the transport.
    """

    model_name: str
    outputs: Sequence[Tensor] = ()
    id: str | None = None
    model_version: str | None = None
    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)
    payload: Any = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def output(self, name: str) -> Tensor:
        """The output of that name.

        Raises:
            InvalidInput: there is none.
        """
        for tensor in self.outputs:
            if tensor.name == name:
                return tensor
        raise errors.InvalidInput(f"Unexpected inference output '{name}' for model '{self.model_name}'")
