"""The simulator: replays a trace against a strategy and simulated pods, with a clock of its own.

It is a simulation of events. One queue stands in front of all pods, as if the activator held every request: a request
goes to the ready pod with the fewest in flight, or waits, or is refused when the queue is full. The strategy is asked
every few seconds, and at once when a request comes for a component without replicas, as `Autoscaler.decide` says; a
`Scaler` asks it, as on the platform, so that the rules hold that hold there.

Nothing here asks the clock or draws at random: the same arguments give the same run.
"""

from __future__ import annotations

import array
import enum
import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.autoscaling import scaler
from fairlead.autoscaling.collector import Collector
from fairlead.autoscaling.pods import Cluster, Fleet, Pod
from fairlead.autoscaling.runs import Change, Moment, Outcome, Run

if TYPE_CHECKING:
    from fairlead.autoscaling.traces import Trace
    from fairlead.contracts.autoscaler import Autoscaler, ScalingSpec

__all__ = ["MEASURED", "simulate"]

MEASURED: Final = ("concurrency", "rps", "cpu")
"""The metrics that are measured: of the component the first two, at each pod the first and the third."""

_SAMPLE_INTERVAL: Final = 1.0


class _Event(enum.IntEnum):
    """What happens; at the same instant, in this order, and before requests arrive."""

    FINISHED = 0
    READY = 1
    SAMPLED = 2
    DECIDED = 3
    RECORDED = 4


