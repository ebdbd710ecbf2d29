"""Plain scalars of YAML, read as Kubernetes' tools read them (YAML 1.1, with JSON's types and no others).

A date is a text. Sexagesimal numbers are texts too, so that ``12:30`` stays what it is. Errors do not repeat what they
are about, which may be secret.
"""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["Scalar", "resolved", "tagged"]

_STANDARD: Final = "tag:yaml.org,2002:"

Scalar = str | int | float | bool | None

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGERS: Final = (
    (re.compile(r"[-+]?0b[01_]+"), 2),
    (re.compile(r"[-+]?0o?[0-7_]+"), 8),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), 16),
    (re.compile(r"[-+]?(?:0|[1-9][0-9_]*)"), 10),
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS: Final = 64


def resolved(text: str) -> Scalar:
    """The value of a scalar without quotes and without a tag.

    Raises:
        ValueError: it is a number that JSON cannot hold.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in "+-.0123456789":
        return text
    for pattern, radix in _INTEGERS:
        if pattern.fullmatch(text):
            return _integer(text, radix)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
        raise ValueError("it is too large for a number")
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no number that JSON has")
    return text


def tagged(text: str, tag: str) -> Scalar:
    """The value of a scalar with a tag.

    Raises:
        ValueError: the tag is not one of JSON's types, or the text is nothing of that type.
    """
    short = tag.removeprefix(_STANDARD)
    if short == "str":
        return text
    types = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(short)
    if types is None or not tag.startswith(_STANDARD):
        raise ValueError(f"the tag {tag} is not allowed")
    value = resolved(text)
    if types is float and type(value) is int:
        return float(value)
    if type(value) is not types:
        raise ValueError(f"it is not of the type !!{short}")
    return value


def _integer(text: str, radix: int) -> Scalar:
    digits = text.replace("_", "")
    if len(digits) > _MOST_DIGITS:
        raise ValueError("it is too large for a number")
    try:
        return int(digits, 0 if radix != 8 else 8)
    except ValueError:  # a prefix with no digit behind it
        return text
