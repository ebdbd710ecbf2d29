"""What asks a strategy how many replicas one revision should have, and holds what must hold whatever it says.

It knows no clock: every time is an argument. The platform without a cluster, the operator and the simulator ask through
it, so that a strategy does the same in all of them::

    scaler.observe("concurrency", sample)
    if scaler.due(now):
        outcome = scaler.decide(now, ready=1, desired=1, ...)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.autoscaling import answers
from fairlead.autoscaling.intake import Intake
from fairlead.contracts.autoscaler import MetricsWindow

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Autoscaler, Decision, Replica, Sample, ScalingSpec

__all__ = ["Outcome", "Scaler"]

_STALL: Final = 5.0
"""Seconds beyond two intervals after which nobody can say what happened since the decision before."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many replicas there are to be.

    Attributes:
        desired: how many.
        decision: what the strategy said; None where there is no strategy, or it failed.
        reason: why, in sentences, for the component's status.
        error: what is wrong with the strategy or with what is asked of it, in sentences; None where nothing is.
        through_activator: whether requests should come through the activator; None to leave that to the platform,
            which does so at zero replicas.
        cause: what the strategy raised; None where it raised nothing.
    """

    desired: int
    decision: Decision | None
    reason: str
    error: str | None = None
    through_activator: bool | None = None
    cause: BaseException | None = None


class Scaler:
    """The decisions about one revision of a component.

    Whatever the strategy says, there are never fewer replicas than the spec's least, unless no request can reach the
    revision, and never more than its most; never none while requests are in flight or wait; and no fewer than before
    where nothing is known of the load: nothing was measured since the decision before, the replicas could not be
    counted, or time jumped. A strategy that raises, or answers what is no decision, leaves the scale as it is.

    Time never goes back: where the clock does, it stands still for that moment and goes on from there. After a jump
    forward (the machine slept) what the strategy remembers is dropped, because its windows would take the gap for
    seconds without requests.

    Args:
        strategy: who decides; None to hold `start` replicas.
        spec: what the user asked for.
        interval: seconds between two decisions.
        name: the strategy's name, for messages.
        start: how many replicas there are to be before the first decision.
        metrics: the metrics that the strategy wants: its window has an entry for each, and one for each other that
            is observed.
    """

    def __init__(
        self,
        strategy: Autoscaler | None,
        spec: ScalingSpec,
        *,
        interval: float,
        name: str,
        start: int,
        metrics: Sequence[str] = ("concurrency", "rps"),
    ) -> None:
        self._strategy, self._spec, self._interval, self._name = strategy, spec, interval, name
        self._metrics = tuple(metrics)
        self._held = self._desired = start
        self._intake = Intake()
        self._memory: object = None
        self._through: bool | None = None
        self._shift = 0.0
        self._now = self._decided = self._due = -math.inf
        self._woken = False

    @property
    def strategy(self) -> Autoscaler | None:
        """Who decides."""
        return self._strategy

    @property
    def spec(self) -> ScalingSpec:
        """What the user asked for."""
        return self._spec

    def replace(
        self,
        strategy: Autoscaler | None,
        spec: ScalingSpec,
        *,
        interval: float | None = None,
        name: str | None = None,
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Go on with another strategy, or with another spec; a decision is due then.

        What a strategy of another class remembered is dropped. Without a strategy, the spec's least are held from now
        on. Where nothing is new, nothing happens.
        """
        another = type(strategy) is not type(self._strategy)
        if not another and spec == self._spec:
            return
        if another:
            self._memory, self._through = None, None
        if strategy is None:
            self._held = spec.min_replicas
            self._intake.clear()
        self._strategy, self._spec = strategy, spec
        self._interval = self._interval if interval is None else interval
        self._name = self._name if name is None else name
        self._metrics = self._metrics if metrics is None else tuple(metrics)
        self._due = -math.inf

    def observe(self, metric: str, sample: Sample) -> None:
        """Take in a measurement of the whole revision, for the next decision; see `Intake.add`."""
        if self._strategy is not None:
            self._intake.add(metric, dataclasses.replace(sample, at=sample.at + self._shift))

    def wake(self, now: float) -> None:
        """A request waits: where there is to be no replica, a decision is due at once, and is for one at least."""
        self._moved(now)
        self._woken = self._desired == 0

    def due(self, now: float) -> bool:
        """Whether it is time for a decision."""
        return self._woken or self._moved(now) >= self._due

    def decide(
        self,
        now: float,
        *,
        ready: int | None,
        desired: int,
        replicas: Sequence[Replica] = (),
        reachable: bool = True,
        measured: bool = True,
        activator_since: float | None = None,
        in_flight: int = 0,
    ) -> Outcome:
        """Decide; it never raises, whatever the strategy does.

        Args:
            now: the time.
            ready: replicas that can answer; None when they could not be counted.
            desired: how many replicas the revision is told to have at present.
            replicas: the replicas one by one.
            reachable: whether requests of clients are routed to the revision.
            measured: whether there are addresses to ask for measurements.
            activator_since: since when every request has come through the activator; None where they do not.
            in_flight: requests that are computed on or wait, at this moment.
        """
        at = self._moved(now)
        jumped = -math.inf < self._decided < at - 2 * self._interval - _STALL
        if jumped:
            self._memory = None
            self._intake.clear()
        window = MetricsWindow(
            samples=self._intake.of(self._metrics),
            ready_replicas=ready,
            desired_replicas=desired,
            replicas=replicas,
            reachable=reachable,
            measured=measured,
            activator_since=None if activator_since is None else min(at, activator_since + self._shift),
            memory=self._memory,
        )
        unknown = self._unknown(window, jumped=jumped)
        busy = in_flight > 0 or self._woken
        self._next(at)
        if self._strategy is None:
            outcome = self._hold(desired, busy=busy, reachable=reachable)
        else:
            outcome = self._asked(self._strategy, window, at, unknown, busy=busy)
        self._desired = outcome.desired
        return outcome

    # -- time -------------------------------------------------------------------------------------------

    def _moved(self, now: float) -> float:
        """The time, which never goes back."""
        at = now + self._shift
        if at < self._now:
            self._shift += self._now - at
        self._now = max(self._now, at)
        return self._now

    def _next(self, at: float) -> None:
        """A decision is made; one for a request that waits leaves the rhythm of the others."""
        if at >= self._due:
            following = self._due + self._interval
            self._due = following if following > at else at + self._interval
        self._decided = at
        self._woken = False

    # -- what is decided --------------------------------------------------------------------------------

    def _hold(self, desired: int, *, busy: bool, reachable: bool) -> Outcome:
        """What is held without a strategy; nobody would take away again what a request has called for."""
        if busy:
            self._held = max(1, self._held)
        held, why = self._within(self._held, desired, "", busy=busy, reachable=reachable)
        return Outcome(desired=held, decision=None, reason=f"No strategy decides: {held} are held.{why}")

    def _asked(self, strategy: Autoscaler, window: MetricsWindow, at: float, unknown: str, *, busy: bool) -> Outcome:
        cause: BaseException | None = None
        decision: Decision | None = None
        try:
            decision = strategy.decide(self._spec, window, at)
            fault = answers.fault(decision)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 -- a plugin may raise anything, and the loop goes on
            fault, cause = f"raised {answers.shown(raised)}", raised
        if decision is None or fault is not None:
            refused = isinstance(cause, errors.ConfigurationError)
            return self._kept(
                window, str(cause) if refused else f"The strategy {self._name} {fault}.", cause, busy=busy
            )
        self._memory, self._through = decision.memory, decision.through_activator
        self._intake.clear()
        wanted = window.desired_replicas if decision.replicas is None else decision.replicas
        desired, why = self._within(wanted, window.desired_replicas, unknown, busy=busy, reachable=window.reachable)
        return Outcome(
            desired=desired,
            decision=decision,
            reason=f"{decision.reason}{why}",
            error=self._out_of_bounds(decision, window.reachable),
            through_activator=self._through if desired else True,
        )

    def _kept(self, window: MetricsWindow, error: str, cause: BaseException | None, *, busy: bool) -> Outcome:
        """What there is when the strategy failed; it gets the same measurements again."""
        self._intake.trim()
        current = window.desired_replicas
        desired, why = self._within(current, current, "", busy=busy, reachable=window.reachable)
        return Outcome(
            desired=desired,
            decision=None,
            reason=f"The strategy {self._name} did not decide, so that {current} are kept.{why}",
            error=error,
            through_activator=self._through if desired else True,
            cause=cause,
        )

    def _unknown(self, window: MetricsWindow, *, jumped: bool) -> str:
        """Why nothing is known of the load; empty where something is."""
        if jumped:
            return "Time has jumped"
        if window.ready_replicas is None:
            return "The replicas could not be counted"
        if window.reachable and not any(self._measured(window, name) for name in self._metrics):
            return "Nothing was measured"
        return ""

    def _measured(self, window: MetricsWindow, name: str) -> bool:
        """Whether a metric was measured since the decision before: of the revision, or at one of its replicas."""
        since = self._decided - self._interval
        found = (replica.metrics[name] for replica in window.replicas if name in replica.metrics)
        return bool(window.samples[name]) or any(sample.at + self._shift > since for sample in found)

    def _within(self, wanted: int, current: int, unknown: str, *, busy: bool, reachable: bool) -> tuple[int, str]:
        """The nearest number that the rules allow, and which rule made it another one."""
        result, why = wanted, ""
        if unknown and result < current:
            result, why = current, f" {unknown}, so that none is taken away."
        least = self._spec.min_replicas if reachable else 0
        if result < least:
            result, why = least, f" At least {least} are kept."
        if busy and result < 1:
            result, why = 1, " Requests are there, so that one is kept for them."
        most = self._spec.max_replicas
        if most is not None and result > most:
            result, why = most, f" At most {most} are allowed."
        return result, why

    def _out_of_bounds(self, decision: Decision, reachable: bool) -> str | None:
        least = self._spec.min_replicas if reachable else 0
        most = math.inf if self._spec.max_replicas is None else self._spec.max_replicas
        if decision.replicas is None or least <= decision.replicas <= most:
            return None
        return f"The strategy {self._name} asked for {decision.replicas} replicas, out of bounds."
