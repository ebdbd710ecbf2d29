"""What goes wrong on request: failures, cut connections and answers that wait."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Final

from fairlead_apiserver.failures import Failure
from fairlead_apiserver.requests import Record, Request

__all__ = ["RESET", "Faults", "Match"]

RESET: Final = 0
"""In place of a status: the connection is cut."""

Match = Mapping[str, str] | Callable[[Record], bool]
"""Which requests are meant: attributes of a Record with the values that they have, or a function of a Record."""

_REASONS: Final = {
    401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid",
    429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


@dataclasses.dataclass(slots=True)
class _Planned:
    match: Match
    code: int
    times: int
    retry_after: int | None


class Faults:
    """What is planned to go wrong; used on the server's loop only."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._held: dict[int, tuple[Match, asyncio.Event]] = {}
        self.waiting = 0

    def plan(self, match: Match, code: int, times: int, retry_after: int | None) -> None:
        """Let some requests fail."""
        self._planned.append(_Planned(match, code, times, retry_after))

    def hold(self, match: Match) -> int:
        """Let some requests wait; the answer is what to release."""
        number = max(self._held, default=0) + 1
        self._held[number] = match, asyncio.Event()
        return number

    def release(self, number: int) -> None:
        """Let them go on."""
        self._held.pop(number)[1].set()

    def clear(self) -> None:
        """Let everything go well from now on."""
        self._planned.clear()
        for number in list(self._held):
            self.release(number)

    async def meet(self, request: Request, transport: asyncio.BaseTransport | None) -> None:
        """Do to a request what is planned.

        Raises:
            Failure: The request is one of those that fail.
        """
        if not self._planned and not self._held:
            return
        record = _record(request)
        for match, released in list(self._held.values()):
            if _matches(match, record):
                self.waiting += 1
                try:
                    await released.wait()
                finally:
                    self.waiting -= 1
        for planned in self._planned:
            if planned.times > 0 and _matches(planned.match, record):
                planned.times -= 1
                _fail(planned, transport)

    @property
    def left(self) -> int:
        """How many failures are still to come."""
        return sum(each.times for each in self._planned)


def _fail(planned: _Planned, transport: asyncio.BaseTransport | None) -> None:
    if planned.code == RESET:
        if transport is not None:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()
        raise Failure(500, "InternalError", "the connection was cut")
    headers = {"Retry-After": str(planned.retry_after)} if planned.retry_after is not None else {}
    details = {"retryAfterSeconds": planned.retry_after} if planned.retry_after is not None else {}
    reason = _REASONS.get(planned.code, "")
    raise Failure(planned.code, reason, f"a planned failure: {reason or planned.code}", details, headers)


def _matches(match: Match, record: Record) -> bool:
    if callable(match):
        return match(record)
    return all(getattr(record, key) == value for key, value in match.items())


def _record(request: Request) -> Record:
    resource = request.resource
    return Record(
        request.user.name, request.verb, resource.group, resource.plural, request.subresource,
        request.namespace, request.name, 0, request.agent,
    )  # fmt: skip
