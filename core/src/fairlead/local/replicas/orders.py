"""What a replica is told to be: plain values, made from a component of an InferenceService."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.local.declared import Declared

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedModel, Source

__all__ = ["Order", "Ports"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of a replica on loopback.

    Attributes:
        http: where it is to listen for HTTP/1.1; None for a component that speaks gRPC alone.
        grpc: where it is to listen for gRPC; None for one that does not.
    """

    http: int | None
    grpc: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A replica that is to run.

    Attributes:
        name: its name, unique over the platform's life, such as ``iris-predictor-00002-x7k2p``.
        namespace: the namespace of its service.
        service: the name of its service.
        component: ``predictor``, ``transformer`` or ``explainer``.
        revision: the revision that it is a replica of.
        pod: its PodSpec, the main container first.
        sources: the artefacts that it needs.
        model: what a predictor with a model serves; None for containers of one's own.
        predictor: ``host:port`` by which it asks the predictor, in place of the name that it would have in a cluster;
            None for a predictor.
        predictor_name: that name in a cluster, such as ``iris-predictor.default``.
        folder: a folder of its own, for volumes and for files that the platform makes for it.
        logs: the file that its output is written to.
        declared: what is declared now of Secrets and what names them.
    """

    name: str
    namespace: str
    service: str
    component: str
    revision: str
    pod: Mapping[str, Any]
    sources: tuple[Source, ...]
    model: ResolvedModel | None
    predictor: str | None
    predictor_name: str | None
    folder: Path
    logs: Path
    declared: Declared = dataclasses.field(default_factory=Declared, repr=False, compare=False)
