"""What controllers and nodes do to Deployments and pods, played for tests.

Beside the server in memory nobody runs, so that ReplicaSets, pods and the status of the Deployment are written here. A
real cluster without nodes has its controllers: there only the pods' status is written, and the Deployment's waited for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster, Manifest

__all__ = ["fail", "roll_out"]

_HASH: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"
_DONE: Final = "NewReplicaSetAvailable"


def roll_out(cluster: Cluster, namespace: str, name: str, *, ready: int | None = None, reason: str = "") -> Manifest:
    """Let the pods of a Deployment run.

    Args:
        cluster: Where.
        namespace: The namespace of the Deployment.
        name: Its name.
        ready: How many of its pods become ready; all by default.
        reason: Why it makes no progress, for a roll-out that fails: ``ProgressDeadlineExceeded``. A controller manager
            judges by itself, so that this works against the server in memory only.
    """
    deployment = cluster.read("apps/v1", "Deployment", name, namespace)
    wanted: int = deployment["spec"].get("replicas", 1)
    ready = wanted if ready is None else ready
    if cluster.real:
        if reason:
            raise ValueError("a controller manager judges the progress of a Deployment by itself")
        return _waited(cluster, namespace, name, wanted, ready)
    replica_set = _replica_set(cluster, deployment)
    pods = _pods(cluster, replica_set, wanted)
    for index, pod in enumerate(pods):
        _run(cluster, pod, ready=index < ready)
    if ready == wanted and not reason:
        _retire(cluster, deployment, replica_set)
    counts = {"replicas": wanted, "fullyLabeledReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    counts["observedGeneration"] = replica_set["metadata"]["generation"]
    cluster.patch_status("apps/v1", "ReplicaSet", replica_set["metadata"]["name"], counts, namespace)
    done = ready == wanted or _was_done(deployment, replica_set)
    status = _status(deployment, wanted, ready, reason, done=done)
    return cluster.patch_status("apps/v1", "Deployment", name, status, namespace)


def _waited(cluster: Cluster, namespace: str, name: str, wanted: int, ready: int) -> Manifest:
    """Let the pods run that the controllers made, and wait until they have counted them."""

    def pods() -> list[Manifest]:
        deployment = cluster.read("apps/v1", "Deployment", name, namespace)
        assert deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        revision = deployment["metadata"]["annotations"][_REVISION]
        owned = cluster.list("apps/v1", "ReplicaSet", namespace)
        newest = next(
            each
            for each in owned
            if _owner(each) == deployment["metadata"]["uid"] and each["metadata"]["annotations"][_REVISION] == revision
        )
        label = f"{_HASH}={newest['metadata']['labels'][_HASH]}"
        found = cluster.list("v1", "Pod", namespace, labelSelector=label)
        found = [each for each in found if _owner(each) == newest["metadata"]["uid"]]
        # While older pods run, a rolling update makes new ones one after another.
        assert found or not wanted
        for index, pod in enumerate(sorted(found, key=lambda each: str(each["metadata"]["name"]))):
            _run(cluster, pod, ready=index < ready)
        assert len(found) == wanted
        return found

    cluster.eventually(lambda: (pods(), True)[1])

    def counted() -> Manifest:
        found = cluster.read("apps/v1", "Deployment", name, namespace)
        status = found["status"]
        assert status["observedGeneration"] >= found["metadata"]["generation"]
        assert status.get("readyReplicas", 0) == status.get("availableReplicas", 0) == ready
        assert status.get("updatedReplicas", 0) == wanted
        return found

    return cluster.eventually(counted)


def _owner(given: Manifest) -> str:
    return next(
        (str(each["uid"]) for each in given["metadata"].get("ownerReferences", ()) if each.get("controller")), ""
    )


def _replica_set(cluster: Cluster, deployment: Manifest) -> Manifest:
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
    name = f"{metadata['name']}-{digest}"
    found = cluster.get("apps/v1", "ReplicaSet", name, metadata["namespace"])
    revision = int(metadata.get("annotations", {}).get(_REVISION, 0))
    if found is None or str(revision) != found["metadata"]["annotations"][_REVISION]:
        note = {"metadata": {"annotations": {_REVISION: str(revision + 1)}}}
        cluster.patch("apps/v1", "Deployment", metadata["name"], note, metadata["namespace"], below="status")
        if found is not None:
            return cluster.patch("apps/v1", "ReplicaSet", name, note, metadata["namespace"])
    if found is not None:
        return found
    labels = {**template["metadata"].get("labels", {}), _HASH: digest}
    return cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {_REVISION: str(revision + 1)},
                "ownerReferences": [_reference(deployment)],
            },
            "spec": {
                "replicas": deployment["spec"].get("replicas", 1),
                "selector": {"matchLabels": {**deployment["spec"]["selector"].get("matchLabels", {}), _HASH: digest}},
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
            },
        }
    )


def _reference(owner: Manifest) -> dict[str, Any]:
    found = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    return {**found, "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}


def _pods(cluster: Cluster, replica_set: Manifest, wanted: int) -> list[Manifest]:
    metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
    label = f"{_HASH}={metadata['labels'][_HASH]}"
    found = cluster.list("v1", "Pod", metadata["namespace"], labelSelector=label)
    found = [each for each in found if _owner(each) == metadata["uid"]]
    for pod in found[wanted:]:
        cluster.delete("v1", "Pod", pod["metadata"]["name"], metadata["namespace"])
    for _ in range(wanted - len(found)):
        head = {"generateName": f"{metadata['name']}-", "namespace": metadata["namespace"]}
        head |= {"ownerReferences": [_reference(replica_set)]}
        kept = {key: value for key, value in template["metadata"].items() if key in ("labels", "annotations")}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**head, **kept}, "spec": template["spec"]}
        found.append(cluster.create(pod))
    return found[:wanted]


def _retire(cluster: Cluster, deployment: Manifest, newest: Manifest) -> None:
    """Take the pods of earlier revisions away."""
    namespace = deployment["metadata"]["namespace"]
    for each in cluster.list("apps/v1", "ReplicaSet", namespace):
        metadata = each["metadata"]
        if _owner(each) != deployment["metadata"]["uid"] or metadata["uid"] == newest["metadata"]["uid"]:
            continue
        cluster.patch("apps/v1", "ReplicaSet", metadata["name"], {"spec": {"replicas": 0}}, namespace)
        label = f"{_HASH}={metadata['labels'][_HASH]}"
        for pod in cluster.list("v1", "Pod", namespace, labelSelector=label):
            cluster.delete("v1", "Pod", pod["metadata"]["name"], namespace)


def _run(cluster: Cluster, pod: Manifest, *, ready: bool) -> None:
    metadata, spec = pod["metadata"], pod["spec"]
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}}
    running = {"running": {"startedAt": _now()}}
    conditions = {"Initialized": True, "ContainersReady": ready, "Ready": ready, "PodScheduled": True}
    status: dict[str, Any] = {
        "phase": "Running",
        "podIP": "10.1.0.1",
        "startTime": _now(),
        "conditions": [_condition(kind, value) for kind, value in conditions.items()],
        "containerStatuses": [_state(each, running, ready=ready) for each in spec["containers"]],
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_state(each, done, ready=True) for each in spec["initContainers"]]
    cluster.patch_status("v1", "Pod", metadata["name"], status, metadata["namespace"])


def _condition(kind: str, value: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    found = {"type": kind, "status": "True" if value else "False", "lastTransitionTime": _now()}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def _state(container: Manifest, state: dict[str, Any], *, ready: bool, restarts: int = 0) -> dict[str, Any]:
    found = {"name": container["name"], "image": container["image"], "imageID": "", "state": state}
    return {**found, "ready": ready, "restartCount": restarts, "lastState": {}}


def _was_done(deployment: Manifest, replica_set: Manifest) -> bool:
    """Whether these pods were rolled out before: what they lose afterwards is no progress that is made."""
    if (
        deployment["metadata"].get("annotations", {}).get(_REVISION)
        != replica_set["metadata"]["annotations"][_REVISION]
    ):
        return False
    known = deployment.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Progressing" and each["reason"] == _DONE for each in known)


def _status(deployment: Manifest, wanted: int, ready: int, reason: str, *, done: bool) -> dict[str, Any]:
    least = wanted - _part(deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", 0), wanted)
    available = ready >= least
    available_reason = "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable"
    does = "has" if available else "does not have"
    conditions = [_condition("Available", available, available_reason, f"Deployment {does} minimum availability.")]
    progress = reason or (_DONE if done else "ReplicaSetUpdated")
    conditions.append(_condition("Progressing", not reason, progress, f"ReplicaSet: {progress}"))
    for each in conditions:
        each["lastUpdateTime"] = each["lastTransitionTime"]
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    counts["unavailableReplicas"] = wanted - ready
    status: dict[str, Any] = {key: value or None for key, value in counts.items()}
    return status | {"observedGeneration": deployment["metadata"]["generation"], "conditions": conditions}


def _part(amount: int | str, whole: int) -> int:
    if isinstance(amount, int):
        return amount
    return whole * int(amount.rstrip("%")) // 100


def fail(
    cluster: Cluster,
    namespace: str,
    pod: str,
    *,
    container: str = "",
    waiting: str = "",
    message: str = "",
    exit_code: int = 1,
    reason: str = "Error",
    restarts: int = 1,
) -> Manifest:
    """Let a container of a pod fail.

    Args:
        cluster: Where.
        namespace: The namespace of the pod.
        pod: Its name.
        container: The container, an init container or not; the first container by default.
        waiting: The reason for which the container waits, as ``CrashLoopBackOff`` or ``ImagePullBackOff``; without it
            the container has ended.
        message: What it left, or what is said of the waiting.
        exit_code: How it ended.
        reason: The reason of its end.
        restarts: How often it was started again.
    """
    found = cluster.read("v1", "Pod", pod, namespace)
    spec = found["spec"]
    container = container or spec["containers"][0]["name"]
    ended = {"exitCode": exit_code, "reason": reason, "startedAt": _now(), "finishedAt": _now()}
    ended |= {"message": message} if message else {}
    early = any(each["name"] == container for each in spec.get("initContainers", ()))
    status: dict[str, Any] = {"phase": "Pending" if early or waiting == "ImagePullBackOff" else "Running"}
    status["conditions"] = [
        _condition(kind, value)
        for kind, value in (
            ("Initialized", not early),
            ("ContainersReady", False),
            ("Ready", False),
            ("PodScheduled", True),
        )
    ]
    for field, key in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        states = []
        for each in spec.get(field, ()):
            if each["name"] != container:
                states.append(_state(each, _beside(field, early=early), ready=not early))
                continue
            state = {"waiting": {"reason": waiting, "message": message}} if waiting else {"terminated": ended}
            failed = _state(each, state, ready=False, restarts=restarts)
            if waiting == "CrashLoopBackOff":
                failed["lastState"] = {"terminated": ended}
            states.append(failed)
        if states:
            status[key] = states
    return cluster.patch_status("v1", "Pod", pod, status, namespace)


def _beside(field: str, *, early: bool) -> dict[str, Any]:
    """The state of a container beside one that fails, which may be an init container (``early``)."""
    if early:
        return {"waiting": {"reason": "PodInitializing"}}
    if field == "initContainers":
        return {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}}
    return {"running": {"startedAt": _now()}}


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
