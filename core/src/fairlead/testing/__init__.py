"""Conformance kits for plugin authors: subclass one, say what to load, and pytest runs the contract against it.

Needs the extra ``fairlead[testing]``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.testing.autoscaler import AutoscalerContract
    from fairlead.testing.explainer import ExplainerContract
    from fairlead.testing.runtime import RuntimeContract
    from fairlead.testing.server import RunningServer, running_server
    from fairlead.testing.storage import StorageContract

_HOMES = {
    "AutoscalerContract": "autoscaler",
    "ExplainerContract": "explainer",
    "RunningServer": "server",
    "RuntimeContract": "runtime",
    "StorageContract": "storage",
    "running_server": "server",
}

__all__ = [
    "AutoscalerContract",
    "ExplainerContract",
    "RunningServer",
    "RuntimeContract",
    "StorageContract",
    "running_server",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairlead.testing' has no attribute {name!r}")
    home = f"fairlead.testing.{_HOMES[name]}"
    if name.endswith("Contract") and home not in sys.modules:
        import pytest

        pytest.register_assert_rewrite(home)  # so that an author sees what was compared
    return getattr(importlib.import_module(home), name)
