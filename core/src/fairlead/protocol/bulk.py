"""Long flat lists of numbers in a JSON document, read into an array without a Python object for each number.

The document is parsed without these lists, which are left as the text that they are until somebody knows which numbers
they are to hold. Nothing depends on it: a document that is not as simple as that is parsed as a whole, and a list that
does not become an array at once is parsed like any other, so that every mistake is told in the same words.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype
from fairlead.protocol import documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Numbers", "load"]

_LONG: Final = 16 * 1024
"""Bytes from which on a list is worth it."""

_DATA: Final = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_MARK: Final = f"numbers-{os.urandom(16).hex()}-"
"""Stands for a list in the document that is parsed; not a client's to know."""

_WIDE: Final[Mapping[Datatype, Literal["u", "i", "d"]]] = {
    Datatype.UINT8: "u",
    Datatype.UINT16: "u",
    Datatype.UINT32: "u",
    Datatype.UINT64: "u",
    Datatype.INT8: "i",
    Datatype.INT16: "i",
    Datatype.INT32: "i",
    Datatype.INT64: "i",
    Datatype.FP32: "d",
    Datatype.FP64: "d",
}
"""The 64-bit type that a list of this datatype is read as."""

_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "u": np.dtype(np.uint64),
    "i": np.dtype(np.int64),
    "d": np.dtype(np.float64),
}


class Numbers:
    """A flat list as the text that it is in a document: no strings in it, and no lists.

    Args:
        text: the list, brackets included.
        document: the document that it is a part of.
    """

    __slots__ = ("_document", "_text")

    def __init__(self, text: memoryview, document: bytes) -> None:
        self._text = text
        self._document = document

    def parsed(self) -> Any:
        """The list, as if it had been parsed with its document.

        Raises:
            InvalidInput: it is no JSON.
        """
        try:
            return documents.load_with_nan(self._text)
        except errors.InvalidInput:
            documents.load_with_nan(self._document)  # the same mistake, with its place in the whole
            raise

    def array(self, datatype: Datatype) -> NDArray[Any] | None:
        """The numbers in 64 bits each: doubles, or integers with or without a sign; None when they are not as simple.

        Args:
            datatype: what they are to become.
        """
        kind = _WIDE.get(datatype)
        if kind is None:
            return None
        import simdjson

        try:
            packed = simdjson.Parser().parse(self._text).as_buffer(of_type=kind)  # type: ignore[union-attr]  # a list
        except (TypeError, ValueError, RuntimeError):  # the last for integers of more than 64 bits
            return None
        return np.frombuffer(packed, dtype=_DTYPES[kind])


def load(text: bytes) -> Any:
    """Parse a document; the long flat lists of numbers named ``data`` in its tensors become `Numbers`.

    Raises:
        InvalidInput: as `fairlead.protocol.documents.load_with_nan`.
    """
    pieces, lists = _cut(text)
    if lists:
        document = documents.load_with_nan(b"".join(pieces))
        if _fill(document, lists, text):
            return document
    return documents.load_with_nan(text)


def _cut(text: bytes) -> tuple[list[bytes], list[memoryview]]:
    """The document with a mark in place of each long list, in pieces, and the lists, which are views of it."""
    pieces: list[bytes] = []
    lists: list[memoryview] = []
    position = searched = 0
    while (found := _DATA.search(text, searched)) is not None:
        start = searched = found.end()
        end = text.find(b"]", start) + 1
        if end - start < _LONG:
            continue
        if text.find(b"[", start + 1, end) < 0 and text.find(b'"', start, end) < 0:
            pieces += (text[position:start], b'"%s%d"' % (_MARK.encode(), len(lists)))
            lists.append(memoryview(text)[start:end])
            position = searched = end
    pieces.append(text[position:])
    return pieces, lists


def _fill(document: Any, lists: list[memoryview], text: bytes) -> bool:
    """Put the lists where their marks are; whether each has found its place, once, as the data of a tensor."""
    left = {f"{_MARK}{place}": numbers for place, numbers in enumerate(lists)}
    if not isinstance(document, dict):
        return False
    for key in ("inputs", "outputs"):
        tensors = document.get(key)
        for tensor in tensors if isinstance(tensors, list) else ():
            if isinstance(tensor, dict) and isinstance(mark := tensor.get("data"), str) and mark in left:
                tensor["data"] = Numbers(left.pop(mark), text)
    return not left
