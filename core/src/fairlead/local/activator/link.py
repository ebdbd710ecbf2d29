"""What the platform and the activator's process say to each other: a JSON object per line, on a pair of sockets.

The platform says ``assign``, ``forget``, ``report``, ``measure`` and, once everything it knows is said, ``serve``; the
process says ``serving``, ``wake`` and ``held``. Each names what it says under ``say``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from fairlead.local.activator.seats import Held, Seats
from fairlead.local.gateway.topology import Address

__all__ = ["Link", "decode_held", "decode_seats", "encode_held", "encode_seats"]

_UNREAD = 8 * 1024 * 1024  # bytes; some thousand times what is said in a second


class Link(asyncio.Protocol):
    """One end of the pair.

    Args:
        hear: told each object that the other end says.
        lost: called once when the other end is gone, or what it says is not understood.
        stuck: called when the other end has stopped to read.
    """

    def __init__(
        self, hear: Callable[[dict[str, Any]], None], lost: Callable[[], None], stuck: Callable[[], None]
    ) -> None:
        self._hear = hear
        self._lost = lost
        self._stuck = stuck
        self._begun = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._transport.set_write_buffer_limits(high=_UNREAD)

    def data_received(self, data: bytes) -> None:
        """Something was said; asyncio calls this."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._begun += line
            message = bytes(self._begun)
            self._begun.clear()
            self._hear(json.loads(message))
        self._begun += rest

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio names it)
        """The other end is gone; asyncio calls this."""
        self._lost()

    def pause_writing(self) -> None:
        """The other end reads nothing; asyncio calls this."""
        self._stuck()

    def say(self, what: str, **more: Any) -> None:
        """Say something; nothing happens once the other end is gone."""
        if not self._transport.is_closing():
            self._transport.write(json.dumps({"say": what, **more}, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Say what is to be said yet, and hang up."""
        self._transport.close()


def encode_seats(seats: Seats) -> dict[str, Any]:
    """Seats as JSON."""
    return {
        "rest": _encode_addresses(seats.rest),
        "grpc": _encode_addresses(seats.grpc),
        "capacity": seats.capacity,
        "max_waiting": seats.max_waiting,
        "deadline": seats.deadline,
        "refusal": seats.refusal,
    }


def decode_seats(data: Mapping[str, Any]) -> Seats:
    """Seats from JSON."""
    return Seats(**{**data, "rest": _decode_addresses(data["rest"]), "grpc": _decode_addresses(data["grpc"])})


def encode_held(held: Mapping[str, Held]) -> dict[str, list[int]]:
    """What was measured, as JSON."""
    return {backend: [one.waiting, one.arrived, one.released] for backend, one in held.items()}


def decode_held(data: Mapping[str, list[int]]) -> dict[str, Held]:
    """What was measured, from JSON."""
    return {backend: Held(*numbers) for backend, numbers in data.items()}


def _encode_addresses(addresses: tuple[Address, ...] | None) -> list[list[Any]] | None:
    return None if addresses is None else [[address.host, address.port] for address in addresses]


def _decode_addresses(data: list[list[Any]] | None) -> tuple[Address, ...] | None:
    return None if data is None else tuple(Address(host, port) for host, port in data)
