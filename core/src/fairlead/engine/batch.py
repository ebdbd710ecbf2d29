"""Joining requests along the first axis, and splitting the answer again: pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import InferRequest, InferResponse, Tensor

if TYPE_CHECKING:
    from fairlead.contracts.tensors import Parameter

__all__ = ["join", "key_of", "rows_of", "split"]


def rows_of(request: InferRequest) -> int | None:
    """The length of the first axis that all inputs share; None when they share none."""
    length = -1
    for tensor in request.inputs:
        shape = tensor.data.shape
        if not shape or (length >= 0 and shape[0] != length):
            return None
        length = shape[0]
    return length if length > 0 else None


def key_of(request: InferRequest) -> Hashable:
    """Requests of equal keys differ in nothing but their rows, and may be joined."""
    return (
        tuple(
            [
                (tensor.name, tensor.datatype, tensor.data.shape[1:], _exactly(tensor.parameters))
                for tensor in request.inputs
            ]
        ),
        _exactly(request.parameters),
        tuple([output.name for output in request.outputs]) if request.outputs else (),
        request.model_version,
    )


def _exactly(parameters: Mapping[str, Parameter]) -> Hashable:
    """Parameters with the types of their values: to Python 1, 1.0 and True are equal, to a model they are not."""
    return tuple([(name, type(value), value) for name, value in parameters.items()]) if parameters else ()


def join(requests: Sequence[InferRequest]) -> InferRequest:
    """One request with the rows of all, in order; they must have equal keys.

    What belongs to one client alone (id, headers, payload) is left out.
    """
    first = requests[0]
    columns = zip(*(request.inputs for request in requests), strict=True)
    inputs = [
        Tensor(
            tensors[0].name,
            np.concatenate([tensor.data for tensor in tensors]),
            tensors[0].datatype,
            tensors[0].parameters,
        )
        for tensors in columns
    ]
    return dataclasses.replace(first, inputs=inputs, id=None, payload=None, headers={})


def split(response: InferResponse, rows: Sequence[int]) -> list[InferResponse]:
    """One answer for each of the joined requests.

    Args:
        response: the answer to the joined request.
        rows: how many rows each request has.

    Raises:
        InferenceFailed: an output does not have one row for each row of the input.
    """
    total = sum(rows)
    if response.payload is not None or not response.outputs:
        raise errors.InferenceFailed("The model does not answer with tensors, so that joined requests cannot be split.")
    for tensor in response.outputs:
        if not tensor.data.ndim or tensor.data.shape[0] != total:
            raise errors.InferenceFailed(
                f"Output {tensor.name!r} has the shape {list(tensor.shape)} for {total} rows of input; "
                "a model that joins requests must answer each row with one."
            )
    parts = []
    start = 0
    for count in rows:
        end = start + count
        parts.append(
            InferResponse(
                model_name=response.model_name,
                outputs=[
                    Tensor(tensor.name, tensor.data[start:end], tensor.datatype, tensor.parameters)
                    for tensor in response.outputs
                ],
                id=response.id,
                model_version=response.model_version,
                parameters=response.parameters,
                headers=response.headers,
            )
        )
        start = end
    return parts
