"""The headers of an answer: the protocol's, and the model's own where HTTP can carry them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferResponse
    from fairlead.protocol.encoded import Encoded

__all__ = ["CLOSE", "Headers", "of"]

Headers: TypeAlias = "list[tuple[bytes, bytes]]"

CLOSE: Final = (b"connection", b"close")
"""Sent while the server drains, so that clients leave between two answers and not in the middle of a question."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TRANSPORTS: Final = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "inference-header-content-length",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    )
)
"""Headers that describe the message, and are not a model's to set."""


def of(response: InferResponse, encoded: Encoded) -> Headers:
    """The headers of an answer.

    Those that describe the message are ours and not the model's; its content type is that of a body for which the
    protocol has none (bytes and text).

    Raises:
        InferenceFailed: HTTP cannot carry one of the model's.
    """
    headers = []
    for name, value in response.headers.items():
        if not _can_be_carried(name, value):
            raise errors.InferenceFailed(
                f"Model with name {response.model_name} answered with a header that HTTP cannot carry: {name!r}."
            )
        key = name.lower()
        if key not in _TRANSPORTS and (key != "content-type" or encoded.content_type is None):
            headers.append((key.encode("ascii"), value.encode("latin-1")))
    if encoded.content_type is not None:
        headers.append((b"content-type", encoded.content_type.encode("ascii")))
    headers.extend((name.encode("ascii"), value.encode("ascii")) for name, value in encoded.headers)
    return headers


def _can_be_carried(name: object, value: object) -> bool:
    """Whether this is a header of RFC 9110: a line break in one would let a model's client write others."""
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None
