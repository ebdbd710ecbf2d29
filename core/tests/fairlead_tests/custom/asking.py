"""Asking a loaded model, whichever kind it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead.contracts.runtime import AnyModel, Model
from fairlead.contracts.tensors import InferRequest, InferResponse, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["answer", "ask", "tensors"]


def tensors(**arrays: NDArray[Any] | list[Any]) -> list[Tensor]:
    """Named tensors of arrays or nested lists."""
    return [Tensor.from_numpy(name, np.asarray(array)) for name, array in arrays.items()]


def answer(model: AnyModel, request: InferRequest) -> InferResponse:
    """The answer to a request; an async model answers on a loop of its own."""
    if isinstance(model, Model):
        return model.predict(request)
    return asyncio.run(_awaited(model.predict(request)))


def ask(model: AnyModel, **request: Any) -> InferResponse:
    """The answer to a request with these fields."""
    return answer(model, InferRequest(model_name="m", **request))


async def _awaited(answer: Any) -> InferResponse:
    response: InferResponse = await answer
    return response
