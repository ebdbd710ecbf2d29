"""What must hold of every scaling decision, tried with the first-party strategies through the loop that asks them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Autoscaler, MetricTarget, Replica, Sample, ScalingSpec
from fairlead.autoscaling.scaler import Outcome, Scaler
from fairlead.plugins import Kind, Plugins

SETTLED: Final = 700.0
WATCHED: Final = 300.0
NAMES: Final = ("hpa", "kpa")

each_strategy = pytest.mark.parametrize("name", NAMES)
tried = settings(max_examples=40, deadline=None)
loads = st.floats(0.0, 60.0) | st.just(0.0)
histories = st.lists(st.tuples(st.none() | loads, st.integers(1, 120)), min_size=1, max_size=8)


@functools.cache
def installed(name: str) -> tuple[Autoscaler, float, tuple[str, ...]]:
    """A strategy, the seconds between its decisions, and the metrics that it wants."""
    plugins = Plugins.discover()
    spec = plugins.autoscalers()[name]
    return plugins.factory(Kind.AUTOSCALER, spec)(), spec.interval, spec.metrics


def asks(least: int = 0, most: int | None = 40, annotations: Mapping[str, str] = MappingProxyType({})) -> ScalingSpec:
    """Two requests at once for each replica."""
    targets = (MetricTarget(metric="concurrency", value=2.0),)
    return ScalingSpec(min_replicas=least, max_replicas=most, targets=targets, annotations=annotations)


class Revision:
    """A revision whose replicas are ready at once; time passes second by second."""

    def __init__(self, name: str, spec: ScalingSpec, start: int = 1) -> None:
        self.spec = spec
        self.now = 1_700_000_000.0
        self.desired = start
        self.in_flight = 0
        self.activator_since: float | None = None
        self.outcomes: list[Outcome] = []
        self.restart(name)

    def restart(self, name: str) -> None:
        """Begin to decide anew, as a process does that remembers nothing."""
        strategy, interval, metrics = installed(name)
        self.scaler = Scaler(strategy, self.spec, interval=interval, name=name, start=self.desired, metrics=metrics)

    def swap(self, name: str) -> None:
        """Go on with another strategy."""
        strategy, interval, metrics = installed(name)
        self.scaler.replace(strategy, self.spec, interval=interval, name=name, metrics=metrics)

    def run(self, load: float | None, seconds: float) -> list[int]:
        """Let time pass under a load, None for one that cannot be measured; how many there were after each decision."""
        found = []
        for _ in range(math.ceil(seconds)):
            self.now += 1.0
            if self.second(self.now, load):
                found.append(self.desired)
        return found

    def second(self, clock: float, load: float | None) -> bool:
        """One second that ends now; returns whether there was a decision."""
        if load is not None:
            self.in_flight = math.ceil(load)
            self.scaler.observe("concurrency", Sample(clock, load, 1.0))
        if self.desired == 0 and self.in_flight:
            self.scaler.wake(clock)
        if not self.scaler.due(clock):
            return False
        self.apply(self.decided(clock), clock)
        return True

    def decided(self, clock: float) -> Outcome:
        return self.scaler.decide(
            clock,
            ready=self.desired,
            desired=self.desired,
            replicas=[Replica(name=f"r{number}", started_at=0.0) for number in range(self.desired)],
            measured=self.desired > 0,
            activator_since=self.activator_since,
            in_flight=self.in_flight,
        )

    def apply(self, outcome: Outcome, clock: float) -> None:
        assert outcome.error is None
        self.outcomes.append(outcome)
        self.desired = outcome.desired
        if not outcome.through_activator:
            self.activator_since = None
        elif self.activator_since is None:
            self.activator_since = clock


def changes(numbers: Sequence[int]) -> int:
    return sum(one != other for one, other in itertools.pairwise(numbers))


# -- what holds at each decision ------------------------------------------------------------------------


@each_strategy
@tried
@given(history=histories, least=st.integers(0, 4), room=st.integers(0, 8), start=st.integers(0, 12))
def test_there_are_never_fewer_than_the_least_and_never_more_than_the_most(
    name: str, history: list[tuple[float | None, int]], least: int, room: int, start: int
) -> None:
    most = max(1, least + room)
    revision = Revision(name, asks(least, most), start)
    for load, seconds in history:
        assert all(least <= replicas <= most for replicas in revision.run(load, seconds))


@each_strategy
@tried
@given(history=histories, start=st.integers(0, 12))
def test_there_is_a_replica_whenever_requests_are_there(
    name: str, history: list[tuple[float | None, int]], start: int
) -> None:
    revision = Revision(name, asks(), start)
    for load, seconds in history:
        for _ in range(seconds):
            revision.run(load, 1)
            assert revision.desired > 0 or not revision.in_flight


@each_strategy
@tried
@given(history=histories, lost=st.integers(1, 400))
def test_where_nothing_is_measured_none_is_taken_away(
    name: str, history: list[tuple[float | None, int]], lost: int
) -> None:
    revision = Revision(name, asks())
    for load, seconds in history:
        # The first decision may still know of the seconds before the measurements were lost.
        found = revision.run(load, seconds)[1:] if load is None else []
        assert found == sorted(found)
    revision.run(40.0, 60)
    high = revision.run(None, 16.0)[-1]
    assert min([high, *revision.run(None, lost)]) == high


@each_strategy
@tried
@given(history=histories, jumps=st.lists(st.tuples(st.integers(0, 60), st.floats(-4e3, 4e3)), max_size=4))
def test_whatever_the_clock_does_time_does_not_go_back_and_no_request_is_left_alone(
    name: str, history: list[tuple[float | None, int]], jumps: list[tuple[int, float]]
) -> None:
    revision, clock, second = Revision(name, asks()), 1e9, 0
    at = dict(jumps)
    for load, seconds in history:
        for _ in range(seconds):
            clock += 1.0 + at.get(second, 0.0)
            second += 1
            before = revision.desired
            revision.second(clock, load)
            assert revision.desired > 0 or not revision.in_flight
            if at.get(second - 1, 0.0) > 60.0:
                assert revision.desired >= before


# -- load -----------------------------------------------------------------------------------------------


@each_strategy
@tried
@given(load=loads, more=st.floats(1.0, 4.0))
def test_more_load_never_needs_fewer_replicas(name: str, load: float, more: float) -> None:
    assert Revision(name, asks()).run(load, SETTLED)[-1] <= Revision(name, asks()).run(load * more, SETTLED)[-1]


@each_strategy
@tried
@given(load=loads, start=st.integers(0, 20))
def test_under_a_constant_load_the_number_settles(name: str, load: float, start: int) -> None:
    revision = Revision(name, asks(), start)
    revision.run(load, SETTLED)
    assert changes([revision.desired, *revision.run(load, WATCHED)]) <= 1


@each_strategy
@tried
@given(load=loads)
def test_a_restart_changes_nothing_under_a_constant_load(name: str, load: float) -> None:
    revision = Revision(name, asks())
    settled = revision.run(load, SETTLED + WATCHED)[-1]
    revision.restart(name)
    assert {*revision.run(load, WATCHED)} == {settled}
    revision.restart(name)
    revision.restart(name)
    assert {*revision.run(load, WATCHED)} == {settled}


# -- how fast -------------------------------------------------------------------------------------------


@tried
@given(history=histories, up=st.integers(2, 5), down=st.integers(2, 4))
def test_kpa_scales_no_faster_than_its_rates(history: list[tuple[float | None, int]], up: int, down: int) -> None:
    annotations = {"kpa.autoscaling/max-scale-up-rate": f"{up}", "kpa.autoscaling/max-scale-down-rate": f"{down}"}
    revision = Revision("kpa", asks(annotations=annotations))
    for load, seconds in history:
        for before, after in itertools.pairwise([revision.desired, *revision.run(load, seconds)]):
            assert max(1, before) // down <= after <= max(1, before) * up


@tried
@given(history=histories, up=st.integers(1, 5), down=st.integers(1, 4), period=st.integers(15, 60))
def test_hpa_scales_no_faster_than_its_policies(
    history: list[tuple[float | None, int]], up: int, down: int, period: int
) -> None:
    def rules(value: int) -> dict[str, object]:
        policies = [{"type": "Pods", "value": value, "periodSeconds": period}]
        return {"policies": policies, "stabilizationWindowSeconds": 0}

    spec = dataclasses.replace(asks(1), behavior={"scaleUp": rules(up), "scaleDown": rules(down)})
    revision = Revision("hpa", spec)
    counts = [revision.desired]
    for load, seconds in history:
        for _ in range(seconds):
            revision.run(load, 1)
            before, began = counts[-1], counts[max(0, len(counts) - period)]
            assert min(before, began - down) <= revision.desired <= max(before, began + up)
            counts.append(revision.desired)


# -- two strategies -------------------------------------------------------------------------------------


@tried
@given(history=histories, first=st.sampled_from(NAMES))
def test_a_strategy_that_is_swapped_for_another_takes_nothing_away_at_first(
    history: list[tuple[float | None, int]], first: str
) -> None:
    revision = Revision(first, asks(1, 20))
    names = itertools.cycle(sorted(NAMES, key=lambda name: name == first))
    for load, seconds in history:
        found = revision.run(load, seconds)
        assert all(1 <= replicas <= 20 for replicas in found)
        before = revision.desired
        revision.swap(next(names))
        assert revision.run(load, 1)[0] >= before


@tried
@given(history=histories)
def test_of_two_strategies_that_disagree_the_larger_number_is_safe(history: list[tuple[float | None, int]]) -> None:
    one, other = Revision("kpa", asks(0, 20)), Revision("hpa", asks(0, 20))
    for load, seconds in history:
        for _ in range(seconds):
            one.run(load, 1)
            other.run(load, 1)
            larger = max(one.desired, other.desired)
            assert larger <= 20
            assert larger > 0 or not one.in_flight
            one.desired = other.desired = larger
