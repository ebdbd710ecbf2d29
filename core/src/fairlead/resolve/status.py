"""The status of an InferenceService, derived from what it comes to and what was observed of it.

KServe's conditions in KServe's words, and pure: the laptop and the cluster say the same of the same observations.
``docs/status.md`` has each condition, and where this differs from KServe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead.api.status import (
    Address,
    CanaryStatus,
    ComponentStatus,
    Condition,
    InferenceServiceStatus,
    ModelStatus,
    Traffic,
)
from fairlead.resolve import conditions, modelstatus, readiness
from fairlead.resolve.conditions import Verdict
from fairlead.resolve.service import ComponentKind

if TYPE_CHECKING:
    from fairlead.resolve.observation import ComponentObservation, ServiceObservation
    from fairlead.resolve.service import ResolvedService

__all__ = ["Unresolved", "derive"]

_STOPPED: Final = Verdict("False", "Stopped", "The annotation serving.kserve.io/stop asks for nothing to run.")
_NAMES: Final = {kind: kind.value.capitalize() for kind in ComponentKind}
_DECIDED_HERE: Final = ("Ready", "Stopped")
_ROUTES: Final = {
    ComponentKind.PREDICTOR: "PredictorRouteReady",
    ComponentKind.TRANSFORMER: "TransformerRouteReady",
    ComponentKind.EXPLAINER: "ExplainerRoutesReady",  # the API has the plural here alone
}


@dataclasses.dataclass(frozen=True, slots=True)
class Unresolved:
    """An InferenceService that nothing here can run as it stands.

    Attributes:
        name: its name.
        namespace: its namespace.
        condition: why, in one word, such as ``NoSupportingRuntime``.
        message: why, in sentences, with what to do.
        mode: its deployment mode: ``Knative`` or ``Standard``.
    """

    name: str
    namespace: str
    condition: str
    message: str
    mode: str = "Knative"


def derive(
    service: ResolvedService | Unresolved,
    observed: ServiceObservation | None,
    previous: InferenceServiceStatus | None,
    now: str,
) -> InferenceServiceStatus:
    """The status of an InferenceService.

    Args:
        service: what it comes to, or why it comes to nothing.
        observed: what there is of it; None for nothing yet.
        previous: the status before: conditions that did not change keep their times, and what is tried again keeps
            its failure.
        now: the time of what changes, as RFC 3339 writes it (``2026-05-04T03:02:01Z``).

    Returns:
        A status in which nothing is null.
    """
    before = previous or InferenceServiceStatus()
    if isinstance(service, Unresolved):
        status = _unresolved(service, observed, before, now)
    elif service.stopped:
        status = _stopped(service, observed, before, now)
    else:
        status = _resolved(service, observed, before, now)
    return InferenceServiceStatus.model_validate(
        status.model_dump(by_alias=True, exclude_none=True), by_alias=True, by_name=False
    )


def _resolved(
    service: ResolvedService, observed: ServiceObservation | None, before: InferenceServiceStatus, now: str
) -> InferenceServiceStatus:
    earlier = _of_a_spec_that_ran(before)
    verdicts = {
        _ready(kind): _said(observed, _ready(kind))
        or readiness.component(_component(observed, kind), conditions.held(earlier, _ready(kind)))
        for kind in ComponentKind
        if kind in service.components
    }
    answering = conditions.both(*verdicts.values())
    routed = _ingress(observed).holds
    verdicts["IngressReady"] = _ingress(observed)
    # What is not there cannot be routed to: then it is the component that tells why.
    verdicts["Ready"] = verdicts["IngressReady"] if answering.holds else answering
    if service.mode == "Knative":
        verdicts |= _knative(list(service.components), observed, earlier)
    canaries = _canaries(service, observed, before, now)
    if canaries:
        verdicts["CanaryPredictorReady"] = _canary_verdict(canaries)
    verdicts |= _limits(observed)
    verdicts |= _more(observed, verdicts)
    verdicts["Stopped"] = Verdict("False")
    model = service.predictor.model
    runtime = None if model is None else model.runtime
    return InferenceServiceStatus(
        conditions=conditions.condition_list(verdicts, before.conditions, now),
        observed_generation=_generation(observed, before),
        deployment_mode=service.mode,
        components=_components(observed, {kind for kind in _NAMES if verdicts.get(_ready(kind), _STOPPED).holds}),
        model_status=modelstatus.model_status(_component(observed, ComponentKind.PREDICTOR), before.model_status, now),
        canary_statuses=canaries or None,
        serving_runtime_name=runtime.name if runtime and runtime.kind == "ServingRuntime" else None,
        cluster_serving_runtime_name=runtime.name if runtime and runtime.kind == "ClusterServingRuntime" else None,
        url=observed.url if routed and observed else None,
        address=Address(url=observed.address) if routed and observed and observed.address else None,
    )


def _unresolved(
    service: Unresolved, observed: ServiceObservation | None, before: InferenceServiceStatus, now: str
) -> InferenceServiceStatus:
    """A spec that cannot be run: not ready, while what an earlier spec has made is told of as it is."""
    wrong = Verdict("False", service.condition, service.message)
    nothing = Verdict("Unknown", "PredictorNotReady", "There is nothing to route to.")
    ingress = nothing if observed is None else _ingress(observed)
    verdicts = {"PredictorReady": wrong, "Ready": wrong, "IngressReady": ingress, "Stopped": Verdict("False")}
    verdicts |= _limits(observed)
    verdicts |= _more(observed, verdicts)
    present = {} if observed is None else observed.components
    routed = ingress.holds and observed is not None
    url = (observed.url if observed else None) or before.url
    address = (observed.address if observed else None) or (before.address.url if before.address else None)
    return InferenceServiceStatus(
        conditions=conditions.condition_list(verdicts, before.conditions, now),
        observed_generation=_generation(observed, before),
        deployment_mode=service.mode,
        components=_components(observed, {kind for kind, each in present.items() if readiness.component(each).holds}),
        model_status=modelstatus.invalid(
            service.condition, service.message, present.get(ComponentKind.PREDICTOR), before.model_status, now
        ),
        url=url if routed else None,
        address=Address(url=address) if routed and address else None,
    )


def _stopped(
    service: ResolvedService, observed: ServiceObservation | None, before: InferenceServiceStatus, now: str
) -> InferenceServiceStatus:
    verdicts = {_ready(kind): _STOPPED for kind in service.components}
    verdicts |= {"IngressReady": _STOPPED, "Ready": _STOPPED, "Stopped": Verdict("True")}
    if service.canaries:
        verdicts["CanaryPredictorReady"] = _STOPPED
    return InferenceServiceStatus(
        conditions=conditions.condition_list(verdicts, before.conditions, now),
        observed_generation=_generation(observed, before),
        deployment_mode=service.mode,
    )


def _of_a_spec_that_ran(before: InferenceServiceStatus) -> list[Condition] | None:
    """The conditions before, where they are about replicas: what was said of a wrong spec says nothing of this one."""
    invalid = before.model_status is not None and before.model_status.transition_status == "InvalidSpec"
    stopped = any(each.type == "Stopped" and each.status == "True" for each in before.conditions or ())
    return None if invalid or stopped else before.conditions


def _ready(kind: ComponentKind) -> str:
    return f"{_NAMES[kind]}Ready"


def _component(observed: ServiceObservation | None, kind: ComponentKind) -> ComponentObservation | None:
    return None if observed is None else observed.components.get(kind)


def _generation(observed: ServiceObservation | None, before: InferenceServiceStatus) -> int | None:
    return before.observed_generation if observed is None else observed.generation


def _ingress(observed: ServiceObservation | None) -> Verdict:
    if observed is None:
        return readiness.NOT_OBSERVED
    if said := _said(observed, "IngressReady"):
        return said
    ingress = observed.ingress
    if ingress.ready:
        return conditions.TRUE
    return Verdict("False" if ingress.reason else "Unknown", ingress.reason or "NotRouted", ingress.message)


def _knative(
    kinds: Iterable[ComponentKind], observed: ServiceObservation | None, before: list[Condition] | None
) -> dict[str, Verdict]:
    """The conditions that only services of the mode ``Knative`` have."""
    routes: dict[str, Verdict] = {}
    configurations: dict[str, Verdict] = {}
    for kind in kinds:
        component = _component(observed, kind)
        name = f"{_NAMES[kind]}ConfigurationReady"
        latest = None if component is None else readiness.revision_named(component, component.latest_created)
        held = conditions.held(before, name)
        configurations[name] = readiness.NOT_OBSERVED if latest is None else readiness.revision(latest, held)
        routed = component is not None and bool(component.traffic)
        unrouted = Verdict("Unknown", "NoTraffic", "No revision of it is ready to take traffic yet.")
        routes[_ROUTES[kind]] = _ingress(observed) if routed else unrouted
    overall = {
        "RoutesReady": conditions.both(*routes.values()),
        "LatestDeploymentReady": conditions.both(*configurations.values()),
    }
    return routes | configurations | overall


def _canaries(
    service: ResolvedService, observed: ServiceObservation | None, before: InferenceServiceStatus, now: str
) -> list[CanaryStatus]:
    models: dict[str | None, ModelStatus | None] = {
        each.name: each.model_status for each in before.canary_statuses or ()
    }
    ready = {each.name: each.ready for each in before.canary_statuses or ()}
    found = []
    for canary in service.canaries:
        component = None if observed is None else observed.canaries.get(canary.name)
        held = conditions.TRUE if ready.get(canary.name) else None
        found.append(
            CanaryStatus(
                name=canary.name,
                ready=_answers(component, held),
                traffic_percent=canary.traffic_percent,
                model_status=modelstatus.model_status(component, models.get(canary.name), now),
            )
        )
    return found


def _answers(canary: ComponentObservation | None, held: Verdict | None) -> bool:
    """Whether a canary answers; its traffic is decided with that of the predictor, and need not be in its own."""
    latest = None if canary is None else readiness.revision_named(canary, canary.latest_created)
    return latest is not None and readiness.revision(latest, held).holds


def _canary_verdict(canaries: list[CanaryStatus]) -> Verdict:
    waiting = [each for each in canaries if not each.ready]
    if not waiting:
        return Verdict("True", "AllCanariesReady")
    told = [f"{each.name} ({_why(each.model_status)})" for each in waiting]
    return Verdict("False", "CanariesNotReady", f"Not ready: {', '.join(told)}.")


def _why(model: ModelStatus | None) -> str:
    info = None if model is None else model.last_failure_info
    if info is not None and info.message:
        return info.message.rstrip(".")
    return "it has not answered yet"


def _said(observed: ServiceObservation | None, kind: str) -> Verdict | None:
    """What the platform says of a condition in the place of what would follow; None where it says nothing."""
    return None if observed is None else observed.conditions.get(kind)


def _more(observed: ServiceObservation | None, verdicts: Collection[str]) -> dict[str, Verdict]:
    """The conditions that the platform adds."""
    said = {} if observed is None else observed.conditions
    return {kind: each for kind, each in said.items() if kind not in verdicts and kind not in _DECIDED_HERE}


def _limits(observed: ServiceObservation | None) -> dict[str, Verdict]:
    """Our own condition: components that have fewer replicas than their strategies ask for."""
    components: Mapping[str, ComponentObservation] = (
        {}
        if observed is None
        else {
            **{kind.value: each for kind, each in observed.components.items()},
            **{f"canary {name}": each for name, each in observed.canaries.items()},
        }
    )
    told = [f"{name}: {each.limited}" for name, each in components.items() if each.limited]
    return {"ReplicasLimited": Verdict("True", "MachineLimit", " ".join(told), "Warning")} if told else {}


def _components(
    observed: ServiceObservation | None, answering: Collection[ComponentKind]
) -> dict[str, ComponentStatus] | None:
    """What there is of each component; its addresses only while it answers."""
    if observed is None or not observed.components:
        return None
    return {
        kind.value: _component_status(each, reachable=kind in answering) for kind, each in observed.components.items()
    }


def _component_status(observed: ComponentObservation, *, reachable: bool) -> ComponentStatus:
    traffic = [
        Traffic(revision_name=each.revision, latest_revision=each.latest, percent=each.percent, tag=each.tag)
        for each in observed.traffic
    ]
    return ComponentStatus(
        latest_created_revision=observed.latest_created,
        latest_ready_revision=observed.latest_ready,
        latest_rolledout_revision=observed.latest_rolled_out,
        previous_rolledout_revision=observed.previous_rolled_out,
        traffic=traffic or None,
        url=observed.url if reachable else None,
        rest_url=observed.url if reachable else None,
        grpc_url=observed.grpc_url if reachable else None,
    )
