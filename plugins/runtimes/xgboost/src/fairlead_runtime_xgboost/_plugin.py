"""What the core needs to know of this runtime; importing it loads neither XGBoost nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes import methods, threads

__all__ = ["EXTRAS", "LIBRARY", "SPEC", "fairlead_runtimes"]

LIBRARY: Final = Library(
    "xgboost",
    "xgboost",
    alternatives=("xgboost-cpu",),
    reads_older=True,
    hint="fairlead-runtime-xgboost[cpu]",
)
"""XGBoost, in whichever of its distributions."""

EXTRAS: Final = dict.fromkeys(("joblib", "sklearn"), "fairlead-runtime-xgboost[estimators]")
"""What brings the packages that pickled models need, by the name of the package."""

SPEC: Final = RuntimeSpec(
    name="xgboost",
    formats=(ModelFormat("xgboost", version="2"), ModelFormat("xgboost", version="1")),
    factory="fairlead_runtime_xgboost.runtime:XGBoostRuntime",
    artifacts=("*.bst", "*.json", "*.ubj", "*.xgb", "*.joblib", "*.pickle", "*.pkl"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING, Capability.COLUMNS, Capability.PREDICT_PROBA}),
    libraries=(LIBRARY,),
    settings=(methods.METHOD, threads.NTHREAD),
    unpickles=True,
    recorded="fairlead_runtime_xgboost.files:needed",
    recognises="fairlead_runtime_xgboost.files:recognises",
    aliases=("kserve-xgbserver", "kserve-predictiveserver", "kserve-mlserver"),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The XGBoost runtime."""
    return (SPEC,)
