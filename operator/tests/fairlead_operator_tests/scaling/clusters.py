"""A cluster that a loop reaches, on a clock of its own: pods that say what the test wants, and Deployments."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from fairlead import (
    Autoscaler,
    AutoscalerMode,
    AutoscalerSpec,
    Decision,
    MetricsWindow,
    MetricTarget,
    ScalingSpec,
    errors,
)
from fairlead.resolve.service import ComponentKind, ResolvedComponent, Scaling
from fairlead_operator.desired.model import Manifest, Strategy
from fairlead_operator.scaling.loop import Loop
from fairlead_operator.scaling.reach import Subject, Told

_TIME = "2026-01-01T00:00:00Z"
_HALF = {"requests": {"cpu": "500m", "memory": "1Gi"}}


def pod(
    name: str = "iris-predictor-1",
    *,
    ip: str | None = "10.0.0.1",
    ready: bool = True,
    phase: str = "Running",
    deleted: bool = False,
    ports: Sequence[int] = (),
    annotations: dict[str, str] | None = None,
    resources: dict[str, Any] | None = None,
) -> Manifest:
    """A pod as the API server has it; a sidecar is listed before its main container."""
    asked = {"limits": {"cpu": "1", "memory": "2Gi"}} if resources is None else resources
    main = {"name": "kserve-container", "ports": [{"containerPort": each} for each in ports], "resources": asked}
    running = [{"state": {"running": {"startedAt": _TIME}}}] if phase != "Pending" else []
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": _TIME}]
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "labels": {"app": "isvc.iris-predictor", "serving.kserve.io/inferenceservice": "iris"},
            "annotations": annotations or {},
            **({"deletionTimestamp": _TIME} if deleted else {}),
        },
        "spec": {"containers": [{"name": "sidecar", "resources": _HALF, "ports": [{"containerPort": 1}]}, main]},
        "status": {"phase": phase, "podIP": ip, "conditions": conditions, "containerStatuses": running},
    }


class PerReplica(Autoscaler):
    """So many replicas as the newest measurement of the first metric needs, at ten for each."""

    def __init__(self, metric: str = "concurrency") -> None:
        self._metric = metric

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        if "refuse" in spec.annotations:
            raise errors.ConfigurationError("There is no such thing.", remedy="Take it out.")
        if "break" in spec.annotations:
            raise ZeroDivisionError
        used = [each.metrics[self._metric].value for each in window.replicas if self._metric in each.metrics]
        samples = window.samples.get(self._metric, ())
        if not samples and not used:
            return Decision(replicas=spec.min_replicas, reason="It is idle.")
        load = samples[-1].value if samples else sum(used)
        return Decision(replicas=max(spec.min_replicas, -int(-load // 10)), reason=f"The load is {load:g}.")


def subject(metric: str = "concurrency", *, least: int = 1, most: int | None = 20, **more: Any) -> Subject:
    """A component that `PerReplica` scales."""
    said = AutoscalerSpec(
        name="per-replica", factory="a:B", modes=frozenset({AutoscalerMode.DECIDES}), metrics=(metric,), interval=2.0
    )
    spec = ScalingSpec(
        min_replicas=least, max_replicas=most, targets=(MetricTarget(metric=metric, value=10.0),), **more
    )
    component = ResolvedComponent(
        kind=ComponentKind.PREDICTOR,
        name="iris-predictor",
        pod={"containers": []},
        labels={},
        annotations={},
        sources=(),
        scaling=Scaling(strategy="per-replica", spec=spec),
    )
    return Subject(namespace="models", service="iris", component=component, strategy=Strategy(said, PerReplica(metric)))


@dataclasses.dataclass
class Ground:
    """A cluster: what is in it may be changed while a loop runs."""

    pages: dict[str, str | OSError] = dataclasses.field(default_factory=dict)
    there: list[Manifest] = dataclasses.field(default_factory=list)
    deployed: int | None = 1
    used: list[Manifest] | errors.ClusterError | None = None
    refuses: errors.ClusterError | None = None
    now: float = 1_000_000.0
    scaled: list[tuple[str, str, int]] = dataclasses.field(default_factory=list)
    told: list[Told] = dataclasses.field(default_factory=list)
    asked: list[str] = dataclasses.field(default_factory=list)

    def with_pods(self, *in_flight: float | None) -> Ground:
        """Have so many pods, each with these requests in flight; None for one that cannot be asked."""
        self.there, self.pages = [], {}
        for index, each in enumerate(in_flight):
            address = f"10.0.0.{index + 1}"
            self.there.append(pod(f"iris-predictor-{index}", ip=address))
            said = ConnectionError("refused") if each is None else f"fairlead_requests_in_flight {each}\n"
            self.pages[f"http://{address}:8080/metrics"] = said
        return self

    def pods(self, subject: Subject) -> list[Manifest]:
        return self.there

    def replicas(self, subject: Subject) -> int | None:
        return self.deployed

    async def scrape(self, url: str) -> str:
        self.asked.append(url)
        found = self.pages[url]
        if isinstance(found, OSError):
            raise found
        return found

    async def podmetrics(self, subject: Subject) -> list[Manifest] | None:
        self.asked.append("podmetrics")
        if isinstance(self.used, errors.ClusterError):
            raise self.used
        return self.used

    async def scale(self, namespace: str, name: str, replicas: int) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.scaled.append((namespace, name, replicas))
        self.deployed = replicas

    async def tell(self, told: Told) -> None:
        self.told.append(told)

    def loop(self, scaled: Subject | None = None) -> Loop:
        return Loop(scaled or subject(), self, lambda: self.now, self.tell)

    async def pass_time(self, loop: Loop, seconds: int) -> None:
        """Let time pass, a round every second."""
        for _ in range(seconds):
            self.now += 1.0
            await loop.round()
