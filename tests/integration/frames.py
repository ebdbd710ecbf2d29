"""HTTP/2 by hand, for what no HTTP/2 library sends: frames (RFC 9113) and uncompressed header blocks (RFC 7541)."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from collections.abc import Iterator

__all__ = ["INFER", "Connection", "Kind", "call", "data", "fields", "frame", "message", "reset", "settings"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INFER = "/inference.GRPCInferenceService/ModelInfer"
LARGEST = 16384
HEAD = 9
END_STREAM = 1
END_HEADERS = 4


class Kind(enum.IntEnum):
    """The types of frames (RFC 9113, 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame, whether or not it makes sense."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def fields(*pairs: tuple[bytes, bytes]) -> bytes:
    """A header block of literal fields."""
    return b"".join(b"\0" + _length(name) + name + _length(value) + value for name, value in pairs)


def _length(text: bytes) -> bytes:
    most = 127  # of a prefix of seven bits
    if len(text) < most:
        return bytes((len(text),))
    rest = len(text) - most
    octets = bytearray((most,))
    while rest >= 128:
        octets.append(rest & 127 | 128)
        rest >>= 7
    octets.append(rest)
    return bytes(octets)


def head(path: str = INFER) -> bytes:
    """The header block of a gRPC call."""
    return fields(
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )


def call(stream: int, path: str = INFER) -> bytes:
    """The frame that begins a call."""
    return frame(Kind.HEADERS, END_HEADERS, stream, head(path))


def message(body: bytes, length: int | None = None) -> bytes:
    """A gRPC message; `length` is what it says of itself, when that is a lie."""
    return b"\0" + struct.pack(">I", len(body) if length is None else length) + body


def data(stream: int, octets: bytes, *, end: bool = False) -> bytes:
    """Bytes of a call, in frames of the size that every receiver takes."""
    pieces = [octets[at : at + LARGEST] for at in range(0, len(octets), LARGEST)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(Kind.DATA, END_STREAM if end and index == last else 0, stream, piece)
        for index, piece in enumerate(pieces)
    )


def reset(stream: int) -> bytes:
    """The frame by which a client gives up a call: error code CANCEL."""
    return frame(Kind.RST_STREAM, 0, stream, struct.pack(">I", 8))


def settings(**values: int) -> bytes:
    """A SETTINGS frame; ``window=0`` lets the other side send nothing but heads."""
    numbers = {"streams": 3, "window": 4}
    return frame(Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HI", numbers[key], values[key]) for key in values))


class Connection:
    """A connection that sends what no client would.

    Args:
        address: where the server listens.
        opening: what is sent at once; the beginning of HTTP/2 by default.
    """

    def __init__(self, address: str, opening: bytes = PREFACE + settings()) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.send(opening)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes, patience: float = 30.0) -> bool:
        """Send; False when the server has closed the connection, or has taken nothing for so many seconds."""
        self.socket.settimeout(patience)
        try:
            for part in parts:
                self.socket.sendall(part)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def frames(self, patience: float = 30.0) -> Iterator[tuple[int, int, bytes]]:
        """What the server sends, as type, stream and payload, until it closes the connection.

        Raises:
            TimeoutError: nothing has come for so many seconds.
        """
        self.socket.settimeout(patience)
        with contextlib.suppress(ConnectionError):
            while len(start := self._exactly(HEAD)) == HEAD:
                length = int.from_bytes(start[:3], "big")
                yield start[3], int.from_bytes(start[5:], "big"), self._exactly(length)

    def is_cut_off(self) -> bool:
        """Wait until the server closes the connection."""
        try:
            for _ in self.frames():
                pass
        except TimeoutError:
            return False
        return True

    def _exactly(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size and (more := self.socket.recv(size - len(octets))):
            octets += more
        return octets
