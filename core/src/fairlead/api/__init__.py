"""The kinds of ``serving.kserve.io`` as typed objects, and manifests read into them.

Everything here is pure: no I/O, no clock. `fairlead.api.crds` makes the CustomResourceDefinitions.
"""

from __future__ import annotations

from fairlead.api.base import GROUP, Metadata, Resource
from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.kinds import KINDS
from fairlead.api.predictor import FRAMEWORKS
from fairlead.api.reading import read
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.api.trainedmodel import TrainedModel

__all__ = [
    "FRAMEWORKS",
    "GROUP",
    "KINDS",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "InferenceGraph",
    "InferenceService",
    "Metadata",
    "Resource",
    "ServingRuntime",
    "TrainedModel",
    "read",
]
