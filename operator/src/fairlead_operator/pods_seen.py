"""Pods as replicas: how far each has come, and why it does not come further, in Kubernetes' own words and a remedy."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead.resolve.observation import ReplicaObservation, ReplicaStage
from fairlead_operator import hindrances

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["INITIALIZER", "finished", "replica", "seconds"]

INITIALIZER: Final = "storage-initializer"
"""The init container that fetches the model."""

_MAIN: Final = ("kserve-container", "worker-container")
_COMING: Final = ("ContainerCreating", "PodInitializing")
_ENDED: Final = ("Failed", "Succeeded")

_Values: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Container:
    """What a pod's status says of one container."""

    name: str
    waiting: _Values | None
    running: _Values | None
    ended: _Values | None
    before: _Values | None
    restarts: int
    ready: bool

    @classmethod
    def of(cls, status: _Values) -> _Container:
        state = status.get("state") or {}
        return cls(
            name=str(status.get("name", "")),
            waiting=state.get("waiting"),
            running=state.get("running"),
            ended=state.get("terminated"),
            before=(status.get("lastState") or {}).get("terminated"),
            restarts=int(status.get("restartCount") or 0),
            ready=bool(status.get("ready")),
        )

    @property
    def last_end(self) -> _Values:
        """How it ended last; empty where it never did."""
        return self.ended or self.before or {}

    @property
    def exit_code(self) -> int | None:
        code = self.last_end.get("exitCode")
        return None if code is None else int(code)

    @property
    def broken(self) -> bool:
        """Whether it has failed, and nothing is being tried at this moment."""
        if self.waiting is not None:
            return str(self.waiting.get("reason") or "ContainerCreating") not in _COMING
        return self.ended is not None and self.ended.get("exitCode") != 0

    def why(self) -> tuple[str, str]:
        """Why it is broken: a word, and sentences."""
        end = self.last_end
        word = str((self.waiting or end).get("reason") or "Error")
        said = (end if word == "CrashLoopBackOff" else self.waiting or end).get("message")
        cause = str(end.get("reason") or "") if word in ("CrashLoopBackOff", "Error") else word
        ended = f"{self.name} ended with exit code {self.exit_code}." if self.exit_code is not None else ""
        text = str(said or "").strip() or ended or f"{self.name} cannot be started."
        return word, hindrances.told(text, cause if cause in hindrances.REMEDIES else word)


def replica(pod: Manifest) -> ReplicaObservation:
    """What a pod comes to."""
    found = ReplicaObservation(
        name=pod["metadata"]["name"],
        stage=ReplicaStage.PENDING,
        created_at=seconds(pod["metadata"].get("creationTimestamp")),
    )
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return dataclasses.replace(found, stage=ReplicaStage.STOPPING)
    containers = _containers(status, "containerStatuses")
    if finished(pod):
        return _ended(found, status, containers)
    if said := _unschedulable(status):
        return dataclasses.replace(found, reason="Unschedulable", message=said)
    sidecars = _sidecars(pod)
    for each in _containers(status, "initContainerStatuses"):
        if each.broken:
            fetch = each.name == INITIALIZER
            return _broken(found, each, fetch=fetch)
        if each.name not in sidecars and each.ended is None:
            return _initializing(found, each)
    return _main(found, pod, containers)


def finished(pod: Manifest) -> bool:
    """Whether a pod has ended for good, such as one that was evicted; its Deployment makes another."""
    return (pod.get("status") or {}).get("phase") in _ENDED


def seconds(time: object) -> float:
    """A time of Kubernetes' in seconds of Unix time; 0 where there is none."""
    try:
        return dt.datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0


def _containers(status: _Values, field: str) -> list[_Container]:
    """The containers of a status, those whose end matters most first."""
    found = [_Container.of(each) for each in status.get(field) or ()]
    return sorted(found, key=lambda each: each.name not in _MAIN) if field == "containerStatuses" else found


def _sidecars(pod: Manifest) -> set[str]:
    """The init containers that run as long as the pod does."""
    declared = (pod.get("spec") or {}).get("initContainers") or ()
    return {str(each.get("name")) for each in declared if each.get("restartPolicy") == "Always"}


def _unschedulable(status: _Values) -> str:
    """Why no node takes the pod; empty where one has it, or is still looked for."""
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return hindrances.told(str(each.get("message") or "No node takes the pod."), "Unschedulable")
    return ""


def _ended(found: ReplicaObservation, status: _Values, containers: list[_Container]) -> ReplicaObservation:
    last = next((each for each in containers if each.exit_code), None)
    word = str(status.get("reason") or (last.last_end.get("reason") if last else "") or status.get("phase"))
    text = str(status.get("message") or (last.last_end.get("message") if last else "") or f"{found.name} has ended.")
    return dataclasses.replace(
        found,
        stage=ReplicaStage.FAILED,
        reason=word,
        message=hindrances.told(text, word),
        exit_code=last.exit_code if last else None,
    )


def _broken(found: ReplicaObservation, container: _Container, *, fetch: bool) -> ReplicaObservation:
    word, message = container.why()
    return dataclasses.replace(
        found,
        stage=ReplicaStage.FAILED,
        fetch_failed=fetch,
        reason=word,
        message=message,
        exit_code=container.exit_code,
        restarts=container.restarts,
    )


def _initializing(found: ReplicaObservation, container: _Container) -> ReplicaObservation:
    """A pod whose init container runs, or is to run."""
    if container.running is None:
        return found
    fetch = container.name == INITIALIZER
    return dataclasses.replace(
        found,
        stage=ReplicaStage.FETCHING if fetch else ReplicaStage.STARTING,
        fetch_failed=fetch and container.before is not None,
        exit_code=container.exit_code,
        restarts=container.restarts,
    )


def _main(found: ReplicaObservation, pod: Manifest, containers: list[_Container]) -> ReplicaObservation:
    """A pod whose init containers are done."""
    if wrong := next((each for each in containers if each.broken), None):
        return _broken(found, wrong, fetch=False)
    restarts = max((each.restarts for each in containers), default=0)
    ended = next((each.exit_code for each in containers if each.restarts and each.exit_code is not None), None)
    found = dataclasses.replace(found, restarts=restarts, exit_code=ended)
    ready, since = _readiness(pod)
    if ready:
        return dataclasses.replace(found, stage=ReplicaStage.READY)
    running = [seconds(each.running.get("startedAt")) for each in containers if each.running is not None]
    if not running:
        return found
    if len(running) == len(containers) and since > max(running):
        mute = next((each.name for each in containers if not each.ready), "A container")
        text = f"{mute} has answered its readiness probe, and does not any more."
        said = hindrances.told(text, "Unhealthy")
        return dataclasses.replace(found, stage=ReplicaStage.UNREADY, reason="Unhealthy", message=said)
    return dataclasses.replace(found, stage=ReplicaStage.STARTING)


def _readiness(pod: Manifest) -> tuple[bool, float]:
    """Whether a pod is ready, and since when it is or is not."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Ready":
            return each.get("status") == "True", seconds(each.get("lastTransitionTime"))
    return False, 0.0
