"""The simulated pods of one component: they start, take requests, drain and end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from fairlead import errors
from fairlead.contracts.autoscaler import Replica, ReplicaPhase, Sample

__all__ = ["Cluster", "Fleet", "Pod"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What pods are like.

    Attributes:
        concurrency: how many requests one pod computes on at once.
        start_time: seconds from when a pod is asked for until it is ready.
        queue_size: how many requests may wait for a pod; more are refused.
        max_pods: how many pods there is room for, those that start and those that drain included.

    Raises:
        ConfigurationError: a number is out of its range.
    """

    concurrency: int = 1
    start_time: float = 10.0
    queue_size: int = 10_000
    max_pods: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("queue_size", 0), ("max_pods", 1)):
            if getattr(self, name) < least:
                raise errors.ConfigurationError(f"A {name} of {getattr(self, name)} is not possible: at least {least}.")
        if not 0 <= self.start_time < math.inf:
            raise errors.ConfigurationError(f"A start time of {self.start_time:g} s is not possible.")


class Pod:
    """One pod.

    Attributes:
        number: counts the pods of a fleet.
        created: when it was asked for.
        ready_at: when it is ready, or will be.
        in_flight: the requests that it computes on.
        stopping: whether it was told to end, and takes no more requests.
    """

    __slots__ = ("_busy", "_busy_since", "_measured_at", "created", "in_flight", "number", "ready_at", "stopping")

    def __init__(self, number: int, created: float, ready_at: float) -> None:
        self.number = number
        self.created = created
        self.ready_at = ready_at
        self.in_flight = 0
        self.stopping = False
        self._busy = 0.0
        self._busy_since = self._measured_at = created

    def change(self, by: int, now: float) -> None:
        """Take a request, or be done with one."""
        self._busy += self.in_flight * (now - self._busy_since)
        self._busy_since = now
        self.in_flight += by

    def measure(self, now: float) -> Sample | None:
        """Its average of requests in flight since it was last measured; None when that was just now."""
        span = now - self._measured_at
        if span <= 0:
            return None
        self.change(0, now)
        sample = Sample(now, self._busy / span, span)
        self._busy, self._measured_at = 0.0, now
        return sample


class Fleet:
    """All pods of a component; a request goes to the ready pod with the fewest in flight.

    Attributes:
        pending: pods that are asked for, and that there is no room for.
        pod_seconds: of the pods that have ended; `close` adds the others.
        peak: the most pods that there were at once.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        # By requests in flight, so that the least busy pod is found without a look at every pod.
        self._levels: list[dict[Pod, None]] = [{} for _ in range(cluster.concurrency + 1)]
        self._least = 0
        self._starting: dict[Pod, None] = {}
        self._draining: dict[Pod, None] = {}
        self._made = 0
        self._ready = 0
        self.pending = 0
        self.pod_seconds = 0.0
        self.peak = 0

    @property
    def ready(self) -> int:
        """Pods that take requests."""
        return self._ready

    @property
    def size(self) -> int:
        """Pods that there are, those that start and those that drain included."""
        return self._ready + len(self._starting) + len(self._draining)

    def resize(self, wanted: int, now: float, *, warm: bool = False) -> list[Pod]:
        """Ask for so many pods.

        Args:
            wanted: how many are not to be stopping.
            now: the time.
            warm: whether new pods are ready already.

        Returns:
            The pods that start now; each is to be `admit`ted when it is ready.
        """
        surplus = self._ready + len(self._starting) + self.pending - wanted
        dropped = max(0, min(surplus, self.pending))
        self.pending += max(0, -surplus) - dropped
        for _ in range(surplus - dropped):
            self._stop(now)
        return self._start(now, warm=warm)

    def admit(self, pod: Pod) -> bool:
        """Let a pod that has started take requests; false when it has ended meanwhile."""
        if pod not in self._starting:
            return False
        del self._starting[pod]
        self._levels[0][pod] = None
        self._least = 0
        self._ready += 1
        return True

    def acquire(self, now: float) -> Pod | None:
        """Give a request to the least busy pod; None when all are full."""
        levels = self._levels
        full = self._cluster.concurrency
        least = self._least
        while least < full and not levels[least]:
            least += 1
        self._least = least
        if least == full:
            return None
        pod, _ = levels[least].popitem()
        levels[least + 1][pod] = None
        pod.change(1, now)
        return pod

    def release(self, pod: Pod, now: float) -> list[Pod]:
        """Take a request that is done from its pod; pods that now have room to start are returned."""
        before = pod.in_flight
        pod.change(-1, now)
        if not pod.stopping:
            del self._levels[before][pod]
            self._levels[before - 1][pod] = None
            self._least = min(self._least, before - 1)
            return []
        if pod.in_flight:
            return []
        del self._draining[pod]
        self._end(pod, now)
        return self._start(now)

    def replicas(self, now: float) -> tuple[Replica, ...]:
        """Each pod as a strategy sees it, with what it did since it was last asked; a request takes one core."""
        known = [self._seen(pod, now) for pod in self._everyone()]
        waiting = (
            Replica(name=f"pending-{number}", phase=ReplicaPhase.PENDING, ready=False, requests=self._requests())
            for number in range(self.pending)
        )
        return (*known, *waiting)

    def close(self, now: float) -> None:
        """Count the pods that there still are, at the end of a simulation."""
        self.pod_seconds += sum(now - pod.created for pod in self._everyone())

    def _everyone(self) -> Iterator[Pod]:
        for level in self._levels:
            yield from level
        yield from self._starting
        yield from self._draining

    def _seen(self, pod: Pod, now: float) -> Replica:
        sample = pod.measure(now)
        starting = pod in self._starting
        return Replica(
            name=f"pod-{pod.number}",
            phase=ReplicaPhase.STOPPING if pod.stopping else ReplicaPhase.RUNNING,
            ready=not starting and not pod.stopping,
            started_at=pod.created,
            ready_changed_at=None if starting else pod.ready_at,
            metrics={} if sample is None else {"concurrency": sample, "cpu": sample},
            requests=self._requests(),
        )

    def _requests(self) -> dict[str, float]:
        return {"cpu": float(self._cluster.concurrency)}

    def _start(self, now: float, *, warm: bool = False) -> list[Pod]:
        started: list[Pod] = []
        while self.pending and self.size < self._cluster.max_pods:
            self.pending -= 1
            pod = Pod(self._made, now, now if warm else now + self._cluster.start_time)
            self._made += 1
            self._starting[pod] = None
            started.append(pod)
        self.peak = max(self.peak, self.size)
        return started

    def _stop(self, now: float) -> None:
        """End the pod that is missed least: one that has not started, else the least busy."""
        if self._starting:
            pod, _ = self._starting.popitem()
            self._end(pod, now)
            return
        pod, _ = next(level for level in self._levels if level).popitem()
        self._ready -= 1
        pod.stopping = True
        if pod.in_flight:
            self._draining[pod] = None
        else:
            self._end(pod, now)

    def _end(self, pod: Pod, now: float) -> None:
        pod.stopping = True
        self.pod_seconds += now - pod.created
