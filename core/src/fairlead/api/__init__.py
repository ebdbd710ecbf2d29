"""The kinds of ``serving.kserve.io``, and Kubernetes' own that they name, as typed objects; manifests read into them.

Everything here is pure: no I/O, no clock. `fairlead.api.crds` makes the CustomResourceDefinitions.
"""

from __future__ import annotations

from fairlead.api.base import GROUP, Metadata, Resource
from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.kinds import KINDS, KUBERNETES_KINDS
from fairlead.api.kubernetes import ConfigMap, Secret, ServiceAccount
from fairlead.api.predictor import FRAMEWORKS
from fairlead.api.reading import parse, read
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.api.trainedmodel import TrainedModel

__all__ = [
    "FRAMEWORKS",
    "GROUP",
    "KINDS",
    "KUBERNETES_KINDS",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "ConfigMap",
    "InferenceGraph",
    "InferenceService",
    "Metadata",
    "Resource",
    "Secret",
    "ServiceAccount",
    "ServingRuntime",
    "TrainedModel",
    "parse",
    "read",
]
