"""What the core needs to know of this runtime; importing it loads neither MLflow nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes.threads import NTHREAD

__all__ = ["SPEC", "fairlead_runtimes"]

# The folder of a model holds files of its framework too (model.pkl, model.onnx); MLmodel says how they are meant.
_ABOVE_OTHERS: Final = 10

SPEC: Final = RuntimeSpec(
    name="mlflow",
    formats=tuple(ModelFormat("mlflow", version=version, priority=_ABOVE_OTHERS) for version in ("1", "2")),
    factory="fairlead_runtime_mlflow.runtime:MlflowRuntime",
    artifacts=("MLmodel",),
    capabilities=frozenset(
        {
            Capability.ANY_THREAD,
            Capability.BATCHING,
            Capability.COLUMNS,
            Capability.JSON,
            Capability.PREDICT_PROBA,
        }
    ),
    libraries=(Library("mlflow", "mlflow", alternatives=("mlflow-skinny",)),),
    settings=(NTHREAD,),
    unpickles=True,
    recorded="fairlead_runtime_mlflow.mlmodel:recorded",
    requirements="fairlead_runtime_mlflow.mlmodel:requirements",
    aliases=("kserve-mlserver",),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The MLflow runtime."""
    return (SPEC,)
