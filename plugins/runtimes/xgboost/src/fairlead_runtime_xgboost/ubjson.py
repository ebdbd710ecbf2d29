"""Checking a file in UBJSON before XGBoost reads it.

XGBoost's reader of UBJSON trusts the lengths that a file gives, and a damaged file can end the process. So the
structure is walked first (https://ubjson.org), and what it says of trees is looked at as well.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from fairlead_runtime_xgboost.trees import Trees

__all__ = ["check"]

_INTEGERS: Final = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q"}
_SIZES: Final = {"i": 1, "U": 1, "I": 2, "l": 4, "L": 8, "d": 4, "D": 8, "C": 1, "Z": 0, "N": 0, "T": 0, "F": 0}
_DTYPES: Final = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_DEEPEST: Final = 32
"""Models of XGBoost have a depth of nine."""


def check(content: bytes | bytearray) -> None:
    """See that this is one whole value of UBJSON, and that the nodes of its trees lead to nodes.

    Args:
        content: the file.

    Raises:
        ValueError: it is not; the text says where.
    """
    _Walk(content).whole()


class _Walk:
    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content
        self._place = 0
        self._trees = Trees()

    def whole(self) -> None:
        found = self._value(self._marker(), 0)
        if self._place != len(self._content):
            raise ValueError(f"the model ends at byte {self._place}, and the file has {len(self._content)}")
        self._trees.whole(found)

    def _take(self, count: int) -> memoryview:
        start, end = self._place, self._place + count
        if count < 0 or end > len(self._content):
            raise ValueError(f"byte {start} asks for {count} more bytes than the file of {len(self._content)} has")
        self._place = end
        return memoryview(self._content)[start:end]

    def _marker(self) -> str:
        return chr(self._take(1)[0])

    def _length(self) -> int:
        marker = self._marker()
        if marker not in _INTEGERS:
            raise ValueError(f"byte {self._place - 1} is no length")
        length: int = struct.unpack(_INTEGERS[marker], self._take(_SIZES[marker]))[0]
        return length

    def _value(self, marker: str, depth: int) -> Any:
        """Step over a value; returns it where trees need it: an object, an array, a whole number, a text."""
        if depth > _DEEPEST:
            raise ValueError(f"byte {self._place} is nested deeper than any model")
        match marker:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case "S" | "H":
                return bytes(self._take(self._length()))
            case _ if marker in _INTEGERS:
                return struct.unpack(_INTEGERS[marker], self._take(_SIZES[marker]))[0]
            case _ if marker in _SIZES:
                self._take(_SIZES[marker])
                return None
        raise ValueError(f"byte {self._place - 1} begins no value")

    def _object(self, depth: int) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        while self._content[self._place : self._place + 1] != b"}":
            key = bytes(self._take(self._length())).decode("latin-1")
            found[key] = self._value(self._marker(), depth + 1)
        self._take(1)
        return self._trees.seen(found)

    def _array(self, depth: int) -> Any:
        kind, count = None, None
        if self._peek() == b"$":
            self._take(1)
            kind = self._marker()
        if self._peek() == b"#":
            self._take(1)
            count = self._length()
        if kind is not None:
            if kind not in _DTYPES or count is None:
                raise ValueError(f"byte {self._place} begins no array")
            return np.frombuffer(self._take(count * _SIZES[kind]), _DTYPES[kind])
        if count is not None:
            return [self._value(self._marker(), depth + 1) for _ in range(count)]
        values = []
        while self._peek() != b"]":
            values.append(self._value(self._marker(), depth + 1))
        self._take(1)
        return values

    def _peek(self) -> bytes:
        return bytes(self._content[self._place : self._place + 1])
