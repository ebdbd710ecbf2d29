"""What the components of one InferenceService are resolved with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.api.inferenceservice import InferenceService
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead.resolve.service import ResolvedModel, ResolvedWorkers, Source

__all__ = ["Context", "Parts"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all components of an InferenceService have in common.

    Attributes:
        service: the InferenceService, after defaulting.
        namespace: its namespace.
        mode: its deployment mode.
        catalogue: the runtimes, storage providers and strategies that there are.
        config: the settings of the platform.
        predictor: the name of the predictor's objects.
    """

    service: InferenceService
    namespace: str
    mode: str
    catalogue: Catalogue
    config: Config
    predictor: str

    @property
    def name(self) -> str:
        """The name of the InferenceService."""
        return self.service.metadata.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a component consists of, by what it is made of: a model in a runtime, or containers of one's own.

    Attributes:
        pod: its PodSpec, the main container first.
        sources: the artefacts that it needs.
        model: what it serves, where that is a model in a runtime.
        labels: the runtime's labels.
        annotations: the runtime's annotations.
        service_labels: labels that the InferenceService gets for its runtime.
        warnings: what its user should know: one sentence each.
        workers: the nodes beside the first, where a replica is several nodes.
    """

    pod: Mapping[str, Any]
    sources: tuple[Source, ...]
    model: ResolvedModel | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    service_labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    workers: ResolvedWorkers | None = None

    def with_pod(self, pod: Mapping[str, Any]) -> Parts:
        """The same with another PodSpec."""
        return dataclasses.replace(self, pod=pod)
