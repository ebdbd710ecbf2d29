"""The plugin ``mlflow``: models of MLflow's registry, artefacts of its runs."""

from __future__ import annotations

from fairlead.contracts.storage import StorageSpec
from fairlead.hookspecs import hookimpl


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """Describe the provider for MLflow."""
    return [
        StorageSpec(
            name="mlflow",
            prefixes=("mlflow://",),  # taken to say what to write in its place
            patterns=(r"models:/", r"runs:/", r"mlflow-artifacts:/"),
            factory="fairlead_storage_mlflow.provider:MlflowProvider",
            credentials=("MLFLOW_*", "*-headers", "FAIRLEAD_STORAGE_*"),
            origins=("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_WORKSPACE"),
        )
    ]
