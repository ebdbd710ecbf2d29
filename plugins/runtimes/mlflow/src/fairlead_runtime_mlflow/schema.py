"""The signature of an MLflow model: columns or tensors that go in, and the parameters of a request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fairlead import Datatype, InferRequest, TensorSpec, errors

__all__ = ["ISO_TEXT", "JSON_TEXT", "Column", "Parameters", "columns", "is_tensors", "tensors"]

ISO_TEXT: Final = "datetime"
JSON_TEXT: Final = "json"

_COLUMNS: Final[Mapping[str, Datatype]] = {
    "boolean": Datatype.BOOL,
    "integer": Datatype.INT32,
    "long": Datatype.INT64,
    "float": Datatype.FP32,
    "double": Datatype.FP64,
    "string": Datatype.BYTES,
    "binary": Datatype.BYTES,
    "datetime": Datatype.BYTES,
}
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "datetime": (str,),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name; ``input-0``, ``input-1``, ... for one without.
        kind: its type as MLflow names it; `JSON_TEXT` for arrays, objects and whatever else is no plain value.
        required: whether a request must hold it.
    """

    name: str
    kind: str
    required: bool = True

    @property
    def datatype(self) -> Datatype:
        """The datatype of a tensor that holds it; dates are ISO 8601 text, and nested values are JSON text."""
        return _COLUMNS.get(self.kind, Datatype.BYTES)

    @property
    def spec(self) -> TensorSpec:
        """What metadata says of it."""
        return TensorSpec(self.name, self.datatype, (-1,))


def is_tensors(inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a schema is one of tensors, and not of columns."""
    return any(each.get("type") == "tensor" for each in inputs)


def columns(inputs: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns of a schema.

    Raises:
        ModelLoadError: it cannot be read.
    """
    return tuple(
        Column(
            name=str(each.get("name", f"input-{place}")),
            kind=kind if (kind := str(each.get("type"))) in _COLUMNS else JSON_TEXT,
            required=bool(each.get("required", not each.get("optional", False))),
        )
        for place, each in enumerate(inputs)
    )


def tensors(inputs: Sequence[Mapping[str, Any]]) -> tuple[tuple[TensorSpec, np.dtype[Any]], ...]:
    """The tensors of a schema, each with the dtype that the model takes.

    Raises:
        ModelLoadError: it cannot be read.
    """
    found = []
    for place, each in enumerate(inputs):
        try:
            dtype = np.dtype(each["tensor-spec"]["dtype"])
            shape = tuple(int(length) for length in each["tensor-spec"]["shape"])
            found.append((TensorSpec(each.get("name", f"input-{place}"), Datatype.from_numpy(dtype), shape), dtype))
        except (KeyError, TypeError, ValueError, errors.InvalidInput) as error:
            raise errors.ModelLoadError(
                f"The signature of the MLflow model has a tensor that cannot be served: {each} ({error}).",
                remedy="Save the model again with a signature that 'mlflow.models.infer_signature' makes.",
            ) from error
    return tuple(found)


class Parameters:
    """The parameters of a signature, which a request gives among its own.

    Args:
        params: the member ``params`` of the signature.
    """

    def __init__(self, params: Sequence[Mapping[str, Any]]) -> None:
        self._params = {str(each["name"]): each for each in params if "name" in each}

    def __bool__(self) -> bool:
        return bool(self._params)

    def read(self, request: InferRequest) -> dict[str, Any]:
        """The parameters of a request that the signature has; lists and objects are given as JSON text.

        MLflow fills in the defaults. Parameters that the signature does not have are meant for somebody else.

        Raises:
            InvalidInput: one has another type.
        """
        return {
            name: _value(name, self._params[name], value)
            for name, value in request.parameters.items()
            if name in self._params
        }


def _value(name: str, declared: Mapping[str, Any], value: object) -> Any:
    kind, is_list = str(declared.get("type")), declared.get("shape") is not None
    types = _SCALARS.get(kind)
    if is_list or types is None:
        try:
            decoded = json.loads(value) if isinstance(value, str) else None
        except ValueError:
            decoded = None
        if not isinstance(decoded, list if is_list else (list, dict)):
            form = f"a list of {kind}" if is_list else kind
            raise errors.InvalidInput(f"The parameter {name!r} takes {form} as JSON text; got {value!r}.")
        return decoded
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise errors.InvalidInput(f"The parameter {name!r} takes a value of type {kind}; got {value!r}.")
    return float(value) if kind in ("float", "double") else value  # type: ignore[arg-type]  # an int or a float
