"""Whether a model answers each row of a request by itself.

A graph declares that its first dimension is free, and not what it is: rows of a batch, or steps of one sequence, which
belong together. So a model is asked for two rows that are made up, one by one and together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from fairlead import Datatype, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["are_independent"]

Ask: TypeAlias = "Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]]"

_LARGEST: Final = 4 * 1024 * 1024
"""Elements of a row; no more are made up."""


def are_independent(inputs: Sequence[TensorSpec], ask: Ask) -> bool | None:
    """Whether two rows are answered together as they are one by one.

    Args:
        inputs: what the model takes; the first dimension of each is free.
        ask: runs the model.

    Returns:
        None when the model cannot be asked: it takes no made-up values, or very large ones.
    """
    if any(np.prod([max(length, 1) for length in spec.shape], dtype=float) > _LARGEST for spec in inputs):
        return None
    random = np.random.default_rng(0)
    rows = [{spec.name: _made_up(spec, random) for spec in inputs} for _ in range(2)]
    try:
        separate = [ask(row) for row in rows]
    except Exception:  # noqa: BLE001  # whatever it raises: it does not take these values
        return None
    try:
        together = ask({spec.name: np.concatenate([row[spec.name] for row in rows]) for spec in inputs})
    except Exception:  # noqa: BLE001  # it takes each of them, and not both
        return False
    return all(_are_same(one, parts) for one, *parts in zip(together, *separate, strict=True))


def _made_up(spec: TensorSpec, random: np.random.Generator) -> NDArray[Any]:
    shape = (1, *(max(length, 1) for length in spec.shape[1:]))
    if spec.datatype is Datatype.BYTES:
        return random.choice(np.array(["a", "b"], dtype=object), shape)
    if spec.datatype.numpy.kind == "f":
        return random.standard_normal(shape).astype(spec.datatype.numpy)
    return random.integers(0, 2, shape).astype(spec.datatype.numpy)


def _are_same(together: NDArray[Any], parts: Sequence[NDArray[Any]]) -> bool:
    if any(not part.ndim or part.shape[0] != 1 for part in parts):
        return False
    expected = np.concatenate(parts)
    if together.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(together, expected))
    # Sums of another order differ in their last digits, and FP16 has few.
    return bool(np.allclose(together, expected, rtol=1e-2, atol=1e-3, equal_nan=True))
