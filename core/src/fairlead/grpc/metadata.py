"""The metadata of a call as headers of a request, and headers of an answer as metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from fairlead import errors
from fairlead.protocol import requestid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.contracts.tensors import InferResponse

__all__ = ["Metadata", "headers_of", "leading_of"]

Metadata: TypeAlias = "tuple[tuple[str, str], ...]"

_NAME: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_BINARY: Final = "-bin"
_TRANSPORTS: Final = frozenset(
    (
        "connection",
        "content-length",
        "content-type",
        "date",
        "inference-header-content-length",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        requestid.NAME,
    )
)
"""Headers that describe the message, and are not a model's to set."""


def headers_of(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The metadata of a call as a request's headers; keys that end in ``-bin`` hold bytes, and are left out."""
    return {key: value for key, value in metadata if isinstance(value, str)}


def leading_of(response: InferResponse) -> Metadata:
    """The headers of an answer as initial metadata.

    Raises:
        InferenceFailed: gRPC cannot carry one of them
            (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata).
    """
    if not response.headers:
        return ()
    found = []
    for name, value in response.headers.items():
        if not _can_be_carried(name, value):
            raise errors.InferenceFailed(
                f"Model with name {response.model_name} answered with a header that gRPC cannot carry: {name!r}."
            )
        key = name.lower()
        if key not in _TRANSPORTS:
            found.append((key, value))
    return tuple(found)


def _can_be_carried(name: object, value: object) -> bool:
    """Whether this is ASCII metadata of a name that is not gRPC's own."""
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    key = name.lower()
    if key.startswith("grpc-") or key.endswith(_BINARY):
        return False
    return _NAME.fullmatch(key) is not None and _VALUE.fullmatch(value) is not None
