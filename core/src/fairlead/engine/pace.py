"""How long the calls of a model take, so that short ones need no thread of their own.

Handing a call to another thread and the answer back costs more than many a model computes. A model that may be called
in any thread is therefore called where the request is, as long as its calls of that size are known to be short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest

__all__ = ["Pace", "size_of"]

_SHORT: Final = 0.001
"""Seconds that a call may hold the event loop: probes and other models wait for as long."""

_WEIGHT: Final = 0.2
"""Of the newest call in the running mean: a pause of the machine is forgotten after a few calls."""

_OBJECT: Final = 64
"""Bytes for which one element counts that is an object and tells no size: text and binary data."""


class Pace:
    """The running mean of the seconds of a call, for each power of two of bytes of input.

    Only one call runs at a time, so nothing here is locked.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def is_short(self, size: int) -> bool:
        """Whether a call of so many bytes is known to be short; the first of its size never is."""
        return self._seconds.get(size.bit_length(), _SHORT) < _SHORT

    def record(self, size: int, seconds: float) -> None:
        """Take a call into account."""
        bits = size.bit_length()
        before = self._seconds.get(bits, seconds)
        self._seconds[bits] = before + _WEIGHT * (seconds - before)


def size_of(requests: Sequence[InferRequest]) -> int:
    """The bytes of all inputs, as far as they tell."""
    return sum(
        tensor.data.size * _OBJECT if tensor.data.dtype.hasobject else tensor.data.nbytes
        for request in requests
        for tensor in request.inputs
    )
