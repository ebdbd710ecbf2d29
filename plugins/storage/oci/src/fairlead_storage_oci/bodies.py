"""Bodies: the part of an answer that was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer

__all__ = ["length", "part"]

_CHUNK: Final = 1024 * 1024


def length(answer: Answer) -> int | None:
    """The length that an answer announces, in bytes."""
    text = answer.headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def part(answer: Answer, skip: int, left: int | None) -> Iterator[bytes]:
    """A part of a body, in chunks of at most 1 MiB.

    Args:
        answer: the answer.
        skip: bytes to leave out first.
        left: bytes to read after those; None for all.

    Raises:
        StorageUnavailable: it breaks off.
    """
    while left != 0 and (chunk := answer.read(_CHUNK if left is None else min(_CHUNK, skip + left))):
        dropped = min(skip, len(chunk))
        skip -= dropped
        wanted = chunk[dropped:]
        left = None if left is None else left - len(wanted)
        if wanted:
            yield wanted
