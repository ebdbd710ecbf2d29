"""The header of request ids, as HTTP has it; which ids there are is the same for every protocol."""

from __future__ import annotations

from typing import Final

from fairlead.protocol.requestid import NAME, of

__all__ = ["HEADER", "of"]

HEADER: Final = NAME.encode("ascii")
