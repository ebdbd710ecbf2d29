"""The chance in the method kernel: of a generator of its own, so that the same row gets the same values.

shap draws combinations of features from numpy's global generator, and takes no other. To seed and restore that one
would disturb whatever other threads draw from it meanwhile, and be disturbed by them; the model may draw from it too
while it is asked. So the one function that draws gets an ``np.random`` of its own, and nothing that others see changes.
"""

from __future__ import annotations

import types
from typing import Any, Final

import numpy as np

__all__ = ["LARGEST_SEED", "seeded"]

LARGEST_SEED: Final = 2**32 - 1
"""The largest seed of the generator."""


def seeded(kernel_explainer: Any, seed: int) -> Any:
    """A class like ``shap.KernelExplainer`` that begins anew with the seed for each row.

    It draws what shap draws after ``np.random.seed(seed)``, of one row.

    Args:
        kernel_explainer: the class.
        seed: from 0 to `LARGEST_SEED`.
    """
    explain = kernel_explainer.explain
    numpy = types.ModuleType(np.__name__)
    numpy.__dict__.update(vars(np))
    own = types.FunctionType(
        explain.__code__, {**explain.__globals__, "np": numpy}, explain.__name__, explain.__defaults__
    )

    class Seeded(kernel_explainer):  # type: ignore[misc]  # shap has no types
        def explain(self, incoming_instance: Any, **kwargs: Any) -> Any:
            numpy.__dict__["random"] = np.random.RandomState(seed)
            return own(self, incoming_instance, **kwargs)

    return Seeded
