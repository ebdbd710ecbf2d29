"""Bounds, the initial scale and the way to zero, as Knative's reconciler has them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairlead import Decision, MetricsWindow, Sample, ScalingSpec
from fairlead_autoscaler_kpa.strategy import KpaAutoscaler

KNATIVE = "autoscaling.knative.dev/"
BEGIN = 1_700_000_000.0
NO_BURST = {f"{KNATIVE}target-burst-capacity": "0"}
"""With it the activator stands in the path only when the component is idle."""


class Service:
    """A component whose world the test moves: it is asked every two seconds."""

    def __init__(
        self,
        *,
        told: int = 1,
        ready: int | None = 1,
        min_replicas: int = 0,
        max_replicas: int | None = None,
        annotations: Mapping[str, str] = NO_BURST,
    ) -> None:
        self.spec = ScalingSpec(
            min_replicas=min_replicas, max_replicas=max_replicas, annotations={**NO_BURST, **annotations}
        )
        self.told = told
        self.ready = ready
        self.reachable = True
        self.measured = True
        self.activator: float | None = None
        self.elapsed = 0
        self.decision = Decision(replicas=None, reason="")

    def ask(self, load: float | None) -> Decision:
        now = BEGIN + self.elapsed
        samples = () if load is None else (Sample(now - 1, load), Sample(now, load))
        window = MetricsWindow(
            samples={"concurrency": samples},
            ready_replicas=self.ready,
            desired_replicas=self.told,
            reachable=self.reachable,
            measured=self.measured,
            activator_since=None if self.activator is None else BEGIN + self.activator,
            memory=self.decision.memory,
        )
        self.decision = KpaAutoscaler().decide(self.spec, window, now)
        self.told = self.told if self.decision.replicas is None else self.decision.replicas
        self.elapsed += 2
        return self.decision

    def until(self, elapsed: int, load: float | None, *, ready_at_once: bool = True) -> Decision:
        """Ask up to and including a time."""
        while self.elapsed <= elapsed:
            self.ask(load)
            if ready_at_once:
                self.ready = self.told
        return self.decision

    def idle(self, load: float | None = 0.0) -> int:
        """Ask until the activator should stand in the path; returns the time of that decision."""
        for _ in range(100):
            if self.ask(load).through_activator:
                return self.elapsed - 2
        raise AssertionError(self.decision.reason)


# -- the start ------------------------------------------------------------------------------------------


def test_a_new_component_gets_its_initial_scale_and_keeps_it_until_it_is_ready() -> None:
    service = Service(told=1, ready=0, annotations={f"{KNATIVE}initial-scale": "3"})
    assert service.ask(None).replicas == 3
    assert service.until(20, 1.0, ready_at_once=False).replicas == 3
    service.ready = 3
    service.ask(1.0)
    assert service.until(200, 1.0).replicas == 1


def test_the_initial_scale_is_at_least_the_least_and_at_most_the_most() -> None:
    initial = {f"{KNATIVE}initial-scale": "5"}
    assert Service(ready=0, annotations=initial, max_replicas=4).ask(None).replicas == 4
    assert Service(ready=0, annotations=initial, min_replicas=6).ask(None).replicas == 6


def test_a_component_may_begin_with_nothing() -> None:
    service = Service(told=0, ready=0, annotations={f"{KNATIVE}initial-scale": "0"})
    assert service.ask(None).replicas is None
    assert service.ask(5.0).replicas == 1


def test_a_restart_leaves_what_stands_at_zero_or_runs() -> None:
    assert Service(told=0, ready=0).ask(None).replicas is None
    assert Service(told=4, ready=4).ask(None).replicas is None


# -- bounds ---------------------------------------------------------------------------------------------


def test_the_reason_says_which_bound_held() -> None:
    service = Service(min_replicas=2, max_replicas=3, told=2, ready=2)
    service.ask(0.0)
    assert service.until(4, 900.0).reason.endswith("At most 3 are allowed.")
    assert service.until(300, 0.0).reason.endswith("At least 2 are kept.")
    assert (service.decision.recommended, service.decision.replicas) == (1, 2)


def test_a_component_that_no_client_reaches_is_not_held_at_its_least() -> None:
    service = Service(min_replicas=2, told=2, ready=2)
    service.activator = 0
    service.reachable = False
    assert service.until(300, 0.0).replicas == 0


def test_scaling_down_is_delayed_only_while_clients_reach_the_component() -> None:
    service = Service(annotations={f"{KNATIVE}scale-down-delay": "60m", f"{KNATIVE}window": "6s"})
    service.until(20, 500.0)
    assert service.until(200, 1.0).replicas == 8
    service.reachable = False
    assert service.until(202, 1.0).replicas == 1


# -- to zero --------------------------------------------------------------------------------------------


def test_the_last_replica_goes_when_the_activator_has_stood_in_the_path_for_the_grace_period() -> None:
    service = Service()
    service.until(100, 5.0)
    began = service.idle()
    assert began > 100 + 58
    assert (service.decision.replicas, service.told) == (None, 1)
    service.activator = began + 4
    assert service.until(began + 28, 0.0, ready_at_once=False).replicas is None
    assert service.decision.reason.endswith("The grace period of 30 s is not over.")
    assert service.until(began + 30, 0.0, ready_at_once=False).replicas == 0


def test_an_activator_that_was_there_all_along_has_served_its_grace_period() -> None:
    service = Service(annotations={f"{KNATIVE}target-burst-capacity": "211"})
    service.activator = 0
    assert service.until(100, 5.0).through_activator
    assert service.until(170, 0.0).replicas == 0


def test_the_last_replica_stays_while_the_activator_does_not_answer() -> None:
    service = Service()
    service.idle()
    assert service.until(1000, 0.0).replicas is None
    assert service.decision.reason.endswith("The activator does not answer for it yet.")


def test_the_retention_period_holds_the_last_replica_however_long_the_activator_was_there() -> None:
    service = Service(annotations={f"{KNATIVE}scale-to-zero-pod-retention-period": "2m"})
    service.activator = 0
    began = service.idle()
    assert service.until(began + 118, 0.0).replicas is None
    assert service.decision.reason.endswith("The last one is kept for 120 s.")
    assert service.until(began + 120, 0.0).replicas == 0


def test_requests_on_the_way_to_zero_end_it() -> None:
    service = Service()
    service.activator = service.idle()
    assert service.ask(5.0).replicas == 1
    assert service.decision.through_activator is False


def test_a_component_that_was_active_for_a_moment_keeps_one_replica_for_a_stable_window() -> None:
    service = Service(told=0, ready=0)
    service.ask(None)
    service.until(2, 0.01)
    service.ready = None
    service.until(60, 0.0, ready_at_once=False)
    service.ready = 1
    active = service.elapsed
    service.ask(0.0)
    assert service.until(active + 58, 0.0).replicas == 1
    assert service.decision.reason.endswith("One stays until it has been active for 60 s.")
    assert service.idle() == active + 60


def test_what_never_became_ready_is_given_up_half_a_minute_after_its_deadline() -> None:
    service = Service(told=0, ready=0, annotations={"serving.knative.dev/progress-deadline": "100s"})
    service.measured = False
    service.ask(None)
    assert service.ask(5.0).replicas == 1
    began = service.elapsed - 2
    assert service.until(began + 128, None, ready_at_once=False).replicas is None
    assert service.decision.reason.endswith("The first replica is still starting.")
    assert service.until(began + 130, None, ready_at_once=False).replicas == 0
    assert service.decision.reason.endswith("No replica became ready in time.")


# -- what cannot be known -------------------------------------------------------------------------------


def test_what_was_decided_stays_when_replicas_cannot_be_counted_or_nothing_is_measured() -> None:
    service = Service()
    service.ask(500.0)
    known = service.ask(500.0)
    assert known.replicas == 8
    service.ready = None
    uncounted = service.ask(900.0)
    assert (uncounted.replicas, uncounted.recommended) == (8, 8)
    assert uncounted.reason == "The replicas could not be counted, so what was decided before stays."
    service.ready = 8
    service.ask(500.0)
    silent = service.until(service.elapsed + 70, None)
    assert silent.reason == "Nothing was measured for 60 s, so what was decided before stays."
    assert silent.replicas == service.told > 0


def test_another_metric_starts_windows_of_its_own() -> None:
    service = Service()
    service.until(20, 500.0)
    service.spec = ScalingSpec(annotations=NO_BURST | {f"{KNATIVE}metric": "rps"})
    assert service.ask(500.0).reason == "Nothing was measured for 60 s, so what was decided before stays."


@pytest.mark.parametrize(("capacity", "expected"), [("0", False), ("-1", True), ("50", False), ("51", True)])
def test_the_activator_stands_in_the_path_while_the_burst_would_not_fit(capacity: str, expected: bool) -> None:
    service = Service(annotations={f"{KNATIVE}target-burst-capacity": capacity})
    service.until(10, 50.0)
    assert service.decision.through_activator is expected
