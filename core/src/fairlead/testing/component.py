"""A component for tests of autoscaler strategies: it does at once what its strategy decides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fairlead.contracts.autoscaler import Decision, MetricsWindow, Replica, Sample

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Autoscaler, AutoscalerSpec, ScalingSpec

__all__ = ["Component"]

_BEGIN: Final = 1_700_000_000.0
_LONG_AGO: Final = _BEGIN - 3600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One call of `Autoscaler.decide`, and what it returned."""

    spec: ScalingSpec
    window: MetricsWindow
    now: float
    decision: Decision


class Component:
    """A component that does at once what its strategy decides, on a clock of its own.

    Args:
        make: makes the strategy.
        described: the strategy's spec.
        scaling: what the user asked for.
        replicas: how many replicas there are when it begins, all of them ready for an hour.
    """

    def __init__(
        self, make: Callable[[], Autoscaler], described: AutoscalerSpec, scaling: ScalingSpec, replicas: int = 1
    ) -> None:
        self.scaling = scaling
        self.asked: list[_Asked] = []
        self.memory: object = None
        self.now = _BEGIN
        self._described = described
        self._make = make
        self._strategy = make()
        self._started = [_LONG_AGO] * replicas
        self._activator_since: float | None = None

    @property
    def replicas(self) -> int:
        """How many replicas there are."""
        return len(self._started)

    @property
    def decisions(self) -> list[Decision]:
        """What was decided, in order."""
        return [asked.decision for asked in self.asked]

    def run(self, load: float | None, seconds: float, *, counted: bool = True) -> list[int]:
        """Let time pass under one load.

        Args:
            load: how much there is of every metric, on all replicas together; None when nothing is measured.
            seconds: how long.
            counted: whether the replicas can be counted.

        Returns:
            How many replicas there were after each decision.
        """
        return [self.tick(load, counted=counted) for _ in range(math.ceil(seconds / self._described.interval))]

    def restart(self) -> None:
        """Forget what the strategy remembered, as a process does that begins anew."""
        self._strategy = self._make()
        self.memory = None

    def tick(self, load: float | None, *, counted: bool = True) -> int:
        """Let time pass up to the next decision; returns how many replicas there are then."""
        before, self.now = self.now, self.now + self._described.interval
        seconds = range(math.floor(before) + 1, math.floor(self.now) + 1)
        measured = () if load is None else tuple(Sample(float(second), load) for second in seconds)
        window = MetricsWindow(
            samples=dict.fromkeys(self._described.metrics, measured),
            ready_replicas=self.replicas if counted else None,
            desired_replicas=self.replicas,
            replicas=self._described_replicas(load) if counted else (),
            activator_since=self._activator_since,
            memory=self.memory,
        )
        decision = self._strategy.decide(self.scaling, window, self.now)
        self.asked.append(_Asked(spec=self.scaling, window=window, now=self.now, decision=decision))
        self.memory = decision.memory
        self._apply(decision)
        return self.replicas

    def replay(self) -> list[Decision]:
        """What new instances decide when they are asked the same, the last question first; in the order of asking."""
        again = [self._make().decide(asked.spec, asked.window, asked.now) for asked in reversed(self.asked)]
        return again[::-1]

    def _described_replicas(self, load: float | None) -> tuple[Replica, ...]:
        share = None if load is None or not self.replicas else Sample(self.now, load / self.replicas)
        metrics = {} if share is None else dict.fromkeys(self._described.metrics, share)
        return tuple(
            Replica(
                name=f"replica-{index}",
                started_at=started,
                ready_changed_at=started,
                metrics=metrics,
                requests=dict.fromkeys(self._described.metrics, 1.0),
            )
            for index, started in enumerate(self._started)
        )

    def _apply(self, decision: Decision) -> None:
        if decision.replicas is not None:
            del self._started[decision.replicas :]
            self._started += [self.now] * (decision.replicas - len(self._started))
        if not (decision.through_activator or not self.replicas):
            self._activator_since = None
        elif self._activator_since is None:
            self._activator_since = self.now
