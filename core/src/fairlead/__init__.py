"""Fairlead: a KServe-compatible model inference platform built from plugins.

The names here are the public contract; each is imported from its module when it is first used, so that importing
``fairlead`` loads neither numpy nor a server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.client.client import Client
    from fairlead.contracts.autoscaler import (
        Autoscaler,
        AutoscalerMode,
        AutoscalerSpec,
        Decision,
        MetricsWindow,
        MetricTarget,
        ObjectKind,
        Replica,
        ReplicaPhase,
        Sample,
        ScalingSpec,
        TargetKind,
    )
    from fairlead.contracts.explainer import Explainer, ExplainerSpec, Predict
    from fairlead.contracts.runtime import (
        AnyModel,
        Artifact,
        AsyncModel,
        Capability,
        Delegate,
        Library,
        LoadSettings,
        Model,
        ModelFormat,
        ModelMetadata,
        Runtime,
        RuntimeSpec,
        Setting,
    )
    from fairlead.contracts.storage import RemoteObject, StorageProvider, StorageSpec
    from fairlead.contracts.tensors import (
        Datatype,
        InferRequest,
        InferResponse,
        RequestedOutput,
        Tensor,
        TensorSpec,
    )
    from fairlead.contracts.unpickling import UnpicklingMode, UnpicklingPolicy
    from fairlead.custom.model import CustomModel
    from fairlead.hookspecs import hookimpl
    from fairlead.predictor.client import Predictor

_HOMES = {
    "AnyModel": "contracts.runtime",
    "Artifact": "contracts.runtime",
    "AsyncModel": "contracts.runtime",
    "Autoscaler": "contracts.autoscaler",
    "AutoscalerMode": "contracts.autoscaler",
    "AutoscalerSpec": "contracts.autoscaler",
    "Capability": "contracts.runtime",
    "Client": "client.client",
    "CustomModel": "custom.model",
    "Datatype": "contracts.tensors",
    "Decision": "contracts.autoscaler",
    "Delegate": "contracts.runtime",
    "Explainer": "contracts.explainer",
    "ExplainerSpec": "contracts.explainer",
    "InferRequest": "contracts.tensors",
    "InferResponse": "contracts.tensors",
    "Library": "contracts.runtime",
    "LoadSettings": "contracts.runtime",
    "MetricTarget": "contracts.autoscaler",
    "MetricsWindow": "contracts.autoscaler",
    "Model": "contracts.runtime",
    "ModelFormat": "contracts.runtime",
    "ModelMetadata": "contracts.runtime",
    "ObjectKind": "contracts.autoscaler",
    "Predict": "contracts.explainer",
    "Predictor": "predictor.client",
    "RemoteObject": "contracts.storage",
    "Replica": "contracts.autoscaler",
    "ReplicaPhase": "contracts.autoscaler",
    "RequestedOutput": "contracts.tensors",
    "Runtime": "contracts.runtime",
    "RuntimeSpec": "contracts.runtime",
    "Sample": "contracts.autoscaler",
    "ScalingSpec": "contracts.autoscaler",
    "Setting": "contracts.runtime",
    "StorageProvider": "contracts.storage",
    "StorageSpec": "contracts.storage",
    "TargetKind": "contracts.autoscaler",
    "Tensor": "contracts.tensors",
    "TensorSpec": "contracts.tensors",
    "UnpicklingMode": "contracts.unpickling",
    "UnpicklingPolicy": "contracts.unpickling",
    "hookimpl": "hookspecs",
}

__all__ = [
    "AnyModel",
    "Artifact",
    "AsyncModel",
    "Autoscaler",
    "AutoscalerMode",
    "AutoscalerSpec",
    "Capability",
    "Client",
    "CustomModel",
    "Datatype",
    "Decision",
    "Delegate",
    "Explainer",
    "ExplainerSpec",
    "InferRequest",
    "InferResponse",
    "Library",
    "LoadSettings",
    "MetricTarget",
    "MetricsWindow",
    "Model",
    "ModelFormat",
    "ModelMetadata",
    "ObjectKind",
    "Predict",
    "Predictor",
    "RemoteObject",
    "Replica",
    "ReplicaPhase",
    "RequestedOutput",
    "Runtime",
    "RuntimeSpec",
    "Sample",
    "ScalingSpec",
    "Setting",
    "StorageProvider",
    "StorageSpec",
    "TargetKind",
    "Tensor",
    "TensorSpec",
    "UnpicklingMode",
    "UnpicklingPolicy",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fairlead")
    if name not in _HOMES:
        raise AttributeError(f"module 'fairlead' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fairlead.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
