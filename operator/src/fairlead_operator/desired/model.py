"""What rendering takes and gives, beside the service itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead_operator.configuration.model import OperatorConfig

if TYPE_CHECKING:
    from fairlead.api.storagecontainer import ClusterStorageContainer
    from fairlead.contracts.autoscaler import Autoscaler, AutoscalerSpec

__all__ = ["APP_LABEL", "LATEST", "Desired", "Manifest", "Owner", "Problem", "Strategy", "Surroundings"]

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as plain data."""

APP_LABEL: Final = "app"
"""Labels the pods of one component: ``isvc.<name of the component's objects>``."""

LATEST: Final = (1, 37)
"""The Kubernetes that is assumed where nobody says which one it is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The InferenceService that objects belong to."""

    name: str
    namespace: str
    uid: str
    generation: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Strategy:
    """An installed autoscaler plugin.

    Attributes:
        spec: what it says of itself.
        autoscaler: the strategy.
        fault: why its objects cannot be handled, a sentence; empty where they can.
    """

    spec: AutoscalerSpec
    autoscaler: Autoscaler
    fault: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an InferenceService is rendered in.

    Attributes:
        owner: the InferenceService.
        config: the configuration that counts for it.
        apis: the kinds that the cluster serves beside Kubernetes' own, as ``group/Kind``: ``keda.sh/ScaledObject``,
            ``gateway.networking.k8s.io/HTTPRoute``, ``opentelemetry.io/OpenTelemetryCollector``.
        version: major and minor version of Kubernetes.
        ready: the names of component objects whose Deployment answers; what is not in it does not, or is not there.
        storage_containers: the ClusterStorageContainers.
        strategies: the autoscaler plugins, by name.
        home: the namespace of the operator, whose ConfigMaps other namespaces have copies of.
    """

    owner: Owner
    config: OperatorConfig = dataclasses.field(default_factory=OperatorConfig)
    apis: frozenset[str] = frozenset()
    version: tuple[int, int] = LATEST
    ready: frozenset[str] = frozenset()
    storage_containers: tuple[ClusterStorageContainer, ...] = ()
    strategies: Mapping[str, Strategy] = dataclasses.field(default_factory=dict)
    home: str = "kserve"


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What cannot be rendered, while the rest can: a condition of the service's status.

    Attributes:
        condition: the type of the condition: ``IngressReady``, ``AutoscalerReady``, ``ConfigurationReady``.
        reason: why it is False, in one word.
        message: why, in sentences, with what to do.
    """

    condition: str
    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All objects of an InferenceService.

    Attributes:
        objects: the objects, in the order in which they are made; each has namespace, labels and its owner.
        problems: what could not be rendered.
    """

    objects: tuple[Manifest, ...] = ()
    problems: tuple[Problem, ...] = ()
