"""The trace of what is being done, as headers of a request to another server."""

from __future__ import annotations

import sys

__all__ = ["headers"]


def headers() -> dict[str, str]:
    """The headers that make another server's spans children of the current one; empty where nothing is traced."""
    # Where traces are asked for, this has been imported; importing it takes as long as the rest of a start.
    propagate = sys.modules.get("opentelemetry.propagate")
    carrier: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(carrier)
    return carrier
