"""Reading a request body within limits of size and time, compressed or not."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive

__all__ = ["ClientDisconnected", "check_announced", "check_size", "read"]

_WINDOW: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class ClientDisconnected(Exception):
    """The client has gone; there is nobody to answer."""


async def read(receive: Receive, headers: Mapping[str, str], *, limit: int, patience: float) -> bytes:
    """The whole body, decompressed.

    Args:
        receive: the ASGI callable.
        headers: the request's headers, names in lower case.
        limit: bytes that the body may have, before and after decompression.
        patience: seconds within which the client must have sent it.

    Raises:
        PayloadTooLarge: it has more bytes than that.
        UnsupportedMediaType: it is compressed in a way that is not supported.
        InvalidInput: it came too slowly, or does not decompress.
        ClientDisconnected: the client has gone.
    """
    check_announced(headers, limit)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _rest(receive, body, limit, patience)
    check_size(len(body), limit)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return body if encoding in ("", "identity") else _decompressed(body, encoding, limit)


async def _rest(receive: Receive, first: bytes, limit: int, patience: float) -> bytes:
    chunks = [first]
    size = len(first)
    more = True
    try:
        async with asyncio.timeout(patience or None):
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientDisconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                check_size(size, limit)
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise errors.InvalidInput(f"The body was not complete within {patience:g} seconds.") from None
    return b"".join(chunks)


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
