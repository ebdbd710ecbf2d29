"""The types of single values: how each is checked, and what a CustomResourceDefinition says of it.

None converts what it is given, so that a document comes back as it was written.
"""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

import pydantic_core
from pydantic import Field, PlainValidator, Strict, WithJsonSchema

__all__ = [
    "Flag",
    "Int32",
    "Int64",
    "NonEmpty",
    "Percent",
    "Plain",
    "Quantity",
    "ScaleMetric",
    "TargetType",
    "Texts",
]

_QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_IS_QUANTITY: Final = re.compile(_QUANTITY.removesuffix("$"))

Plain: TypeAlias = dict[str, Any]
"""An object of Kubernetes' own API (a container, a volume, an affinity ...): passed through as it is."""

Texts: TypeAlias = dict[str, str]
"""A map of texts, such as labels."""

Flag = Annotated[bool, Strict()]
"""True or false."""

NonEmpty = Annotated[str, Field(min_length=1)]
"""A text with at least one character."""

Int32 = Annotated[
    int, Strict(), Field(ge=-(2**31), le=2**31 - 1), WithJsonSchema({"type": "integer", "format": "int32"})
]
"""A whole number of 32 bits."""

Int64 = Annotated[
    int, Strict(), Field(ge=-(2**63), le=2**63 - 1), WithJsonSchema({"type": "integer", "format": "int64"})
]
"""A whole number of 64 bits."""

Percent = Annotated[
    int,
    Strict(),
    Field(ge=0, le=100),
    WithJsonSchema({"type": "integer", "format": "int32", "minimum": 0, "maximum": 100}),
]
"""A whole number from 0 to 100."""

ScaleMetric = Literal["cpu", "memory", "concurrency", "rps"]
"""What ``scaleTarget`` counts."""

TargetType = Literal["Utilization", "Value", "AverageValue"]
"""How the target of a metric is meant."""


def _checked_quantity(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _IS_QUANTITY.fullmatch(value):
        return value
    raise pydantic_core.PydanticCustomError("quantity", "a quantity such as 500m, 2Gi or 3")


Quantity = Annotated[
    int | str,
    PlainValidator(_checked_quantity),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY,
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""An amount as Kubernetes writes it; the text that was given is kept."""
