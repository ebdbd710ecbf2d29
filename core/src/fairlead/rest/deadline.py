"""How long a client waits for its answer, as it says in its headers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADERS", "timeout_of"]

HEADERS: Final = {"x-request-timeout": 1.0, "x-envoy-expected-rq-timeout-ms": 0.001}
"""The headers that are read, with the seconds of their unit. Envoy sends the second one with every request."""


def timeout_of(headers: Mapping[str, str]) -> float:
    """Seconds within which the client wants its answer; infinite when it does not say.

    Args:
        headers: the request's headers, names in lower case.

    Raises:
        InvalidInput: a header holds no positive number.
    """
    timeout = math.inf
    for name, unit in HEADERS.items():
        text = headers.get(name)
        if text is not None:
            timeout = min(timeout, _number(name, text) * unit)
    return timeout


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise errors.InvalidInput(f"The header {name} is {text[:40]!r}, and not a positive number.")
    return number
