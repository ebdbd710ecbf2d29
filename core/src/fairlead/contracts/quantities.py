"""Amounts as Kubernetes writes them: ``500m`` cores, ``2Gi`` of memory."""

from __future__ import annotations

import math
import re
from typing import Final

from fairlead import errors

__all__ = ["in_bytes", "quantity"]

_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([KMGTPE]i|[numkMGTPE])?", re.ASCII
)
_PARTS: Final = {"n": 1e9, "u": 1e6, "m": 1e3}
_TIMES: Final = {
    f"{letter}{binary}": base**power
    for binary, base in (("", 1000.0), ("i", 1024.0))
    for power, letter in enumerate("KMGTPE" if binary else "kMGTPE", start=1)
}


def quantity(text: str | float) -> float:
    """Read an amount: a number, with an exponent or with one of the suffixes n, u, m, k, M, G, T, P, E, Ki to Ei.

    Args:
        text: the amount as a manifest has it; a number stands for itself.

    Raises:
        ConfigurationError: it is none.
    """
    found = math.nan
    if isinstance(text, str):
        parts = _QUANTITY.fullmatch(text)
        # In ``1E`` the letter is a suffix, in ``1E3`` an exponent, and both at once there are not.
        if parts is not None and not (parts[2] and re.search("[eE]", parts[1])):
            found = float(parts[1]) * _TIMES.get(parts[2] or "", 1.0) / _PARTS.get(parts[2] or "", 1.0)
    elif not isinstance(text, bool):
        found = float(text)
    if not math.isfinite(found):
        raise errors.ConfigurationError(f"{text!r} is not a quantity such as 500m, 2Gi or 3.")
    return found


def in_bytes(amount: float) -> str:
    """An amount of memory as people read it: ``8 GiB``, ``1.5 MiB``, ``12 bytes``."""
    for unit, power in (("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if amount >= 1024.0**power:
            return f"{round(amount / 1024.0**power, 1):g} {unit}"
    return f"{amount:g} bytes"
