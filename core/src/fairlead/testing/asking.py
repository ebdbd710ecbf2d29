"""Asking a model, and comparing what it answers."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fairlead.contracts.runtime import AsyncModel

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel
    from fairlead.contracts.tensors import InferRequest, InferResponse, Tensor

__all__ = ["ask", "assert_close", "assert_same", "row"]


def ask(model: AnyModel, request: InferRequest) -> InferResponse:
    """What a model answers, be it in a thread or on an event loop."""
    if isinstance(model, AsyncModel):
        return asyncio.run(model.predict(request))
    return model.predict(request)


def row(request: InferRequest, place: int) -> InferRequest:
    """One row of a request, as a request."""
    inputs = [dataclasses.replace(tensor, data=tensor.data[place : place + 1]) for tensor in request.inputs]
    return dataclasses.replace(request, inputs=inputs)


def assert_same(one: InferResponse, other: InferResponse) -> None:
    """Two answers are equal, to the last digit."""
    assert one.payload == other.payload
    assert len(one.outputs) == len(other.outputs)
    for left, right in zip(one.outputs, other.outputs, strict=True):
        assert left == right


def assert_close(one: Tensor, other: Tensor) -> None:
    """Equal, but for the last digits of floating-point numbers: a sum of many rows may be made in another order."""
    assert one.shape == other.shape
    if one.data.dtype.kind == "f":
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-8, equal_nan=True)
    else:
        assert one == other
