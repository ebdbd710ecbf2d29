"""JSON documents to and from bytes, with every failure as an error of the request."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

import numpy as np
import orjson

from fairlead import errors

__all__ = ["Body", "dump", "load", "load_with_nan"]

Body: TypeAlias = "bytes | bytearray | memoryview"
"""A received body, or a part of one."""

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def load(body: Body) -> Any:
    """Parse a document as RFC 8259 writes it; of a repeated key the last value counts.

    Raises:
        InvalidInput: it is not UTF-8, not JSON, nested too deeply, or has a number that no double can hold.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidInput(f"Unrecognized request format: {error}") from error


def load_with_nan(body: Body) -> Any:
    """Parse a document in which the literals NaN, Infinity and -Infinity may stand for numbers.

    Only a document that has these words and is not JSON without them is read a second time, by the slower parser of
    the standard library, which knows them.

    Raises:
        InvalidInput: as `load`.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raw = bytes(body)
        if b"NaN" not in raw and b"Infinity" not in raw:
            raise errors.InvalidInput(f"Unrecognized request format: {error}") from error
    try:
        document = json.loads(raw.decode("utf-8"))
        if b"\\u" in raw:
            # The standard library lets lone surrogates through, which no answer could carry back.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise errors.InvalidInput("Unrecognized request format: the document is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise errors.InvalidInput("Unrecognized request format: a string has a lone surrogate") from error
    except ValueError as error:
        raise errors.InvalidInput(f"Unrecognized request format: {error}") from error
    return document


def dump(document: Any) -> bytes:
    """Write a document without spaces; arrays become lists, NaN and infinities null, dates ISO 8601.

    Raises:
        InferenceFailed: it holds something that JSON cannot.
    """
    try:
        return orjson.dumps(document, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise errors.InferenceFailed(f"the message cannot be written as JSON: {error}") from error


def _plain(value: object) -> Any:
    """What orjson does not know by itself: arrays that are not contiguous or hold objects, and sets of values."""
    match value:
        case np.ndarray():
            return value.tolist()
        case np.generic():
            return value.item()
        case bytes():
            return value.decode("utf-8")
        case set() | frozenset():
            return list(value)
        case _:
            raise TypeError(f"values of type {type(value).__name__}")
