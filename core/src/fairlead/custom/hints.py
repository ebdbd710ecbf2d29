"""Which value an annotation asks for."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest
from fairlead.custom import values

if TYPE_CHECKING:
    from fairlead.custom.hooks import Hook

__all__ = ["SUPPORTED", "taker_for"]

SUPPORTED: Final = (
    "InferRequest",
    "np.ndarray",
    "NDArray[<dtype>]",
    "dict[str, np.ndarray]",
    "list[str]",
    "list[bytes]",
    "pd.DataFrame",
    "dict",
    "dict[str, Any]",
    "list",
    "list[Any]",
    "bytes",
    "str",
    "Any",
)
"""The annotations that are understood, as an author writes them."""

_MAPPINGS: Final = (dict, Mapping)
_SEQUENCES: Final = (list, Sequence)


def taker_for(hook: Hook) -> values.Taker:
    """What turns a request into the value that this hook is annotated to take.

    Raises:
        ModelLoadError: the annotation is not one of `SUPPORTED`.
    """
    taker = _taker(hook.annotation)
    if taker is None:
        raise errors.ModelLoadError(
            f"{hook.name} takes {inspect.formatannotation(hook.annotation)}, which no request can be turned into "
            f"({hook.place}).",
            remedy=f"Annotate its value with one of: {', '.join(SUPPORTED)}.",
        )
    return taker


def _taker(annotation: Any) -> values.Taker | None:
    if annotation in (Any, object, InferRequest):
        return values.Request()
    if annotation in (bytes, str):
        return values.Body(text=annotation is str)
    if _is_frame(annotation):
        return values.Frame()
    found, scalar = _array_scalar(annotation)
    if found:
        return values.Array(scalar)
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in _MAPPINGS:
        return _mapping(arguments)
    if origin in _SEQUENCES:
        return values.Elements(text=arguments[0] is str) if arguments in ((str,), (bytes,)) else _json(list, arguments)
    return values.Json(dict) if typing.is_typeddict(origin) else None


def _mapping(arguments: tuple[Any, ...]) -> values.Taker | None:
    if not arguments:
        return values.Json(dict)
    if arguments[0] is not str:
        return None
    found, scalar = _array_scalar(arguments[1])
    return values.Arrays(scalar) if found else _json(dict, arguments[1:])


def _json(kind: type[Any], items: tuple[Any, ...]) -> values.Json | None:
    """JSON, when what it holds is annotated as JSON as well."""
    return values.Json(kind) if all(_is_json(item) for item in items) else None


def _is_json(annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType, list, Sequence):
        return all(_is_json(argument) for argument in arguments)
    if origin in _MAPPINGS:
        return not arguments or (arguments[0] is str and _is_json(arguments[1]))
    return origin in (Any, object, str, int, float, bool, type(None)) or typing.is_typeddict(origin)


def _is_frame(annotation: Any) -> bool:
    """Whether this is ``pandas.DataFrame``; pandas is not imported to find out."""
    home = getattr(annotation, "__module__", "").partition(".")[0]
    return isinstance(annotation, type) and (home, annotation.__name__) == ("pandas", "DataFrame")


def _array_scalar(annotation: Any) -> tuple[bool, type[np.generic] | None]:
    """Whether this is a numpy array, and the scalar type that it is said to hold.

    ``NDArray[np.float32]`` is ``np.ndarray[<shape>, np.dtype[np.float32]]``.
    """
    if annotation is np.ndarray:
        return True, None
    if typing.get_origin(annotation) is not np.ndarray:
        return False, None
    dtype = typing.get_args(annotation)[-1]
    scalar = (typing.get_args(dtype) or (Any,))[0]
    scalar = typing.get_origin(scalar) or scalar  # np.floating[Any]
    if scalar is Any or isinstance(scalar, typing.TypeVar):
        return True, None
    return _is_carried(scalar), scalar


def _is_carried(scalar: Any) -> bool:
    """Whether a tensor datatype carries arrays of this scalar type, or of some that it stands for."""
    if scalar in values.ABSTRACT or scalar is np.str_:
        return True
    if not (isinstance(scalar, type) and issubclass(scalar, np.generic)):
        return False
    try:
        return Datatype.from_numpy(np.dtype(scalar)) is not Datatype.BYTES or scalar is np.object_
    except errors.InvalidInput:
        return False