def simulate(
    autoscaler: Autoscaler,
    spec: ScalingSpec,
    trace: Trace,
    cluster: Cluster,
    *,
    name: str,
    interval: float = 2.0,
    start_replicas: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Replay a trace.

    Args:
        autoscaler: the strategy.
        spec: what is asked of it.
        trace: the requests.
        cluster: what pods are like.
        name: the strategy's name in the result.
        interval: seconds between two decisions.
        start_replicas: pods that are ready at the start; by default as many as there must be.
        progress: told the virtual time, about once for each decision.

    Raises:
        ConfigurationError: a number is out of its range, or the strategy refuses the spec.
        PluginBroken: the strategy raises, or decides for a number of replicas that is out of bounds.
    """
    if not 0 < interval < math.inf:
        raise errors.ConfigurationError(f"An interval of {interval:g} s between decisions is not possible.")
    first = spec.min_replicas if start_replicas is None else start_replicas
    most = cluster.max_pods if spec.max_replicas is None else min(spec.max_replicas, cluster.max_pods)
    if not spec.min_replicas <= first <= most:
        raise errors.ConfigurationError(
            f"{first} replicas at the start are not between {spec.min_replicas} and {most}."
        )
    return _Simulation(autoscaler, spec, trace, cluster, name, interval, first, progress).run()


class _Simulation:
    """The state of one run."""

    def __init__(
        self,
        autoscaler: Autoscaler,
        spec: ScalingSpec,
        trace: Trace,
        cluster: Cluster,
        name: str,
        interval: float,
        first: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        self._scaler = scaler.Scaler(autoscaler, spec, interval=interval, name=name, start=first)
        self._spec, self._trace, self._cluster = spec, trace, cluster
        self._name, self._interval, self._progress = name, interval, progress
        self._events: list[tuple[float, int, int, Pod | None, int]] = []
        self._counter = 0
        self._queue: deque[int] = deque()
        self._fleet = Fleet(cluster)
        count = len(trace.arrivals)
        self._outcomes = bytearray(count)
        self._begins = array.array("d", [math.nan]) * count
        self._ends = array.array("d", [math.nan]) * count
        self._cold = self._longest_queue = 0
        self._longest_shortage = 0.0
        self._short_since = math.nan
        self._collector = Collector()
        self._ticks = 0
        self._woken = False
        self._rate = 0.0
        self._activator_since: float | None = 0.0 if first == 0 else None
        self._changes: list[Change] = []
        self._moments: list[Moment] = []
        self._first = self._desired = first
        for pod in self._fleet.resize(first, 0.0, warm=True):
            self._fleet.admit(pod)

    def run(self) -> Run:
        """Let everything happen that happens before the trace ends."""
        arrivals, duration, events = self._trace.arrivals, self._trace.duration, self._events
        self._push(min(_SAMPLE_INTERVAL, duration), _Event.SAMPLED)
        self._decide(0.0)
        self._record(0.0)
        self._push_decision()
        for request, at in enumerate(arrivals):
            while events and events[0][0] <= at:
                self._happen(*heapq.heappop(events))
            self._arrive(request, at)
        while events and events[0][0] <= duration:
            self._happen(*heapq.heappop(events))
        self._fleet.close(duration)
        self._end_shortage(duration)
        return Run(
            strategy=self._name,
            trace=self._trace,
            cluster=self._cluster,
            spec=self._spec,
            start_replicas=self._first,
            outcomes=self._outcomes,
            begins=self._begins,
            ends=self._ends,
            cold=self._cold,
            pod_seconds=self._fleet.pod_seconds,
            changes=self._changes,
            moments=self._moments,
            longest_queue=self._longest_queue,
            longest_shortage=self._longest_shortage,
            peak_pods=self._fleet.peak,
        )

    # -- events -----------------------------------------------------------------------------------------

    def _push(self, at: float, event: _Event, pod: Pod | None = None, request: int = -1) -> None:
        self._counter += 1
        heapq.heappush(self._events, (at, event, self._counter, pod, request))

    def _push_decision(self) -> None:
        at = (self._ticks + 1) * self._interval
        if at < self._trace.duration:
            self._push(at, _Event.DECIDED)

    def _happen(self, at: float, event: int, _order: int, pod: Pod | None, request: int) -> None:
        if event == _Event.FINISHED:
            assert pod is not None
            self._finish(pod, request, at)
        elif event == _Event.READY:
            assert pod is not None
            if self._fleet.admit(pod):
                self._serve(at)
        elif event == _Event.SAMPLED:
            self._rate = self._collector.sample(at)
            self._push(at, _Event.RECORDED)
            if at < self._trace.duration:
                self._push(min(at + _SAMPLE_INTERVAL, self._trace.duration), _Event.SAMPLED)
        elif event == _Event.RECORDED:
            self._record(at)
        else:
            self._ticks += 1
            self._woken = False
            self._decide(at)
            self._push_decision()
            if self._progress is not None:
                self._progress(at)

    def _arrive(self, request: int, at: float) -> None:
        if self._fleet.ready == 0:
            self._cold += 1
        pod = None if self._queue else self._fleet.acquire(at)
        if pod is not None:
            self._collector.came(at)
            self._begin(pod, request, at)
        elif len(self._queue) < self._cluster.queue_size:
            self._collector.came(at)
            if not self._queue:
                self._short_since = at
            self._queue.append(request)
            self._longest_queue = max(self._longest_queue, len(self._queue))
            if self._desired == 0 and not self._woken:
                self._woken = True
                self._collector.glance(at)
                self._scaler.wake(at)
                self._decide(at)
        else:
            self._outcomes[request] = Outcome.REFUSED

    def _begin(self, pod: Pod, request: int, at: float) -> None:
        self._begins[request] = at
        self._push(at + self._trace.service_times[request], _Event.FINISHED, pod, request)

    def _finish(self, pod: Pod, request: int, at: float) -> None:
        self._outcomes[request] = Outcome.ANSWERED
        self._ends[request] = at
        self._collector.went(at)
        self._launch(self._fleet.release(pod, at))
        self._serve(at)

    def _serve(self, at: float) -> None:
        """Give what waits to pods that have room."""
        while self._queue and (pod := self._fleet.acquire(at)) is not None:
            self._begin(pod, self._queue.popleft(), at)
            if not self._queue:
                self._end_shortage(at)

    def _end_shortage(self, at: float) -> None:
        if not math.isnan(self._short_since):
            self._longest_shortage = max(self._longest_shortage, at - self._short_since)
            self._short_since = math.nan

    # -- decisions --------------------------------------------------------------------------------------

    def _decide(self, now: float) -> None:
        outcome = self._asked(now)
        if outcome.desired != self._desired:
            self._changes.append(Change(now, outcome.desired, outcome.reason))
            self._desired = outcome.desired
            self._launch(self._fleet.resize(outcome.desired, now))
        through = outcome.through_activator
        if self._desired == 0 if through is None else through:
            self._activator_since = now if self._activator_since is None else self._activator_since
        else:
            self._activator_since = None

    def _asked(self, now: float) -> scaler.Outcome:
        for metric, samples in self._collector.take().items():
            for sample in samples:
                self._scaler.observe(metric, sample)
        outcome = self._scaler.decide(
            now,
            ready=self._fleet.ready,
            desired=self._desired,
            replicas=self._fleet.replicas(now),
            measured=self._fleet.ready > 0,
            activator_since=self._activator_since,
            in_flight=self._collector.present,
        )
        if isinstance(outcome.cause, errors.FairleadError):
            raise outcome.cause
        if outcome.error is not None:
            raise errors.PluginBroken(f"At {now:g} s: {outcome.error}") from outcome.cause
        return outcome

    def _launch(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            self._push(pod.ready_at, _Event.READY, pod)

    def _record(self, at: float) -> None:
        self._moments.append(Moment(at, self._rate, self._fleet.ready, self._desired, len(self._queue)))
