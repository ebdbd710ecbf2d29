"""What a hook is given: one class for each kind of value that a request can be turned into.

Each also goes the other way, so that an author can write a sample as the value that the hook takes.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np

from fairlead import errors
from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor
from fairlead.custom import frames
from fairlead.runtimes.signature import cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead.contracts.tensors import TensorSpec

__all__ = ["ABSTRACT", "Array", "Arrays", "Body", "Elements", "Frame", "Json", "Request", "Taker"]

T = TypeVar("T")

ABSTRACT: Final[frozenset[Any]] = frozenset(
    {np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact, np.floating}
)
"""Scalar types that stand for several dtypes: arrays are checked against them, and cannot be cast to them."""


class Taker(abc.ABC):
    """Turns requests into one kind of value."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """What a model that takes this value can do."""

    @abc.abstractmethod
    def take(self, request: InferRequest) -> Any:
        """The value.

        Raises:
            InvalidInput: the request does not hold one, with what is expected.
        """

    @abc.abstractmethod
    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:
        """A request that holds this value: the reverse of `take`, for samples.

        Args:
            value: the value.
            declared: the model's declared inputs, where it has any; tensors take their names.

        Raises:
            TypeError: it is not of this kind.
        """


class Request(Taker):
    """The request itself."""

    capabilities = frozenset({Capability.COLUMNS})

    def take(self, request: InferRequest) -> InferRequest:
        """The request, unchanged."""
        return request

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:  # noqa: ARG002  # nothing to name
        """The request, unchanged."""
        return _of_type(value, InferRequest)


@dataclasses.dataclass(frozen=True, slots=True)
class Array(Taker):
    """The array of the one tensor that the request holds.

    Attributes:
        scalar: the numpy scalar type that its elements must have; concrete ones are cast to, those of `ABSTRACT`
            are checked; None for any.
    """

    scalar: type[np.generic] | None = None

    def take(self, request: InferRequest) -> NDArray[Any]:
        """The array; a view of what was received where that was binary, and then read-only."""
        return _array(_single(request), self.scalar)

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:
        """A request of one tensor."""
        name = declared[0].name if declared else "input-0"
        return InferRequest(model_name="", inputs=[Tensor.from_numpy(name, _of_type(value, np.ndarray))])


@dataclasses.dataclass(frozen=True, slots=True)
class Arrays(Taker):
    """The arrays of all tensors, by name.

    Attributes:
        scalar: as `Array.scalar`, for each of them.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.COLUMNS})
    scalar: type[np.generic] | None = None

    def take(self, request: InferRequest) -> dict[str, NDArray[Any]]:
        """The arrays, in the order in which they were sent."""
        _some(request, "named tensors")
        return {tensor.name: _array(tensor, self.scalar) for tensor in request.inputs}

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:  # noqa: ARG002  # it has names
        """A request of one tensor for each item."""
        items = _of_type(value, dict).items()
        inputs = [Tensor.from_numpy(name, _of_type(array, np.ndarray)) for name, array in items]
        return InferRequest(model_name="", inputs=inputs)


@dataclasses.dataclass(frozen=True, slots=True)
class Elements(Taker):
    """The elements of the one BYTES tensor that the request holds, as a list.

    Attributes:
        text: whether they are decoded to ``str``.
    """

    text: bool

    def take(self, request: InferRequest) -> list[str] | list[bytes]:
        """The elements of a tensor of shape [n] or [n, 1]."""
        tensor = _single(request)
        if tensor.datatype is not Datatype.BYTES or any(length != 1 for length in tensor.shape[1:]):
            raise errors.InvalidInput(
                f"The model takes a list of texts; input {tensor.name!r} is {tensor.datatype} {list(tensor.shape)}.",
                remedy="Send one BYTES input of shape [n], or instances that are strings.",
            )
        elements: list[Any] = (tensor.as_strings() if self.text else tensor.data).ravel().tolist()
        return elements

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:
        """A request of one BYTES tensor."""
        name = declared[0].name if declared else "input-0"
        elements = [_of_type(element, str if self.text else bytes) for element in _of_type(value, list)]
        array = np.array(elements, dtype=object)
        return InferRequest(model_name="", inputs=[Tensor.from_numpy(name, array, Datatype.BYTES)])


class Frame(Taker):
    """A pandas DataFrame with one column for each tensor."""

    capabilities = frozenset({Capability.COLUMNS})

    def take(self, request: InferRequest) -> Any:
        """The DataFrame; BYTES columns are text."""
        _some(request, "a table")
        try:
            return frames.from_tensors(request.inputs)
        except ValueError as error:
            raise errors.InvalidInput(f"The model takes a table: {error}.") from error

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:  # noqa: ARG002  # it has names
        """A request of one tensor for each column."""
        if not frames.is_frame(value):
            raise TypeError(f"is a {type(value).__name__}, not a DataFrame")
        return InferRequest(model_name="", inputs=frames.to_tensors(value), parameters={"content_type": "pd"})


