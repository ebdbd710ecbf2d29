"""Inputs as a user declares them, for models whose files do not tell."""

from __future__ import annotations

import re
from typing import Final

from fairlead import Datatype, TensorSpec, errors

__all__ = ["parse"]

_INPUT: Final = re.compile(r"\s*(?P<name>[^\s:;,\[\]]+):(?P<datatype>\w+)\[(?P<shape>[-\d,\s]*)\]\s*(?:[;,]|$)")
_EXAMPLE: Final = "x:FP32[-1,3,224,224];mask:BOOL[-1]"


def parse(text: str) -> tuple[TensorSpec, ...]:
    """Read inputs from text such as ``x:FP32[-1,3,224,224];mask:BOOL[-1]``; -1 stands for any length.

    Raises:
        ConfigurationError: it has another form, or names a datatype that there is not.
    """
    found: list[TensorSpec] = []
    place = 0
    while text[place:].strip():
        match = _INPUT.match(text, place)
        if match is None:
            raise errors.ConfigurationError(
                f"setting inputs: {text[place:]!r} is not name:DATATYPE[shape].", remedy=f"Write them as {_EXAMPLE}."
            )
        found.append(TensorSpec(match["name"], _datatype(match["datatype"]), _shape(match["shape"])))
        place = match.end()
    names = [spec.name for spec in found]
    if len(set(names)) < len(names):
        raise errors.ConfigurationError(f"setting inputs: a name is there twice: {', '.join(names)}.")
    return tuple(found)


def _datatype(word: str) -> Datatype:
    known = [each for each in Datatype if each is not Datatype.BYTES]
    if word in known:
        return Datatype(word)
    raise errors.ConfigurationError(
        f"setting inputs: {word} is no datatype that a module of PyTorch takes.",
        remedy=f"Use one of these: {', '.join(known)}.",
    )


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(length) for length in text.split(",")) if text.strip() else ()
    except ValueError as error:
        raise errors.ConfigurationError(f"setting inputs: [{text}] is not a shape.") from error
    if any(length < -1 for length in shape):
        raise errors.ConfigurationError(f"setting inputs: [{text}] has a negative length; -1 stands for any.")
    return shape
