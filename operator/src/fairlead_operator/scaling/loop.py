"""One component: measured, decided about, and scaled, again and again."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.autoscaling.scaler import Scaler
from fairlead_operator.desired.autoscaling import CONDITION
from fairlead_operator.desired.model import Problem
from fairlead_operator.scaling import pods
from fairlead_operator.scaling.measuring import Measuring
from fairlead_operator.scaling.reach import Told

if TYPE_CHECKING:
    from fairlead.autoscaling.scaler import Outcome
    from fairlead.contracts.autoscaler import Replica, ScalingSpec
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.scaling.reach import Reach, Subject, Tell

__all__ = ["Loop"]

_log = logging.getLogger("fairlead.operator")

_SHORTEST, _LONGEST = 1.0, 5.0
"""Seconds between two looks at the pods, at the least and at the most."""

_SETTLES: Final = 10.0
"""Seconds within which the watch of Deployments tells of a number that was written."""


class Loop:
    """Scales one component, in whose stead nothing else does.

    It begins without a memory, as a restarted operator does: with the number of replicas that there is, and without
    taking any away until something is measured. There is no activator in a cluster, and so never less than one replica.

    Args:
        subject: what is scaled.
        reach: the cluster.
        clock: seconds of Unix time.
        tell: takes what is to be told.
    """

    def __init__(self, subject: Subject, reach: Reach, clock: Callable[[], float], tell: Tell) -> None:
        self._subject, self._reach, self._clock, self._tell = subject, reach, clock, tell
        self._measuring = Measuring(reach)
        self._scaler: Scaler | None = None
        self._written: tuple[int, int, float] | None = None
        self._problem: Problem | None = None
        self._noted = False
        self._renewed = False

    @property
    def period(self) -> float:
        """Seconds between two rounds."""
        return min(max(self._subject.strategy.spec.interval / 2, _SHORTEST), _LONGEST)

    @property
    def problem(self) -> Problem | None:
        """What is wrong; None where nothing is."""
        return self._problem

    def renew(self, subject: Subject) -> None:
        """Go on with what is declared now."""
        self._renewed = self._renewed or subject != self._subject
        self._subject = subject

    async def round(self) -> None:
        """Look at the pods once, and decide where it is time; it raises nothing but what cancels it."""
        try:
            await self._round()
        except Exception:  # noqa: BLE001 -- one round that fails must not end the loop
            _log.exception("%s/%s: a round of scaling failed", self._subject.namespace, self._subject.name)

    async def _round(self) -> None:
        subject, now = self._subject, self._clock()
        current = self._current(now)
        if current is None:
            return
        scaler = self._ready_scaler(current)
        if not self._noted:
            self._noted = True
            await self._note()
        found = self._reach.pods(subject)
        for metric, sample in (await self._measuring.requests(now, found)).items():
            scaler.observe(metric, sample)
        if not scaler.due(now):
            return
        if any(each in pods.RESOURCES for each in subject.strategy.spec.metrics):
            await self._measuring.usage(now, subject)
        outcome = scaler.decide(
            now,
            ready=sum(map(pods.is_ready, found)),
            desired=current,
            replicas=self._replicas(found),
            measured=any(map(pods.is_ready, found)),
            in_flight=self._measuring.in_flight,
        )
        await self._apply(current, outcome, now)

    # -- what is known ----------------------------------------------------------------------------------

    def _current(self, now: float) -> int | None:
        """How many replicas the Deployment is told to have: what was just written, until the watch tells of it."""
        known = self._reach.replicas(self._subject)
        if self._written is None:
            return known
        before, written, at = self._written
        if known != before or not 0 <= now - at < _SETTLES:
            self._written = None
            return known
        return written

    def _ready_scaler(self, current: int) -> Scaler:
        strategy, spec = self._subject.strategy, _held(self._subject.component.scaling.spec)
        said = strategy.spec
        if self._scaler is None:
            self._scaler = Scaler(
                strategy.autoscaler, spec, interval=said.interval, name=said.name, start=current, metrics=said.metrics
            )
        elif self._renewed:
            self._scaler.replace(
                strategy.autoscaler, spec, interval=said.interval, name=said.name, metrics=said.metrics
            )
        self._renewed = False
        return self._scaler

    def _replicas(self, found: Sequence[Manifest]) -> list[Replica]:
        return [pods.replica(each, self._measuring.of(each)) for each in found]

    # -- what comes of it -------------------------------------------------------------------------------

    async def _apply(self, current: int, outcome: Outcome, now: float) -> None:
        subject = self._subject
        fault = ""
        if outcome.desired != current:
            try:
                await self._reach.scale(subject.namespace, subject.name, outcome.desired)
            except errors.ClusterError as error:
                fault = f"The Deployment {subject.name} cannot be scaled to {outcome.desired}: {error}"
            else:
                self._written = (current, outcome.desired, now)
                reason = "ScaledUp" if outcome.desired > current else "ScaledDown"
                text = f"{subject.name} goes from {current} to {_count(outcome.desired)}. {outcome.reason}"
                await self._told(reason, text)
        if outcome.cause is not None and not isinstance(outcome.cause, errors.ConfigurationError):
            _log.warning("%s: the strategy failed", subject.name, exc_info=outcome.cause)
        await self._judge(outcome, fault, now)

    async def _judge(self, outcome: Outcome, fault: str, now: float) -> None:
        """Note what is wrong, and tell of it when it begins and when it ends."""
        said = self._subject.strategy.spec
        wanted = [each.metric for each in self._subject.component.scaling.spec.targets] or said.metrics[:1]
        unmeasured = self._measuring.fault(now, frozenset(wanted))
        refused = isinstance(outcome.cause, errors.ConfigurationError)
        problem = None
        if fault:
            problem = Problem(CONDITION, "ScalingFailed", fault)
        elif outcome.error:
            problem = Problem(CONDITION, "InvalidAutoscaling" if refused else "AutoscalerFailed", outcome.error)
        elif unmeasured:
            text = f"The replicas of {self._subject.name} are kept, because nothing is measured. {unmeasured}"
            problem = Problem(CONDITION, "NothingMeasured", text)
        before, self._problem = self._problem, problem
        if problem is not None and (before is None or before.reason != problem.reason):
            await self._told(problem.reason, problem.message, bad=True)
        elif problem is None and before is not None:
            await self._told("AutoscalerRecovered", f"{self._subject.name} is scaled again by {said.name}.")

    async def _note(self) -> None:
        if self._subject.component.scaling.spec.min_replicas < 1:
            text = f"minReplicas of {self._subject.name} is 0, and 1 is kept: in a cluster nobody wakes what has none."
            await self._told("MinReplicasRaised", f"{text} For zero, name keda with an External metric.")

    async def _told(self, reason: str, message: str, *, bad: bool = False) -> None:
        subject = self._subject
        await self._tell(
            Told(namespace=subject.namespace, service=subject.service, reason=reason, message=message, bad=bad)
        )


def _held(spec: ScalingSpec) -> ScalingSpec:
    """What is asked for, with one replica at the least."""
    most = None if spec.max_replicas is None else max(1, spec.max_replicas)
    return dataclasses.replace(spec, min_replicas=max(1, spec.min_replicas), max_replicas=most)


def _count(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
