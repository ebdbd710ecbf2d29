"""From an InferenceService to what is to run: defaults, validation, runtime selection, merge, and back to its status.

Everything here is pure: no I/O, no clock. Names are imported from their modules when they are first used, so that the
values of `fairlead.resolve.service` alone load none of the kinds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.resolve.resolving import resolve, revision_digest
    from fairlead.resolve.service import (
        MODEL_PATH,
        Candidate,
        ComponentKind,
        ResolvedCanary,
        ResolvedComponent,
        ResolvedModel,
        ResolvedRuntime,
        ResolvedService,
        ResolvedWorkers,
        Scaling,
        Source,
    )

__all__ = [
    "MODEL_PATH",
    "Candidate",
    "ComponentKind",
    "ResolvedCanary",
    "ResolvedComponent",
    "ResolvedModel",
    "ResolvedRuntime",
    "ResolvedService",
    "ResolvedWorkers",
    "Scaling",
    "Source",
    "resolve",
    "revision_digest",
]

_RESOLVING = ("resolve", "revision_digest")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'fairlead.resolve' has no attribute {name!r}")
    return getattr(
        importlib.import_module(f"fairlead.resolve.{'resolving' if name in _RESOLVING else 'service'}"), name
    )


def __dir__() -> list[str]:
    return sorted(__all__)
