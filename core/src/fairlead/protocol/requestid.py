"""Request ids: taken from ``x-request-id`` when they are fit to be logged and returned, made otherwise."""

from __future__ import annotations

import random
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
    # To tell requests apart is all that it is for, and to ask the system for secrets costs as much as to read a header.
    return given if given is not None and _FIT.fullmatch(given) else f"{random.getrandbits(128):032x}"
