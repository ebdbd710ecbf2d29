"""How long the calls of a model take, so that short ones need no thread of their own.

Handing a call to another thread and the answer back costs more than many a model computes. A model that may be called
in any thread is therefore called where the request is, as long as its calls of that size are known to be short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead.contracts.tensors import InferRequest

__all__ = ["Pace", "size_of"]

_SHORT: Final = 0.001
"""Seconds that a call may hold the event loop: probes and other models wait for as long."""

_WEIGHT: Final = 0.2
"""Of the newest call in the running mean: a pause of the machine is forgotten after a few calls."""

_OBJECT: Final = 64
"""Bytes for which one element counts that is an object, beside the text or the binary data that it is."""

_UNKNOWN: Final = -1
"""The size of a document: how long a model takes for one cannot be told from its bytes."""


class Pace:
    """The running mean of the seconds of a call, for each power of two of bytes of input.

    Only one call runs at a time, so nothing here is locked.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def is_short(self, size: int) -> bool:
        """Whether a call of so many bytes is known to be short; the first of its size never is."""
        return size != _UNKNOWN and self._seconds.get(size.bit_length(), _SHORT) < _SHORT

    def record(self, size: int, seconds: float) -> None:
        """Take a call into account."""
        if size == _UNKNOWN:
            return
        bits = size.bit_length()
        before = self._seconds.get(bits, seconds)
        self._seconds[bits] = before + _WEIGHT * (seconds - before)


def size_of(requests: Sequence[InferRequest]) -> int:
    """The bytes of all inputs; below 0 when one of the requests is a document."""
    size = 0
    for request in requests:
        if request.payload is not None:
            return _UNKNOWN
        for tensor in request.inputs:
            size += _of_objects(tensor.data) if tensor.data.dtype.hasobject else tensor.data.nbytes
    return size


def _of_objects(array: NDArray[Any]) -> int:
    elements = array.ravel().tolist()
    return _OBJECT * len(elements) + sum(len(each) for each in elements if isinstance(each, bytes | str))
