"""Amounts as Kubernetes writes them, as numbers, where one that is wrong is judged elsewhere."""

from __future__ import annotations

from fairlead import errors
from fairlead.contracts.quantities import quantity

__all__ = ["amount"]


def amount(value: object) -> float | None:
    """The number that an amount stands for: cores for ``cpu``, bytes for ``memory``; None where it is no amount.

    Numbers are taken as they are: ``cpu: 0.5`` is half a core.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return quantity(value)
    except (errors.ConfigurationError, OverflowError):
        return None
