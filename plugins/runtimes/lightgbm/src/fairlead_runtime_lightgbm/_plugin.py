"""What the core needs to know of this runtime; importing it loads neither LightGBM nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes import methods, threads

__all__ = ["EXTRAS", "LIBRARY", "SPEC", "fairlead_runtimes"]

LIBRARY: Final = Library("lightgbm", "lightgbm", reads_older=True)
"""LightGBM."""

EXTRAS: Final = {
    "joblib": "fairlead-runtime-lightgbm[estimators]",
    "sklearn": "fairlead-runtime-lightgbm[estimators]",
    "pandas": "fairlead-runtime-lightgbm[pandas]",
}
"""What brings the packages that pickled models need, by the name of the package."""

SPEC: Final = RuntimeSpec(
    name="lightgbm",
    formats=(ModelFormat("lightgbm", version="4"), ModelFormat("lightgbm", version="3")),
    factory="fairlead_runtime_lightgbm.runtime:LightGBMRuntime",
    artifacts=("*.bst", "*.txt", "*.json", "*.lgb", "*.joblib", "*.pickle", "*.pkl"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING, Capability.COLUMNS, Capability.PREDICT_PROBA}),
    libraries=(LIBRARY,),
    settings=(methods.METHOD, threads.NTHREAD),
    unpickles=True,
    recognises="fairlead_runtime_lightgbm.files:recognises",
    aliases=("kserve-lgbserver", "kserve-predictiveserver", "kserve-mlserver"),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The LightGBM runtime."""
    return (SPEC,)
