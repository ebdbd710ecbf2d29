"""The health check of gRPC (grpc.health.v1.Health/Check), as one call over a connection of its own.

As little of HTTP/2 (RFC 9113) as one call needs: the platform does not load a gRPC library to ask for one byte.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

__all__ = ["check"]

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 0x1, 0x4, 0x8, 0x1
_STREAM: Final = 1
_LONGEST_FRAME: Final = 16384
_SERVING: Final = 1
_STATES: Final = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def check(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str, *, lenient: bool
) -> str | None:
    """Ask for the health of a service; None where it is SERVING, and otherwise why that is not known.

    Args:
        reader: what comes from the server.
        writer: what goes to it.
        service: the service; empty for the server as a whole.
        lenient: whether an error, such as that there is no health service, will do as well.
    """
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    writer.write(
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, _STREAM, _headers())
        + _frame(_DATA, _END_STREAM, _STREAM, struct.pack(">BI", 0, len(message)) + message)
    )
    body = b""
    try:
        while True:
            kind, flags, stream, payload = await _read(reader)
            if kind == _SETTINGS and not flags & _ACK:
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                writer.write(_frame(_PING, _ACK, 0, payload))
            elif kind == _DATA and stream == _STREAM:
                body += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
            if kind == _GOAWAY or (stream == _STREAM and (kind == _RST_STREAM or flags & _END_STREAM)):
                break
            if kind in (_DATA, _HEADERS) and len(body) > _LONGEST_FRAME:
                break
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return "The gRPC health check was answered with something that is not HTTP/2."
    return _verdict(body, lenient=lenient)


def _verdict(body: bytes, *, lenient: bool) -> str | None:
    if len(body) < 5:
        return None if lenient else "The gRPC health check was answered with an error; is there a health service?"
    message = body[5:]
    # HealthCheckResponse has one field, an enum: a tag and one byte, or nothing for UNKNOWN.
    state = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return None if state == _SERVING else f"The gRPC health check says {_STATES.get(state, state)}."


def _headers() -> bytes:
    """The headers of the call, by HPACK's static table (RFC 7541, appendix A) where it has them."""
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + _literal(b"\x04", b"/grpc.health.v1.Health/Check")
        + _literal(b"\x01", b"localhost")
        + _literal(b"\x00" + _text(b"content-type"), b"application/grpc")
        + _literal(b"\x00" + _text(b"te"), b"trailers")
    )


def _literal(name: bytes, value: bytes) -> bytes:
    return name + _text(value)


def _text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


async def _read(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    """One frame.

    Raises:
        ValueError: what comes is no frame.
    """
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > _LONGEST_FRAME:
        raise ValueError("a frame that is longer than was permitted")
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream & 0x7FFFFFFF, await reader.readexactly(length)
