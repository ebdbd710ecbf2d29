"""What a hook returned, as the answer to the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Tensor, TensorSpec
from fairlead.custom import frames, specs

if TYPE_CHECKING:
    from fairlead.custom.hooks import Hook

__all__ = ["ask", "respond"]

_OUTPUT = "output-0"
"""The name of an output that has none, as KServe's own runtimes call it."""
_INPUT = "input-0"
"""The same of an input of a predictor."""


def respond(result: Any, hook: Hook, request: InferRequest, declared: Sequence[TensorSpec]) -> InferResponse:
    """The answer that a hook's result stands for.

    Args:
        result: what the last hook returned.
        hook: that hook, for messages.
        request: what is answered.
        declared: the outputs that the author declared; empty for none.

    Raises:
        InferenceFailed: it stands for none, or is not what was declared.
    """
    if isinstance(result, InferResponse):
        return result
    try:
        outputs = _tensors(result, bool(declared), declared[0].name if len(declared) == 1 else _OUTPUT)
        if declared:
            if outputs is None:
                raise ValueError(f"tensors are declared, and it returned a {type(result).__name__}")
            outputs = specs.conform(outputs, declared)
        payload = _payload(result) if outputs is None else None
    except (ValueError, errors.InvalidInput) as error:
        raise errors.InferenceFailed(f"{hook.name} returned no valid answer ({hook.place}): {error}.") from error
    return InferResponse(model_name=request.model_name, id=request.id, outputs=outputs or (), payload=payload)


def ask(result: Any, hook: Hook, request: InferRequest) -> InferRequest:
    """The request to a predictor that a hook's result stands for.

    It goes to the model of the same name, with the id and the parameters of the request that is being answered.

    Args:
        result: what the hook returned; an InferRequest is asked as it is.
        hook: that hook, for messages.
        request: what is being answered.

    Raises:
        InferenceFailed: it stands for none.
    """
    if isinstance(result, InferRequest):
        return result
    try:
        inputs = _tensors(result, declared=False, name=_INPUT)
        payload = _payload(result) if inputs is None else None
        if isinstance(payload, (bool, int, float)):
            raise ValueError(f"a {type(result).__name__} is no request")
    except (ValueError, errors.InvalidInput) as error:
        raise errors.InferenceFailed(
            f"{hook.name} returned what no predictor can be asked ({hook.place}): {error}."
        ) from error
    if isinstance(payload, (list, tuple)):
        payload = {"instances": payload}
    parameters = {name: value for name, value in request.parameters.items() if name != "content_type"}
    if frames.is_frame(result):
        parameters["content_type"] = "pd"
    return InferRequest(
        model_name=request.model_name,
        inputs=inputs or (),
        id=request.id,
        parameters=parameters,
        payload=payload.encode() if isinstance(payload, str) else payload,
    )


def _tensors(result: Any, declared: bool, name: str) -> list[Tensor] | None:
    """The result as tensors, one without a name under this one; None when it is JSON or bytes."""
    if frames.is_frame(result):
        return frames.to_tensors(result)
    if frames.is_series(result):
        return [frames.to_tensor(name if declared or result.name is None else str(result.name), result)]
    if isinstance(result, Mapping) and result:
        arrays = declared or all(isinstance(value, np.ndarray) for value in result.values())
        return [_tensor(str(key), value) for key, value in result.items()] if arrays else None
    if isinstance(result, np.ndarray) or (declared and not isinstance(result, (str, bytes, Mapping))):
        return [_tensor(name, result)]
    if isinstance(result, list) and result and all(isinstance(element, (str, bytes)) for element in result):
        return [_tensor(name, result)]
    return None


def _tensor(name: str, value: Any) -> Tensor:
    if frames.is_series(value):
        return frames.to_tensor(name, value)
    if isinstance(value, list) and value and all(isinstance(element, (str, bytes)) for element in value):
        # numpy would pad text to one length, and drop zero bytes at its end.
        return Tensor.from_numpy(name, np.array(value, dtype=object), Datatype.BYTES)
    try:
        return Tensor.from_numpy(name, np.asarray(value))
    except ValueError as error:
        raise ValueError(f"output {name!r} is not rectangular: {error}") from error


def _payload(result: Any) -> Any:
    match result:
        case np.generic():
            return result.item()
        case bytearray() | memoryview():
            return bytes(result)
        case dict() | list() | tuple() | str() | bytes() | bool() | int() | float():
            return result
        case _:
            raise ValueError(
                f"a {type(result).__module__}.{type(result).__qualname__} is neither an array, a dict of arrays, "
                "a DataFrame, an InferResponse, text, bytes nor JSON"
            )