@dataclasses.dataclass(frozen=True, slots=True)
class Json(Taker):
    """The JSON of a V1 request: the whole body as a dict, or its instances as a list.

    Attributes:
        kind: ``dict`` or ``list``.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.JSON})
    kind: type[dict[str, Any]] | type[list[Any]]

    def take(self, request: InferRequest) -> Any:
        """The body when it is of this kind; for a list, also the ``inputs``, else the ``instances``, of the body."""
        body = request.payload
        if body is None:
            raise errors.InvalidInput(
                f"Model with name {request.model_name} takes JSON, and not tensors.",
                remedy=f"Send it over V1: POST /v1/models/{request.model_name}:predict.",
            )
        if self.kind is list and isinstance(body, Mapping):
            body = body.get("inputs", body.get("instances"))
        if not isinstance(body, self.kind):
            wanted = 'a JSON array, or an object with the array "instances"' if self.kind is list else "a JSON object"
            got = "raw bytes" if isinstance(body, bytes) else _JSON_NAMES.get(type(body), "an object without it")
            remedy = _sent_as(request) if isinstance(body, bytes) else None
            raise errors.InvalidInput(f"The model takes {wanted}, and got {got}.", remedy=remedy)
        return body

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:  # noqa: ARG002  # JSON is no tensor
        """A request with this payload."""
        value = _of_type(value, self.kind)
        return InferRequest(model_name="", payload={"instances": value} if self.kind is list else value)


_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number", bool: "a bool"}


@dataclasses.dataclass(frozen=True, slots=True)
class Body(Taker):
    """The raw body of a V1 request that is not JSON, or the single element of a BYTES tensor.

    Attributes:
        text: whether it is decoded to ``str``.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.JSON})
    text: bool

    def take(self, request: InferRequest) -> str | bytes:
        """The bytes or the text."""
        found = self._found(request)
        if isinstance(found, str):
            return found if self.text else found.encode()
        try:
            return found.decode("utf-8") if self.text else found
        except UnicodeDecodeError as error:
            raise errors.InvalidInput(f"The model takes text, and the body is not UTF-8: {error}.") from error

    def _found(self, request: InferRequest) -> str | bytes:
        if isinstance(request.payload, (bytes, str)):
            return request.payload
        single = request.inputs[0] if len(request.inputs) == 1 else None
        if single is not None and single.datatype is Datatype.BYTES and single.data.size == 1:
            element: bytes = single.data.reshape(-1)[0]
            return element
        raise errors.InvalidInput(
            "The model takes a raw body, and got " + ("JSON." if request.payload is not None else "other tensors."),
            remedy="Send the body to :predict with its own content type, for example image/png or text/plain, "
            "or one BYTES input with one element to /infer.",
        )

    def give(self, value: Any, declared: Sequence[TensorSpec]) -> InferRequest:  # noqa: ARG002  # a body has no name
        """A request with this body."""
        value = _of_type(value, str if self.text else bytes)
        return InferRequest(model_name="", payload=value.encode() if isinstance(value, str) else value)


def _some(request: InferRequest, wanted: str) -> None:
    if request.inputs:
        return
    if isinstance(request.payload, bytes):
        raise errors.InvalidInput(f"The model takes {wanted}, and got raw bytes. {_sent_as(request)}")
    raise errors.InvalidInput(
        f"The model takes {wanted}, and the request has no tensors.",
        remedy=None if request.payload is None else "Send instances that are a rectangle of numbers, or of text.",
    )


def _sent_as(request: InferRequest) -> str:
    """Why a body was not read as JSON; curl's ``-d`` alone sends a form."""
    sent = request.headers.get("content-type", "unknown")
    return f"Its content type is {sent}; JSON is sent as application/json."


def _single(request: InferRequest) -> Tensor:
    _some(request, "one tensor")
    if len(request.inputs) != 1:
        got = ", ".join(repr(tensor.name) for tensor in request.inputs)
        raise errors.InvalidInput(f"The model takes one input, and the request has {len(request.inputs)}: {got}.")
    return request.inputs[0]


def _array(tensor: Tensor, scalar: type[np.generic] | None) -> NDArray[Any]:
    if scalar is None:
        return tensor.data
    if scalar is np.str_:
        return tensor.as_strings().astype(np.str_)
    if np.issubdtype(tensor.data.dtype, scalar):
        return tensor.data
    try:
        if tensor.datatype is Datatype.BYTES or scalar in ABSTRACT:
            raise ValueError(f"it is {tensor.datatype}")
        return cast(tensor.data, np.dtype(scalar))
    except ValueError as error:
        raise errors.InvalidInput(f"The model takes {scalar.__name__}; input {tensor.name!r}: {error}.") from error


def _of_type(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"is a {type(value).__name__}, not a {kind.__name__}")
    return value
