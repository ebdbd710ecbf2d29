"""The checks by which a JSON document is read, each naming the place of what is wrong.

The words in ``kind`` are those that KServe's answers to a schema mistake use, so that a client which looks at them
finds them here.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

from fairlead import errors
from fairlead.contracts.tensors import Datatype, Parameter

__all__ = [
    "MAX_DIMENSIONS",
    "Location",
    "datatype",
    "flag",
    "items",
    "members",
    "optional_text",
    "parameters",
    "required",
    "shape",
    "text",
]

Location: TypeAlias = "tuple[str | int, ...]"
"""The path to a place in a document, outermost first."""

MAX_DIMENSIONS: Final = 32
"""The most dimensions that a tensor may have: what every supported numpy can hold."""

_DATATYPES: Final = {datatype.value: datatype for datatype in Datatype}
_MAX_BYTES: Final = 2**63 - 1
_LARGEST_ITEM: Final = 8
_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**64 - 1


def required(document: dict[str, Any], key: str, location: Location) -> Any:
    """The member of that name.

    Raises:
        InvalidSchema: there is none.
    """
    try:
        return document[key]
    except KeyError:
        raise errors.InvalidSchema("Field required", location=(*location, key), kind="missing") from None


def members(value: object, location: Location) -> dict[str, Any]:
    """An object.

    Raises:
        InvalidSchema: it is something else.
    """
    if not isinstance(value, dict):
        raise errors.InvalidSchema("Input should be an object", location=location, kind="dict_type")
    return value


def items(value: object, location: Location) -> list[Any]:
    """A list.

    Raises:
        InvalidSchema: it is something else.
    """
    if not isinstance(value, list):
        raise errors.InvalidSchema("Input should be a list", location=location, kind="list_type")
    return value


def text(value: object, location: Location) -> str:
    """A string.

    Raises:
        InvalidSchema: it is something else.
    """
    if not isinstance(value, str):
        raise errors.InvalidSchema("Input should be a string", location=location, kind="string_type")
    return value


def optional_text(document: dict[str, Any], key: str, location: Location) -> str | None:
    """The string of that name; None where it is absent or null.

    Raises:
        InvalidSchema: it is something else.
    """
    value = document.get(key)
    return None if value is None else text(value, (*location, key))


def parameters(document: dict[str, Any], location: Location) -> dict[str, Parameter]:
    """The member ``parameters``; absent or null is empty.

    Raises:
        InvalidSchema: it is no object, or a value is not a boolean, a number or a string.
    """
    value = document.get("parameters")
    if value is None:
        return {}
    location = (*location, "parameters")
    found = members(value, location)
    for name, parameter in found.items():
        if not isinstance(parameter, bool | int | float | str):
            raise errors.InvalidSchema(
                "Input should be a boolean, a number or a string", location=(*location, name), kind="parameter_type"
            )
        if isinstance(parameter, int) and not _MIN_INTEGER <= parameter <= _MAX_INTEGER:
            raise errors.InvalidSchema(
                "Input should be an integer of at most 64 bits", location=(*location, name), kind="int_parsing_size"
            )
        if isinstance(parameter, float) and not math.isfinite(parameter):
            raise errors.InvalidSchema(
                "Input should be a finite number", location=(*location, name), kind="finite_number"
            )
    return found


def flag(values: dict[str, Parameter], name: str, location: Location) -> bool | None:
    """A parameter that is a boolean; None where it is absent.

    Raises:
        InvalidSchema: it is something else.
    """
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise errors.InvalidSchema(
        "Input should be true or false", location=(*location, "parameters", name), kind="bool_type"
    )


def datatype(value: object, location: Location) -> Datatype:
    """A datatype, in either case.

    Raises:
        InvalidSchema: it is no string.
        InvalidInput: it is none of the protocol's.
    """
    name = text(value, location)
    found = _DATATYPES.get(name)
    if found is not None:
        return found
    try:
        return Datatype(name.upper())
    except ValueError:
        known = ", ".join(Datatype)
        raise errors.InvalidInput(
            f"{'.'.join(map(str, location))}: {name[:40]!r} is not a datatype.", remedy=f"Use one of {known}."
        ) from None


def shape(value: object, location: Location) -> tuple[int, ...]:
    """The dimensions of a tensor that this machine can address.

    Raises:
        InvalidSchema: it is not a list of integers.
        InvalidInput: a dimension is negative, there are too many, or their product is too large.
    """
    listed = items(value, location)
    if len(listed) > MAX_DIMENSIONS:
        raise errors.InvalidInput(f"{_at(location)}: {len(listed)} dimensions are more than {MAX_DIMENSIONS}")
    dimensions = tuple(
        [
            length if type(length) is int else _dimension(length, (*location, place))
            for place, length in enumerate(listed)
        ]
    )
    size = _LARGEST_ITEM
    for length in dimensions:
        if length < 0:
            raise errors.InvalidInput(f"{_at(location)}: {list(dimensions)} has a negative dimension")
        size *= length or 1
    if size > _MAX_BYTES:
        raise errors.InvalidInput(f"{_at(location)}: {list(dimensions)} has more elements than can be addressed")
    return dimensions


def _at(location: Location) -> str:
    return ".".join(map(str, location))


def _dimension(length: object, location: Location) -> int:
    if type(length) is float and length.is_integer():
        return int(length)
    raise errors.InvalidSchema("Input should be a valid integer", location=location, kind="int_type")
