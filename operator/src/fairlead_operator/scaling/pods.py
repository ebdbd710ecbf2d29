"""Pods as strategies see them: replicas with a phase, what they request, what they use, and where they tell more."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.autoscaler import Replica, ReplicaPhase, Sample
from fairlead.contracts.quantities import quantity

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["RESOURCES", "address", "is_ready", "replica", "usage"]

RESOURCES: Final = ("cpu", "memory")
"""What the metrics API measures of pods."""

_PORT: Final = "prometheus.kserve.io/port"
_PATH: Final = ("prometheus.kserve.io/path", "/metrics")
_DEFAULT_PORT: Final = 8080
_MAIN: Final = "kserve-container"
_ENDED: Final = ("Failed", "Succeeded")
_LENGTH: Final = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m(?!s))?(?:([0-9]+(?:\.[0-9]+)?)s)?(?:([0-9]+(?:\.[0-9]+)?)ms)?")


def address(pod: Manifest) -> str | None:
    """The URL of a pod's metrics; None while it has no address.

    Raises:
        ConfigurationError: the annotation of its port is none.
    """
    ip = (pod.get("status") or {}).get("podIP")
    if not ip:
        return None
    annotations = pod["metadata"].get("annotations") or {}
    path = annotations.get(*_PATH)
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{_port(pod, annotations)}{path if path.startswith('/') else f'/{path}'}"


def _port(pod: Manifest, annotations: Mapping[str, str]) -> int:
    if _PORT in annotations:
        text = annotations[_PORT]
        if not text.isdecimal() or not 0 < int(text) < 2**16:
            raise errors.ConfigurationError(
                f"The annotation {_PORT} is {text!r}.", remedy="Write the number of a port."
            )
        return int(text)
    main = [each for each in _containers(pod) if each.get("name") == _MAIN] or [*_containers(pod)]
    ports = (main[0].get("ports") or []) if main else []
    return int(ports[0]["containerPort"]) if ports else _DEFAULT_PORT


def is_ready(pod: Manifest) -> bool:
    """Whether a pod is to get requests."""
    return not pod["metadata"].get("deletionTimestamp") and _readiness(pod)[0]


def replica(pod: Manifest, metrics: Mapping[str, Sample]) -> Replica:
    """A pod as a replica.

    Args:
        pod: the pod.
        metrics: what it uses; see `usage`.
    """
    return Replica(
        name=pod["metadata"]["name"],
        phase=_phase(pod),
        ready=is_ready(pod),
        started_at=_started(pod),
        ready_changed_at=_readiness(pod)[1],
        metrics=metrics,
        requests=_requests(pod),
    )


def usage(measured: Manifest, at: float) -> dict[str, Sample]:
    """What a pod uses, from its PodMetrics: ``cpu`` in cores and ``memory`` in bytes, of all containers together.

    Args:
        measured: the PodMetrics.
        at: when they came. They are published late, and count from then.
    """
    span = _seconds_of(str(measured.get("window") or ""))
    found = {}
    for resource in RESOURCES:
        amounts = [(each.get("usage") or {}).get(resource) for each in measured.get("containers") or ()]
        said = [quantity(each) for each in amounts if each is not None]
        if said and len(said) == len(amounts):
            found[resource] = Sample(at, sum(said), span if resource == "cpu" else 0.0)
    return found


def _seconds_of(length: str) -> float:
    """A length of time as Go writes it, such as ``1m0.5s``; 0 where it is none."""
    parts = _LENGTH.fullmatch(length)
    if parts is None:
        return 0.0
    hours, minutes, seconds, thousandths = (float(each or 0) for each in parts.groups())
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000


def _phase(pod: Manifest) -> ReplicaPhase:
    said = (pod.get("status") or {}).get("phase")
    if said in _ENDED:
        return ReplicaPhase.FAILED
    if pod["metadata"].get("deletionTimestamp"):
        return ReplicaPhase.STOPPING
    return ReplicaPhase.RUNNING if said == "Running" else ReplicaPhase.PENDING


def _readiness(pod: Manifest) -> tuple[bool, float | None]:
    """Whether the pod answers its probes, and since when that is so."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Ready":
            return each.get("status") == "True", _time(each.get("lastTransitionTime"))
    return False, None


def _started(pod: Manifest) -> float | None:
    """When its processes started; None while one is still to start."""
    status = pod.get("status") or {}
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    times = [_time((each.get("running") or {}).get("startedAt")) for each in states]
    if times and None not in times:
        return max(each for each in times if each is not None)
    return _time(status.get("startTime")) if status.get("phase") == "Running" else None


def _time(text: object) -> float | None:
    try:
        return dt.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _requests(pod: Manifest) -> dict[str, float]:
    """What a pod requests of each resource; one is missing that a container does not request."""
    found = {}
    asked = [
        {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for resources in ((each.get("resources") or {}) for each in _containers(pod))
    ]
    for resource in RESOURCES:
        if asked and all(resource in each for each in asked):
            found[resource] = sum(quantity(each[resource]) for each in asked)
    return found


def _containers(pod: Manifest) -> Iterable[Mapping[str, Any]]:
    return (pod.get("spec") or {}).get("containers") or ()
