"""Samples: requests made from what a model says of itself, to be answered before it is Ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.contracts.runtime import ModelMetadata
    from fairlead.contracts.tensors import TensorSpec

__all__ = ["from_metadata"]

_LARGEST = 16 * 1024 * 1024
"""Elements; a sample that would be larger than this is not made."""


def from_metadata(metadata: ModelMetadata) -> Sequence[InferRequest]:
    """One request of zeros (empty text for BYTES), with 1 for every free dimension; none without inputs."""
    if not metadata.inputs or any(_elements(spec) > _LARGEST for spec in metadata.inputs):
        return ()
    table = metadata.supports(Capability.COLUMNS) and len(metadata.inputs) > 1
    inputs = [Tensor(spec.name, _zeros(spec), spec.datatype) for spec in metadata.inputs]
    return (InferRequest(model_name="", inputs=inputs, parameters={"content_type": "pd"} if table else {}),)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(1 if length < 0 else length for length in spec.shape)


def _elements(spec: TensorSpec) -> int:
    count = 1
    for length in _shape(spec):
        count *= length
    return count


def _zeros(spec: TensorSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if spec.datatype is Datatype.BYTES:
        empty = np.empty(_shape(spec), dtype=object)
        empty.fill(b"")
        return empty
    return np.zeros(_shape(spec), dtype=spec.datatype.numpy)
