"""Amounts as Kubernetes writes them: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``."""

from __future__ import annotations

import functools
import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

__all__ = ["canonical"]

_FORM: Final = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(m|u|n|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?\d+|)$")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@functools.lru_cache(maxsize=4096)
def canonical(text: str) -> str | None:
    """The one way in which an amount is written, or None where the text is not an amount."""
    found = _FORM.match(text.strip())
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2]
    if suffix in _BINARY and suffix:
        number *= Decimal(1024) ** _BINARY[suffix]
        if abs(number) >= 1024:
            return _binary(number.to_integral_value(ROUND_CEILING))
        return _decimal(number)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        exponent = int(suffix[1:])
        return _exponential(number * Decimal(10) ** exponent)
    return _decimal(number * Decimal(10) ** _DECIMAL[suffix])


def _binary(number: Decimal) -> str:
    power = 0
    while number % 1024 == 0 and power < 6:
        number, power = number // 1024, power + 1
    return f"{int(number)}{next(key for key, value in _BINARY.items() if value == power)}"


def _scaled(number: Decimal) -> tuple[int, int]:
    nano = int((number * Decimal(10) ** 9).to_integral_value(ROUND_CEILING))
    exponent = -9
    while nano and nano % 1000 == 0 and exponent < 18:
        nano, exponent = nano // 1000, exponent + 3
    return nano, exponent if nano else 0


def _decimal(number: Decimal) -> str:
    amount, exponent = _scaled(number)
    return f"{amount}{next(key for key, value in _DECIMAL.items() if value == exponent)}"


def _exponential(number: Decimal) -> str:
    amount, exponent = _scaled(number)
    return f"{amount}e{exponent}" if exponent else str(amount)
