"""Scaling: asks the strategies how many replicas each revision should have, and has so many as the machine allows."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.autoscaling.sampling import Rates
from fairlead.autoscaling.scaler import Scaler
from fairlead.contracts import quantities
from fairlead.contracts.autoscaler import AutoscalerMode, ReplicaPhase
from fairlead.contracts.autoscaler import Replica as ReplicaState
from fairlead.local.machine import Claim, Machine
from fairlead.local.silence import Silence
from fairlead.local.usage import Meter
from fairlead.plugins import Kind
from fairlead.resolve.observation import ReplicaStage

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Autoscaler
    from fairlead.local.activator.seats import Held
    from fairlead.local.deployment import Deployment
    from fairlead.local.gateway.envoy import Measured
    from fairlead.local.replicas.replica import Replica
    from fairlead.plugins import Plugins

__all__ = ["Change", "Scaling"]

_log = logging.getLogger("fairlead.local")

_PHASES: Final = {
    ReplicaStage.PENDING: ReplicaPhase.PENDING,
    ReplicaStage.FAILED: ReplicaPhase.FAILED,
    ReplicaStage.STOPPING: ReplicaPhase.STOPPING,
}
_OF_REPLICAS: Final = ("cpu", "memory")
_INTERVAL: Final = 2.0
_DELEGATES: Final = "The strategy {} decides nothing itself: it has objects of a cluster scale. Take kpa or hpa here."
_ASLEEP: Final = 4.0
"""Seconds between two decisions for a revision that has no replicas and no requests: few enough that many of them cost
next to nothing, and within what a `Scaler` takes for a jump of time, whatever its interval."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A revision has another number of replicas.

    Attributes:
        deployment: its deployment.
        reason: in one word.
        message: in a sentence.
        bad: whether something is wrong.
    """

    deployment: Deployment
    reason: str
    message: str
    bad: bool = False


@dataclasses.dataclass(slots=True)
class _Followed:
    """What is known of one deployment."""

    deployment: Deployment
    scaler: Scaler
    rates: Rates
    target: int
    uses_resources: bool
    silence: Silence = dataclasses.field(default_factory=Silence)
    meters: dict[Replica, Meter] = dataclasses.field(default_factory=dict)
    in_flight: int = 0
    asked: float = -math.inf
    error: str = ""
    told: str = ""

    @property
    def asleep(self) -> bool:
        """Whether it has no replicas, is to have none, and has no requests."""
        least = self.deployment.component.scaling.spec.min_replicas
        return not (self.target or self.in_flight or self.deployment.replicas or least)


class Scaling:
    """Decides for all deployments.

    Args:
        plugins: where strategies are looked up.
        clock: seconds of Unix time.
        machine: what there is to be had.
    """

    def __init__(self, plugins: Plugins, clock: Callable[[], float], machine: Machine | None = None) -> None:
        self._plugins, self._clock = plugins, clock
        self._machine = machine or Machine()
        self._followed: dict[str, _Followed] = {}
        self._strategies: dict[str, tuple[Autoscaler, float, tuple[str, ...]]] = {}

    def follow(self, deployment: Deployment) -> None:
        """Begin to decide for a deployment."""
        strategy, interval, metrics, error = self._strategy(deployment)
        scaler = Scaler(
            strategy,
            deployment.component.scaling.spec,
            interval=interval,
            name=deployment.component.scaling.strategy or "",
            start=deployment.desired,
            metrics=metrics,
        )
        uses = any(each in _OF_REPLICAS for each in metrics)
        self._followed[deployment.backend] = _Followed(
            deployment, scaler, Rates(), deployment.desired, uses, error=error
        )

    def keep(self, backends: set[str]) -> None:
        """Decide for these no longer than they are there."""
        self._followed = {name: each for name, each in self._followed.items() if name in backends}

    def _strategy(self, deployment: Deployment) -> tuple[Autoscaler | None, float, tuple[str, ...], str]:
        name = deployment.component.scaling.strategy
        if name is None:
            return None, _INTERVAL, (), ""
        if name not in self._strategies:
            try:
                spec = self._plugins.autoscalers()[name]
                if AutoscalerMode.DECIDES not in spec.modes:
                    return None, _INTERVAL, (), _DELEGATES.format(name)
                made = self._plugins.factory(Kind.AUTOSCALER, spec)()
            except (KeyError, errors.PluginError) as error:
                return None, _INTERVAL, (), f"The strategy {name} cannot be used: {error}"
            self._strategies[name] = (made, spec.interval, tuple(spec.metrics))
        return *self._strategies[name], ""

    # -- what is measured -------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing runs, and so nothing is to be measured."""
        return not any(each.deployment.replicas or each.in_flight for each in self._followed.values())

    def observe(self, passing: Mapping[str, Measured], held: Mapping[str, Held]) -> None:
        """Take in what passes the gateway and what waits at the activator."""
        now = self._clock()
        for backend, each in self._followed.items():
            through, waits = passing.get(backend), held.get(backend)
            active, total = (through.active, through.total) if through else (0, 0)
            waiting, arrived = (waits.waiting, waits.arrived) if waits else (0, 0)
            if each.asleep and not active + waiting:
                continue  # whoever asks for it wakes it
            each.in_flight = active + waiting
            if through is not None:
                each.silence.update(through)
                each.deployment.silent = each.silence.told(each.deployment.component.timeout)
            for metric, sample in each.rates.update(now, active, total, waiting, arrived).items():
                each.scaler.observe(metric, sample)
            if each.uses_resources:
                self._meter(each, now)

    def _meter(self, each: _Followed, now: float) -> None:
        replicas = each.deployment.replicas
        each.meters = {replica: each.meters.get(replica) or Meter() for replica in replicas}
        for replica, meter in list(each.meters.items()):
            if (usage := replica.usage()) is None:
                each.meters[replica] = Meter()
            else:
                meter.update(now, *usage)

    def waits(self, deployment: Deployment) -> bool:
        """Whether requests are there for a deployment, as far as was measured."""
        each = self._followed.get(deployment.backend)
        return each is not None and each.in_flight > 0

    def wake(self, backend: str) -> None:
        """A request waits for a deployment none of whose replicas answers: decide for it at once."""
        if (each := self._followed.get(backend)) is not None:
            each.in_flight = max(1, each.in_flight)
            each.scaler.wake(self._clock())
            self._decide(each, self._clock())

    # -- what is decided --------------------------------------------------------------------------------

    def decide(self) -> bool:
        """Ask the strategies whose time it is; returns whether anything is to change."""
        now = self._clock()
        due = [each for each in self._followed.values() if self._is_due(each, now)]
        return True in [self._decide(each, now) for each in due]

    def _is_due(self, each: _Followed, now: float) -> bool:
        return not (each.asleep and 0 <= now - each.asked < _ASLEEP) and each.scaler.due(now)

    def _decide(self, each: _Followed, now: float) -> bool:
        deployment = each.deployment
        each.asked = now
        if not deployment.was_ready:  # the scale that it starts with has to be reached first
            return False
        before = (each.target, deployment.through_activator, deployment.error)
        self._adopt(each)
        outcome = each.scaler.decide(
            now,
            ready=len(deployment.ready),
            desired=each.target,
            replicas=[_state(replica, each, deployment) for replica in deployment.replicas],
            reachable=deployment.reachable,
            measured=bool(deployment.ready),
            activator_since=deployment.activator_since,
            in_flight=each.in_flight,
        )
        if outcome.cause is not None and not isinstance(outcome.cause, errors.ConfigurationError):
            _log.warning("The strategy of %s failed.", deployment.name, exc_info=outcome.cause)
        each.target = outcome.desired
        deployment.through_activator = outcome.through_activator
        deployment.reason = outcome.reason
        deployment.error = each.error or outcome.error or ""
        return (each.target, deployment.through_activator, deployment.error) != before

    def _adopt(self, each: _Followed) -> None:
        """Go on with what is declared now."""
        scaling = each.deployment.component.scaling
        strategy, interval, metrics, each.error = self._strategy(each.deployment)
        each.uses_resources = any(metric in _OF_REPLICAS for metric in metrics)
        each.scaler.replace(strategy, scaling.spec, interval=interval, name=scaling.strategy or "", metrics=metrics)

    def apply(self, deployments: Sequence[Deployment], *, growing: str | None = None) -> list[Change]:
        """Have as many replicas as is decided, and as the machine allows.

        Args:
            deployments: all that share the machine.
            growing: the backend of the only one that may change now, to have more; None for all.
        """
        claims = [self._claim(each) for each in deployments]
        changes: list[Change] = []
        for deployment, allowed in zip(deployments, self._machine.allowance(claims), strict=True):
            grows = deployment.backend == growing and allowed.replicas > len(deployment.replicas)
            if growing is not None and not grows:
                continue
            deployment.limited = allowed.reason
            before, deployment.desired = len(deployment.replicas), allowed.replicas
            deployment.scale(allowed.replicas)
            if (followed := self._followed.get(deployment.backend)) and followed.told != deployment.error:
                followed.told = deployment.error
                if deployment.error:
                    changes.append(Change(deployment, "AutoscalerFailed", deployment.error, bad=True))
            if before != allowed.replicas:
                why = deployment.limited or deployment.reason
                said = f"Revision {deployment.name} goes from {before} to {_count(allowed.replicas)}. {why}".strip()
                changes.append(Change(deployment, "ScaledUp" if allowed.replicas > before else "ScaledDown", said))
        return changes

    def _claim(self, deployment: Deployment) -> Claim:
        followed = self._followed.get(deployment.backend)
        target = deployment.desired if followed is None else followed.target
        spec = deployment.component.scaling.spec
        requests = _requests(deployment.component.pod)
        return Claim(name=deployment.name, minimum=spec.min_replicas, desired=target, requests=requests)


def _state(replica: Replica, each: _Followed, deployment: Deployment) -> ReplicaState:
    meter = each.meters.get(replica)
    return ReplicaState(
        name=replica.observation.name,
        phase=_PHASES.get(replica.observation.stage, ReplicaPhase.RUNNING),
        ready=replica.ready,
        started_at=replica.started_at,
        ready_changed_at=replica.ready_changed_at,
        metrics=meter.samples() if meter is not None else {},
        requests=_requests(deployment.component.pod),
    )


def _requests(pod: Mapping[str, Any]) -> dict[str, float]:
    """What a replica requests of the machine: that of all its containers together."""
    total: dict[str, float] = {}
    for container in _containers(pod):
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name in _OF_REPLICAS:
            if name in asked:
                total[name] = total.get(name, 0.0) + quantities.quantity(asked[name])
    return total


def _count(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"


def _containers(pod: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return pod.get("containers") or ()
