"""Events of a service: what happened, how often, and when last."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any, Final

__all__ = ["Events"]

_KEPT: Final = 100


@dataclasses.dataclass(slots=True)
class _Event:
    kind: str
    reason: str
    message: str
    first: float
    last: float
    count: int


class Events:
    """The latest events of one service; the same event again is counted, and not kept twice."""

    def __init__(self) -> None:
        self._events: OrderedDict[tuple[str, str], _Event] = OrderedDict()

    def normal(self, now: float, reason: str, message: str) -> None:
        """Something happened as it should."""
        self._add("Normal", now, reason, message)

    def warning(self, now: float, reason: str, message: str) -> None:
        """Something happened that should not."""
        self._add("Warning", now, reason, message)

    def views(self) -> list[dict[str, Any]]:
        """All of them, the oldest first; times are seconds of Unix time."""
        return [
            {"at": each.last, "type": each.kind, "reason": each.reason, "message": each.message, "count": each.count}
            for each in self._events.values()
        ]

    def _add(self, kind: str, now: float, reason: str, message: str) -> None:
        key = (reason, message)
        if known := self._events.get(key):
            known.last, known.count = now, known.count + 1
            self._events.move_to_end(key)
            return
        self._events[key] = _Event(kind, reason, message, now, now, 1)
        while len(self._events) > _KEPT:
            self._events.popitem(last=False)
