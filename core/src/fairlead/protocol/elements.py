"""Lists of JSON values to and from arrays.

A list of numbers becomes an array in one pass in C; only a list with something unusual in it (null, a whole number
written as 1.0, a mistake) is looked at element by element.
"""

from __future__ import annotations

import array
import itertools
import math
import reprlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype
from fairlead.protocol import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from fairlead.contracts.tensors import Tensor
    from fairlead.protocol.bulk import Numbers

__all__ = ["from_list", "from_numbers", "infer", "objects", "rectangle", "to_texts"]

_TYPECODES: Final[Mapping[Datatype, str]] = {
    Datatype.BOOL: "B",
    Datatype.UINT8: "B",
    Datatype.UINT16: "H",
    Datatype.UINT32: "I",
    Datatype.UINT64: "Q",
    Datatype.INT8: "b",
    Datatype.INT16: "h",
    Datatype.INT32: "i",
    Datatype.INT64: "q",
    Datatype.FP32: "d",
    Datatype.FP64: "d",
}
"""By type code of `array.array`, which refuses text, null and what is out of range, all of it in C."""

_PACKED: Final[Mapping[Datatype, np.dtype[Any]]] = {
    Datatype.BOOL: np.dtype(np.uint8),
    Datatype.FP32: np.dtype(np.float64),
}
"""What the type code packs, where that is not yet the datatype's own dtype."""

_EXACT: Final = 2**53
"""Up to here a double is an exact integer; past it, the client's digits may be lost before we see them."""

_LARGEST_FP32: Final = float(np.finfo(np.float32).max)

_FEW: Final = 64
"""Elements up to which Python has compared them before numpy begins to."""


