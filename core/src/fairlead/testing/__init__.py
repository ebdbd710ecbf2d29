"""Conformance kits for plugin authors: subclass one, say what to load, and pytest runs the contract against it.

Needs the extra ``fairlead[testing]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.testing.autoscaler import AutoscalerContract
    from fairlead.testing.runtime import RuntimeContract
    from fairlead.testing.server import RunningServer, running_server
    from fairlead.testing.storage import StorageContract

_HOMES = {
    "AutoscalerContract": "autoscaler",
    "RunningServer": "server",
    "RuntimeContract": "runtime",
    "StorageContract": "storage",
    "running_server": "server",
}

__all__ = ["AutoscalerContract", "RunningServer", "RuntimeContract", "StorageContract", "running_server"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairlead.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fairlead.testing.{_HOMES[name]}"), name)
