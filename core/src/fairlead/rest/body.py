"""Reading a request body within limits of size and time, compressed or not."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive

    from fairlead.engine.intake import Hold

__all__ = ["ClientDisconnected", "check_announced", "check_size", "read", "within"]

_WINDOW: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class ClientDisconnected(Exception):
    """The client has gone; there is nobody to answer."""


async def read(receive: Receive, headers: Mapping[str, str], hold: Hold, *, limit: int, patience: float) -> bytes:
    """The whole body, decompressed.

    Args:
        receive: the ASGI callable.
        headers: the request's headers, names in lower case.
        hold: what the request holds.
        limit: bytes that the body may have, before and after decompression.
        patience: seconds within which the client must have sent it.

    Raises:
        PayloadTooLarge: it has more bytes than that.
        UnsupportedMediaType: it is compressed in a way that is not supported.
        InvalidInput: it came too slowly, or does not decompress.
        Overloaded: too much is held for other requests.
        ClientDisconnected: the client has gone.
    """
    check_announced(headers, limit)
    limited = within(receive, hold, limit=limit, patience=patience)
    chunks = []
    more = True
    while more:
        message = await limited()
        if message["type"] != "http.request":
            raise ClientDisconnected
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    # In a thread: what little it takes to send can take long to unpack, and zlib lets go of the interpreter's lock.
    if encoding in ("", "identity"):
        return body
    plain = await asyncio.to_thread(_decompressed, body, encoding, limit)
    hold.release()
    hold.take(len(plain))
    return plain


def within(receive: Receive, hold: Hold, *, limit: int, patience: float) -> Receive:
    """An ASGI ``receive`` that keeps a body within limits, from its first byte to its last.

    Args:
        receive: the ASGI callable.
        hold: what the request holds.
        limit: bytes that the body may have.
        patience: seconds within which the client must have sent it; 0 for any.

    Returns:
        The callable. It raises `PayloadTooLarge`, `InvalidInput` when the body came too slowly, and `Overloaded` when
        too much is held for other requests.
    """
    deadline = asyncio.get_running_loop().time() + patience if patience else None
    received = 0

    async def receive_within() -> Message:
        nonlocal deadline, received
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise errors.InvalidInput(f"The body was not complete within {patience:g} seconds.") from None
        size = len(message.get("body", b""))
        received += size
        check_size(received, limit)
        hold.take(size)
        if not message.get("more_body", False):
            deadline = None  # from here on, receiving is waiting for the client to go
        return message

    return receive_within


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    window = _WINDOW.get(encoding)
    if window is None:
        raise errors.UnsupportedMediaType(
            f"Content-Encoding {encoding!r} is not supported.", remedy="Use gzip, deflate, or none."
        )
    decompressor = zlib.decompressobj(window)
    try:
        # One byte past the limit is enough to know: a bomb is never unpacked any further.
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise errors.InvalidInput(f"The body is not valid {encoding}: {error}.") from error
    check_size(len(plain), limit)
    if not decompressor.eof or decompressor.unused_data:
        raise errors.InvalidInput(f"The body is not one complete {encoding} stream.")
    return plain


def check_announced(headers: Mapping[str, str], limit: int) -> None:
    """Refuse a body by the length that it announces, before any of it is read.

    Raises:
        PayloadTooLarge: it announces more bytes than the limit.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit():
        check_size(int(announced), limit)


def check_size(size: int, limit: int) -> None:
    """Refuse a body of more bytes than the limit.

    Raises:
        PayloadTooLarge: it has more.
    """
    if size > limit:
        raise errors.PayloadTooLarge(
            f"The body has more than the {limit} bytes that this server takes.", remedy="See --max-body-bytes."
        )
