"""Services and observations for tests of what is derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.api.inferenceservice import InferenceService
from fairlead.contracts.autoscaler import ScalingSpec
from fairlead.resolve.observation import (
    ComponentObservation,
    Ingress,
    ReplicaObservation,
    ReplicaStage,
    RevisionObservation,
    ServiceObservation,
    Share,
)
from fairlead.resolve.service import (
    ComponentKind,
    ResolvedCanary,
    ResolvedComponent,
    ResolvedModel,
    ResolvedRuntime,
    ResolvedService,
    Scaling,
)

if TYPE_CHECKING:
    from fairlead.api.status import Condition, InferenceServiceStatus

__all__ = [
    "AT",
    "LATER",
    "component",
    "condition",
    "observation",
    "replica",
    "revision",
    "rolled_out",
    "service",
    "states",
    "words",
]

AT: Final = "2026-05-04T03:02:01Z"
LATER: Final = "2026-05-04T03:05:09Z"


def service(
    *kinds: ComponentKind,
    mode: str = "Knative",
    canaries: Sequence[tuple[str, int]] = (),
    stopped: bool = False,
    runtime_kind: str = "ClusterServingRuntime",
) -> ResolvedService:
    """A service ``iris`` with a model, and with these components beside its predictor."""
    declared = InferenceService.parse(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "iris"},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "file:///iris"}}},
        }
    )
    return ResolvedService(
        declared=declared,
        mode=mode,
        components={kind: resolved(kind, runtime_kind) for kind in (ComponentKind.PREDICTOR, *kinds)},
        canaries=tuple(
            ResolvedCanary(name=name, traffic_percent=percent, component=resolved(ComponentKind.PREDICTOR))
            for name, percent in canaries
        ),
        stopped=stopped,
        host="iris-default.localhost",
        path="/serving/default/iris",
    )


def resolved(kind: ComponentKind, runtime_kind: str = "ClusterServingRuntime") -> ResolvedComponent:
    runtime = ResolvedRuntime(name="sklearn", kind=runtime_kind)
    model = ResolvedModel(format="sklearn", format_version=None, protocol="v1", runtime=runtime)
    return ResolvedComponent(
        kind=kind,
        name=f"iris-{kind}",
        pod={},
        labels={},
        annotations={},
        sources=(),
        scaling=Scaling(strategy="kpa", spec=ScalingSpec()),
        model=model if kind is ComponentKind.PREDICTOR else None,
    )


def replica(stage: str = "ready", name: str = "r1", created_at: float = 1.0, **more: Any) -> ReplicaObservation:
    """A replica at a stage."""
    return ReplicaObservation(name=name, stage=ReplicaStage(stage), created_at=created_at, **more)


def revision(
    number: int, *replicas: ReplicaObservation, of: str = "iris-predictor", **more: Any
) -> RevisionObservation:
    """A revision with replicas; ready when one of them is, unless it is said."""
    more = {"ready": any(each.stage == "ready" for each in replicas), "desired": len(replicas), **more}
    return RevisionObservation(name=f"{of}-{number:05d}", replicas=replicas, **more)


def component(
    *revisions: RevisionObservation, traffic: Sequence[tuple[int, int]] = (), of: str = "iris-predictor", **more: Any
) -> ComponentObservation:
    """A component of these revisions, the latest first; traffic by number of revision and percent."""
    names = {index: f"{of}-{index:05d}" for index, _ in traffic}
    shares = tuple(
        Share(revision=names[number], percent=percent, latest=not index, tag="prev" if index else None)
        for index, (number, percent) in enumerate(traffic)
    )
    ready = next((each.name for each in revisions if each.ready), shares[0].revision if shares else None)
    given: dict[str, Any] = {
        "latest_created": revisions[0].name if revisions else f"{of}-00001",
        "latest_ready": ready,
        "latest_rolled_out": shares[-1].revision if shares else None,
        "url": f"http://{of}-default.localhost",
    }
    return ComponentObservation(revisions=revisions, traffic=shares, **{**given, **more})


def rolled_out(of: str = "iris-predictor") -> ComponentObservation:
    """A component whose only revision answers everything."""
    return component(revision(1, replica(), of=of), traffic=[(1, 100)], of=of)


def observation(predictor: ComponentObservation | None = None, **more: Any) -> ServiceObservation:
    """What there is of a service; other components by their names."""
    others = {kind: more.pop(kind.value) for kind in ComponentKind if kind.value in more}
    given: dict[str, Any] = {
        "ingress": Ingress(ready=True),
        "url": "http://iris-default.localhost:8080",
        "address": "http://iris.default.svc",
        "generation": 3,
    }
    components = {ComponentKind.PREDICTOR: predictor or rolled_out(), **others}
    return ServiceObservation(components=components, **{**given, **more})


def condition(status: InferenceServiceStatus, kind: str) -> Condition:
    """The condition of a type, which must be there."""
    return next(each for each in status.conditions or () if each.type == kind)


def words(status: InferenceServiceStatus, *kinds: str) -> dict[str, tuple[str, str | None]]:
    """Status and reason of conditions; of all of them when none is named."""
    found = {each.type: (each.status, each.reason) for each in status.conditions or ()}
    return {kind: found[kind] for kind in kinds} if kinds else found


def states(status: InferenceServiceStatus) -> tuple[str, str, str]:
    """Transition, active and target state of the model."""
    model = status.model_status
    assert model is not None
    assert model.states is not None
    return model.transition_status, model.states.active_model_state, model.states.target_model_state