def from_list(values: list[Any], datatype: Datatype, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """An array of a tensor's ``data``, flat or nested, in row-major order.

    Numbers may be written as booleans and whole numbers as 1.0; null is NaN, in floating-point datatypes alone. For
    BYTES the shape ``[]`` stands for as many elements as there are, since KServe's clients send it so.

    Args:
        values: the list.
        datatype: the datatype of its elements.
        shape: the shape that the client declares.
        where: the tensor, for messages.

    Raises:
        InvalidInput: the list is ragged, has another number of elements than the shape, or an element is not of the
            datatype; or the datatype has no JSON form (FP16, BF16).
    """
    if datatype in (Datatype.FP16, Datatype.BF16):
        raise errors.InvalidInput(
            f"{where}: {datatype} has no JSON form.", remedy="Send it as binary data, with binary_data_size."
        )
    found = rectangle(values)
    if found is None:
        raise errors.InvalidInput(f"{where}: the nested lists of its data are not of one length")
    flat = found[0]
    if datatype is Datatype.BYTES and not shape:
        shape = (len(flat),)
    count = 1
    for length in shape:
        count *= length
    if len(flat) != count:
        raise errors.InvalidInput(f"{where}: shape {list(shape)} needs {count} elements, and data has {len(flat)}")
    converted = _texts(flat, where) if datatype is Datatype.BYTES else _numbers(flat, datatype, where)
    return converted.reshape(shape)


def from_numbers(numbers: Numbers, datatype: Datatype, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """As `from_list`, of a list that has not been parsed."""
    wide = numbers.array(datatype)
    if wide is not None and wide.size == math.prod(shape):
        if datatype is Datatype.FP32:
            return _narrowed(wide, where).reshape(shape)
        if wide.dtype == datatype.numpy:
            return wide.reshape(shape)
        limits = np.iinfo(datatype.numpy)
        if not wide.size or (wide.min() >= limits.min and wide.max() <= limits.max):
            return wide.astype(datatype.numpy).reshape(shape)
    return from_list(numbers.parsed(), datatype, shape, where)


def rectangle(values: list[Any]) -> tuple[list[Any], tuple[int, ...]] | None:
    """Nested lists as one flat list and their shape; None when they are ragged.

    Raises:
        InvalidInput: they are nested more deeply than a tensor can have dimensions.
    """
    shape: tuple[int, ...] = (len(values),)
    while values and type(values[0]) is list:
        if len(shape) == schema.MAX_DIMENSIONS:
            raise errors.InvalidInput(f"data is nested in more than {schema.MAX_DIMENSIONS} dimensions")
        if len(values) == 1:  # one row, as most requests have
            values = values[0]
            shape = (*shape, len(values))
            continue
        if set(map(type, values)) != {list} or len(set(map(len, values))) != 1:
            return None
        shape = (*shape, len(values[0]))
        values = list(itertools.chain.from_iterable(values))
    return values, shape


def infer(flat: Sequence[Any], where: str) -> tuple[NDArray[Any], Datatype] | None:
    """A flat array of the narrowest of BOOL, INT64, UINT64, FP64 and BYTES that holds all values.

    Returns:
        The array and its datatype; null is NaN among numbers. None when no datatype holds them all.

    Raises:
        InvalidInput: integers are of more than 64 bits, or a text cannot be UTF-8.
    """
    kinds = set(map(type, flat))
    if kinds == {bool}:
        return _numbers(flat, Datatype.BOOL, where), Datatype.BOOL
    if kinds and kinds <= {bool, int}:
        datatype = Datatype.INT64 if max(flat) < 2**63 else Datatype.UINT64
        return _numbers(flat, datatype, where), datatype
    if kinds <= {bool, int, float, type(None)}:
        return _numbers(flat, Datatype.FP64, where), Datatype.FP64
    if kinds <= {str, bytes}:
        return _texts(flat, where), Datatype.BYTES
    return None


def to_texts(tensor: Tensor) -> list[str]:
    """The elements of a BYTES tensor as one flat list of strings.

    Raises:
        InvalidInput: an element is not UTF-8.
        InferenceFailed: an element is not ``bytes``.
    """
    try:
        return [element.decode("utf-8") for element in tensor.data.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise errors.InvalidInput(
            f"tensor {tensor.name!r} has an element that is not UTF-8 text, and JSON cannot carry it.",
            remedy='Ask for it as binary data by the V2 protocol: parameters {"binary_data": true}.',
        ) from error
    except AttributeError as error:
        raise errors.InferenceFailed(
            f"tensor {tensor.name!r} is BYTES and has an element that is not bytes; make it with Tensor.from_numpy"
        ) from error


def objects(elements: Sequence[object]) -> NDArray[Any]:
    """A flat object array of these elements, whatever they are."""
    made = np.empty(len(elements), dtype=object)
    made[:] = elements
    return made


def _texts(flat: Sequence[Any], where: str) -> NDArray[Any]:
    try:
        return objects([element if type(element) is bytes else element.encode("utf-8") for element in flat])
    except UnicodeEncodeError as error:
        raise errors.InvalidInput(f"{where}: an element has a lone surrogate and cannot be UTF-8") from error
    except AttributeError:
        index = next(index for index, element in enumerate(flat) if type(element) not in (str, bytes))
        raise _unfit(flat[index], index, "a string, as BYTES elements are", where) from None


def _numbers(flat: Sequence[Any], datatype: Datatype, where: str) -> NDArray[Any]:
    if not flat:
        return np.empty(0, dtype=datatype.numpy)
    code = _TYPECODES[datatype]
    if datatype is Datatype.FP32 and len(flat) <= _FEW and _is_in_range(flat):
        return np.frombuffer(array.array("f", flat), dtype=np.float32)
    try:
        packed = array.array(code, flat)
    except (TypeError, OverflowError):
        exact = _floats(flat, datatype, where) if code == "d" else _integers(flat, datatype, where)
        packed = array.array(code, exact)
    numbers: NDArray[Any] = np.frombuffer(packed, dtype=_PACKED.get(datatype, datatype.numpy))
    if datatype is Datatype.BOOL:
        if numbers.max() > 1:
            index = int(numbers.argmax())
            raise _unfit(flat[index], index, "true, false, 0 or 1", where)
        return numbers.view(np.bool_)
    return _narrowed(numbers, where) if datatype is Datatype.FP32 else numbers


def _is_in_range(flat: Sequence[Any]) -> bool:
    """Whether these are numbers that FP32 holds; False for what takes a closer look, as NaN in front does."""
    try:
        return bool(min(flat) >= -_LARGEST_FP32 and max(flat) <= _LARGEST_FP32)
    except TypeError:
        return False


def _narrowed(doubles: NDArray[Any], where: str) -> NDArray[Any]:
    """Doubles as FP32, refusing those that only overflow would make infinite."""
    with np.errstate(over="ignore"):
        narrow = doubles.astype(np.float32)
    overflown = np.isinf(narrow)
    if overflown.any():
        overflown &= np.isfinite(doubles)
        if overflown.any():
            index = int(overflown.argmax())
            raise _unfit(float(doubles[index]), index, "in the range of FP32", where)
    return narrow


def _floats(flat: Sequence[Any], datatype: Datatype, where: str) -> Iterator[float]:
    for index, element in enumerate(flat):
        if element is None:
            yield float("nan")
        elif isinstance(element, int | float | np.number):
            try:
                yield float(element)
            except OverflowError:
                raise _unfit(element, index, f"in the range of {datatype}", where) from None
        else:
            raise _unfit(element, index, "a number", where)


def _integers(flat: Sequence[Any], datatype: Datatype, where: str) -> Iterator[int]:
    limits = np.iinfo(_TYPECODES[datatype])
    for index, element in enumerate(flat):
        whole = isinstance(element, float) and element.is_integer() and abs(element) <= _EXACT
        if not (whole or isinstance(element, int | np.integer)):
            raise _unfit(element, index, f"a whole number of {datatype}", where)
        number = int(element)
        if not limits.min <= number <= limits.max:
            raise _unfit(element, index, f"in the range of {datatype}", where)
        yield number


def _unfit(element: object, index: int, wanted: str, where: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"{where}: element {index} of its data, {reprlib.repr(element)}, is not {wanted}")
