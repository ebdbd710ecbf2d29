"""What the core needs to know of this runtime; importing it loads neither CatBoost nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes import methods, threads

__all__ = ["EXTRAS", "LIBRARY", "SPEC", "fairlead_runtimes"]

LIBRARY: Final = Library("catboost", "catboost", reads_older=True)
"""CatBoost."""

EXTRAS: Final = {"joblib": "fairlead-runtime-catboost[joblib]"}
"""What brings the packages that pickled models need, by the name of the package."""

SPEC: Final = RuntimeSpec(
    name="catboost",
    formats=(ModelFormat("catboost", version="1"),),
    factory="fairlead_runtime_catboost.runtime:CatBoostRuntime",
    artifacts=("*.cbm", "*.json", "*.cb", "*.joblib", "*.pickle", "*.pkl"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING, Capability.COLUMNS, Capability.PREDICT_PROBA}),
    libraries=(LIBRARY,),
    settings=(methods.METHOD, threads.NTHREAD),
    unpickles=True,
    recorded="fairlead_runtime_catboost.files:needed",
    recognises="fairlead_runtime_catboost.files:recognises",
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The CatBoost runtime."""
    return (SPEC,)
