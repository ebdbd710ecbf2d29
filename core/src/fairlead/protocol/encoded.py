"""The bytes of an answer or a request, ready for a transport to send."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Encoded"]


class Encoded(NamedTuple):
    """What a codec made, in pieces, so that a tensor's memory is sent without being copied.

    Attributes:
        chunks: the body, in order; a memoryview among them is a flat view of a tensor's own memory.
        content_type: its media type; None when the protocol sends the body without one.
        headers: the headers that the protocol itself needs, names in lower case. The headers of an `InferResponse`
            are not among them; those are the transport's to send.
    """

    chunks: tuple[bytes | memoryview, ...]
    content_type: str | None
    headers: tuple[tuple[str, str], ...] = ()
