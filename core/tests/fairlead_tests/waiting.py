"""Waiting for something that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["eventually"]


def eventually(condition: Callable[[], object], patience: float = 60.0) -> None:
    """Poll until a condition holds; fail when it does not within ``patience`` seconds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"the condition did not hold within {patience:g} seconds"
        time.sleep(0.005)
