"""Request ids: taken from ``x-request-id`` when they are fit to be logged and returned, made otherwise."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NAME", "of"]

NAME: Final = "x-request-id"
_FIT: Final = re.compile(r"[!-~]{1,128}")


def of(headers: Mapping[str, str]) -> str:
    """The id of a request.

    Args:
        headers: the request's headers, names in lower case.
    """
    given = headers.get(NAME)
    return given if given is not None and _FIT.fullmatch(given) else os.urandom(16).hex()
