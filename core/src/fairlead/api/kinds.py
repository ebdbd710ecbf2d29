"""The kinds that are known, and how one is found by what a document calls itself."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.kubernetes import ConfigMap, Secret, ServiceAccount
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.api.trainedmodel import TrainedModel

if TYPE_CHECKING:
    from fairlead.api import base

__all__ = ["KINDS", "KUBERNETES_KINDS", "find", "why_unknown"]

KINDS: Final[Sequence[type[base.Resource]]] = (
    InferenceService,
    ServingRuntime,
    ClusterServingRuntime,
    ClusterStorageContainer,
    InferenceGraph,
    TrainedModel,
)
"""Every kind of ``serving.kserve.io``."""

KUBERNETES_KINDS: Final[Sequence[type[base.Resource]]] = (Secret, ConfigMap, ServiceAccount)
"""The kinds of Kubernetes' own that are read beside them, because services name them."""

_BY_IDENTITY: Final = {kind.identity(): kind for kind in (*KINDS, *KUBERNETES_KINDS)}


def find(api_version: str, kind: str) -> type[base.Resource] | None:
    """The kind of a document that says this of itself; None where it is not known."""
    return _BY_IDENTITY.get((api_version, kind))


def why_unknown(api_version: str, kind: str) -> str:
    """What is wrong with a pair that `find` does not know, and what comes near to it."""
    versions = {name: version for version, name in _BY_IDENTITY}
    if kind in versions:
        return f"{kind} is known as {versions[kind]}, and not as {api_version!r}."
    folded = {name.lower(): name for name in versions}
    near = [folded[name] for name in difflib.get_close_matches(kind.lower(), folded, n=2)]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The kinds are {', '.join(versions)}."
    return f"There is no kind {kind!r} of {api_version!r} here. {hint}"
