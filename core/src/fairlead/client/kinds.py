"""Where an API server has the objects of each kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.api import (
    ClusterServingRuntime,
    ClusterStorageContainer,
    InferenceGraph,
    InferenceService,
    ServingRuntime,
    TrainedModel,
)

if TYPE_CHECKING:
    from fairlead.api import Resource

__all__ = ["Place", "place"]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where the objects of a kind are.

    Attributes:
        group: its group.
        version: its version.
        plural: its name in paths.
        namespaced: whether its objects are in namespaces.
    """

    group: str
    version: str
    plural: str
    namespaced: bool


_PLURALS: Final[Mapping[type[Resource], str]] = {
    ClusterServingRuntime: "clusterservingruntimes",
    ClusterStorageContainer: "clusterstoragecontainers",
    InferenceGraph: "inferencegraphs",
    InferenceService: "inferenceservices",
    ServingRuntime: "servingruntimes",
    TrainedModel: "trainedmodels",
}
_OF_CLUSTERS: Final = (ClusterServingRuntime, ClusterStorageContainer)


def place(kind: type[Resource]) -> Place:
    """Where the objects of a kind are.

    Raises:
        ConfigurationError: it is a kind of Kubernetes' own, which Kubernetes' client is for.
    """
    api_version, name = kind.identity()
    if kind not in _PLURALS:
        known = ", ".join(each.identity()[1] for each in _PLURALS)
        raise errors.ConfigurationError(
            f"{name} is of {api_version}, and this client has {known}.",
            remedy="Use the kubernetes package for it.",
        )
    group, _, version = api_version.partition("/")
    return Place(group, version, _PLURALS[kind], kind not in _OF_CLUSTERS)
