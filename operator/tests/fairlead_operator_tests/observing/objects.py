"""Deployments, pods and services as an API server has them, for tests of what is seen in them."""

from __future__ import annotations

from typing import Any, Final

from fairlead.resolve import status
from fairlead.resolve.observation import Ingress
from fairlead_operator.observing import Seen, observe
from fairlead_operator_tests.desired import services

__all__ = [
    "AT",
    "LATER",
    "PROGRESSING",
    "ROLLED_OUT",
    "condition",
    "deployment",
    "derived",
    "pod",
    "running",
    "waiting",
    "words",
]

AT: Final = "2026-05-04T03:02:01Z"
LATER: Final = "2026-05-04T03:05:09Z"

ROLLED_OUT: Final = ("True", "NewReplicaSetAvailable", 'ReplicaSet "iris-predictor-new" has successfully progressed.')
PROGRESSING: Final = ("True", "ReplicaSetUpdated", 'ReplicaSet "iris-predictor-new" is progressing.')


def deployment(name: str = "iris-predictor", *, revision: int = 1, **more: Any) -> dict[str, Any]:
    """A Deployment.

    Args:
        name: its name.
        revision: the number of its latest revision.
        more: its conditions by their types in lower case, each as status, reason and message, and ``generation``,
            ``observed``, ``replicas``, ``ready``, ``updated``, ``labels``.
    """
    types = {"available": "Available", "progressing": "Progressing", "failure": "ReplicaFailure"}
    conditions = [
        dict(zip(("type", "status", "reason", "message"), (title, *more[word]), strict=False))
        for word, title in types.items()
        if word in more
    ]
    replicas, ready = more.get("replicas", 1), more.get("ready", 0)
    counts = {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "generation": more.get("generation", 1),
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "labels": more.get("labels", {"component": name.rpartition("-")[2]}),
        },
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": more.get("observed", more.get("generation", 1)),
            "updatedReplicas": more.get("updated", replicas),
            "conditions": conditions,
            **counts,
        },
    }


def running(name: str = "kserve-container", *, since: str = AT, **more: Any) -> dict[str, Any]:
    """The status of a container that runs."""
    return {"name": name, "ready": False, "restartCount": 0, "state": {"running": {"startedAt": since}}, **more}


def waiting(name: str, reason: str, message: str = "", ended: dict[str, Any] | None = None) -> dict[str, Any]:
    """The status of a container that waits, and how it ended before."""
    status = {"name": name, "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}
    return {**status, "restartCount": 3, "lastState": {"terminated": ended}} if ended else status


def pod(name: str = "iris-predictor-new-a", *, of: str = "new", created: str = AT, **more: Any) -> dict[str, Any]:
    """A pod.

    Args:
        name: its name.
        of: the hash of its template.
        created: when it was made.
        more: ``init`` and ``containers``, the statuses of its containers; ``conditions``; ``ready`` for one that is,
            since a time; ``metadata``; ``spec``; and other fields of its status.
    """
    status = {"phase": "Pending"}
    init, containers = more.pop("init", []), more.pop("containers", [])
    conditions = list(more.pop("conditions", []))
    if ready := more.pop("ready", None):
        conditions.append({"type": "Ready", "status": "True", "lastTransitionTime": ready})
        containers = containers or [{**running(), "ready": True}]
    metadata = {"name": name, "creationTimestamp": created, "labels": {"pod-template-hash": of}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, **more.pop("metadata", {})},
        "spec": more.pop("spec", {}),
        "status": {
            **status,
            "initContainerStatuses": init,
            "containerStatuses": containers,
            "conditions": conditions,
            **more,
        },
    }


def condition(status: Any, kind: str) -> Any:
    """The condition of a type; None where there is none."""
    return next((each for each in status.conditions or () if each.type == kind), None)


def words(status: Any, *kinds: str) -> dict[str, tuple[str, str | None]]:
    """Status and reason of conditions."""
    found = {each.type: (each.status, each.reason) for each in status.conditions or ()}
    return {kind: found[kind] for kind in kinds}


def derived(
    *deployments: dict[str, Any],
    pods: dict[str, tuple[dict[str, Any], ...]] | None = None,
    before: Any = None,
    text: str | None = None,
    **more: Any,
) -> Any:
    """The status of the service iris in the mode Standard, of these Deployments and pods."""
    service = services.resolved(text or services.isvc())
    objects = {("Deployment", each["metadata"]["name"]): each for each in deployments}
    seen = Seen(objects=objects, pods=pods or {}, **{"routes": Ingress(ready=True), "generation": 4, **more})
    return status.derive(service, observe(service, seen), before, AT if before is None else LATER)
