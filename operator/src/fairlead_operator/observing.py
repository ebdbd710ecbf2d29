"""What is seen of an InferenceService in the cluster, as what its status is derived from: pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead.resolve.conditions import Verdict
from fairlead.resolve.observation import ComponentObservation, Ingress, ServiceObservation
from fairlead.resolve.service import ComponentKind, ResolvedService
from fairlead_operator import deployments_seen

if TYPE_CHECKING:
    from fairlead.resolve.status import Unresolved
    from fairlead_operator.desired.model import Manifest, Problem
    from fairlead_operator.desired.routing import Addresses

__all__ = ["Seen", "observe", "ready"]

_DEPLOYMENT: Final = "Deployment"
_COMPONENT: Final = "component"
_WORKER: Final = "-worker"
_INGRESS: Final = "IngressReady"
_ADVICE: Final = "Advice"
_LONGEST: Final = 4000
_ASKED_BY_READY: Final = frozenset({_INGRESS, "PredictorReady", "TransformerReady", "ExplainerReady"})
_WAITING: Final = Ingress(ready=False, reason="NotReady", message="Nothing of the service is there yet.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of a service.

    Attributes:
        objects: its objects, by kind and name.
        pods: the pods of each Deployment, by its name.
        addresses: where it is asked; None for one that cannot be resolved.
        routes: whether requests come to it, as `fairlead_operator.desired.routing.ready` says; None for one that cannot
            be resolved: then they come as before, where its components answer.
        generation: the generation of the InferenceService that this is about.
        problems: what could not be rendered.
        notes: what its user should know beside that, one sentence each.
    """

    objects: Mapping[tuple[str, str], Manifest] = dataclasses.field(default_factory=dict)
    pods: Mapping[str, tuple[Manifest, ...]] = dataclasses.field(default_factory=dict)
    addresses: Addresses | None = None
    routes: Ingress | None = None
    generation: int = 1
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def observe(service: ResolvedService | Unresolved, seen: Seen) -> ServiceObservation:
    """What is seen of a service.

    Args:
        service: what it comes to, or why it comes to nothing: then what an earlier spec has made is told of.
        seen: what there is of it.
    """
    if isinstance(service, ResolvedService):
        names = {kind: each.name for kind, each in service.components.items()}
        canaries = {each.name: each.component.name for each in service.canaries}
    else:
        names, canaries = _left(service.name, seen), {}
    components = {kind: found for kind, name in names.items() if (found := _component(name, seen, kind))}
    answers = bool(components) and all(each.traffic for each in components.values())
    return ServiceObservation(
        ingress=seen.routes or (Ingress(ready=True) if answers else _WAITING),
        components=components,
        canaries={
            each: found for each, name in canaries.items() if (found := _component(name, seen, canary=True)) is not None
        },
        url=None if seen.addresses is None else seen.addresses.url,
        address=None if seen.addresses is None else seen.addresses.address,
        generation=seen.generation,
        conditions={**_conditions(seen.problems), **_advice(seen.notes)},
    )


def ready(service: ResolvedService, objects: Mapping[tuple[str, str], Manifest]) -> frozenset[str]:
    """The names of the components and canaries of a service that take requests, as `Surroundings.ready` has them.

    A component that is at zero on purpose stays among them; a canary needs a pod that answers.
    """
    found = set()
    for each in service.components.values():
        deployment = objects.get((_DEPLOYMENT, each.name))
        worker = objects.get((_DEPLOYMENT, f"{each.name}{_WORKER}"))
        if deployment is not None and deployments_seen.available(deployment, worker):
            found.add(each.name)
    for canary in service.canaries:
        deployment = objects.get((_DEPLOYMENT, canary.component.name))
        if deployment is not None and deployments_seen.answers(deployment):
            found.add(canary.component.name)
    return frozenset(found)


def _component(
    name: str, seen: Seen, kind: ComponentKind | None = None, *, canary: bool = False
) -> ComponentObservation | None:
    """What there is of a component whose Deployment has a name; None where there is none."""
    deployment = seen.objects.get((_DEPLOYMENT, name))
    if deployment is None:
        return None
    others = f"{name}{_WORKER}"
    found = deployments_seen.component(
        deployment,
        seen.pods.get(name, ()),
        seen.objects.get((_DEPLOYMENT, others)),
        seen.pods.get(others, ()),
        canary=canary,
    )
    if kind is None or seen.addresses is None:
        return found
    return dataclasses.replace(found, url=seen.addresses.components.get(kind))


def _left(service: str, seen: Seen) -> dict[ComponentKind, str]:
    """The components that an earlier spec of a service has left, by what their Deployments say of themselves."""
    found: dict[ComponentKind, str] = {}
    for (kind, name), each in sorted(seen.objects.items(), key=lambda item: item[0]):
        label = (each["metadata"].get("labels") or {}).get(_COMPONENT)
        if kind != _DEPLOYMENT or label not in tuple(ComponentKind) or name.endswith(_WORKER):
            continue
        component = ComponentKind(label)
        if name == f"{service}-{component}":
            found[component] = name
        else:
            found.setdefault(component, name)
    return found


def _conditions(problems: Iterable[Problem]) -> dict[str, Verdict]:
    """What could not be rendered, as conditions; several of one type are one, with the word of the first."""
    found: dict[str, Verdict] = {}
    for each in problems:
        severity = None if each.condition in _ASKED_BY_READY else "Warning"
        known = found.get(each.condition)
        if known is None:
            found[each.condition] = Verdict("False", each.reason, each.message, severity)
        elif each.message not in known.message:
            found[each.condition] = dataclasses.replace(known, message=f"{known.message} {each.message}")
    return found


def _advice(notes: Iterable[str]) -> dict[str, Verdict]:
    """What a user should know of a service that is right all the same."""
    message = " ".join(dict.fromkeys(notes))
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 1]}…"
    return {_ADVICE: Verdict("True", "Noted", message, "Info")} if message else {}
