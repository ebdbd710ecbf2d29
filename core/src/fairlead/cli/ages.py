"""Ages as kubectl writes them: ``5s``, ``3m``, ``2h5m``, ``4d``."""

from __future__ import annotations

import datetime as dt
from typing import Final

__all__ = ["age", "moment", "since"]

UNKNOWN: Final = "<unknown>"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR: Final = 365 * _DAY


def age(seconds: float) -> str:
    """A span of time in one unit, or in two where one would say too little; ``0s`` for one that is negative."""
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    return _two(whole, _YEAR, "y", _DAY, "d")


def _two(whole: int, large: int, unit: str, small: int, smaller: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{unit}" + (f"{rest}{smaller}" if rest else "")


def moment(value: object) -> float | None:
    """Seconds of Unix time of a number of them, or of a text as RFC 3339 writes it; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        made = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return (made if made.tzinfo else made.replace(tzinfo=dt.UTC)).timestamp()


def since(value: object, now: float) -> str:
    """How long ago a moment was, as `moment` takes it; ``<unknown>`` where it is none."""
    at = moment(value)
    return UNKNOWN if at is None else age(now - at)
