"""What the core needs to know of this runtime; importing it loads neither scikit-learn nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes import methods
from fairlead.runtimes.threads import NTHREAD

__all__ = ["METHODS", "SPEC", "fairlead_runtimes"]

METHODS: Final = (*methods.METHODS, "transform")
"""The methods of an estimator that a request may ask for."""

SPEC: Final = RuntimeSpec(
    name="sklearn",
    formats=(ModelFormat("sklearn", version="1"), ModelFormat("sklearn", version="0")),
    factory="fairlead_runtime_sklearn.runtime:SklearnRuntime",
    artifacts=("*.joblib", "*.pkl", "*.pickle", "*.skops"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING, Capability.COLUMNS, Capability.PREDICT_PROBA}),
    libraries=(Library("scikit-learn", "sklearn"),),
    settings=(methods.setting(METHODS), NTHREAD),
    unpickles=True,
    fork_safe=True,
    recorded="fairlead_runtime_sklearn.versions:saved_with",
    recognises="fairlead_runtime_sklearn.recognition:recognises",
    aliases=("kserve-sklearnserver", "kserve-predictiveserver", "kserve-mlserver"),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The scikit-learn runtime."""
    return (SPEC,)
