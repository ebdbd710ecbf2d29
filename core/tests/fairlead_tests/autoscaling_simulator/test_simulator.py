"""Runs whose outcome is computed by hand, and rules that every run keeps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Autoscaler, Decision, MetricsWindow, ReplicaPhase, ScalingSpec, errors
from fairlead.autoscaling import optimum, patterns
from fairlead.autoscaling.pods import Cluster
from fairlead.autoscaling.runs import Outcome, Run
from fairlead.autoscaling.servicetimes import ServiceTimes, Spread
from fairlead.autoscaling.simulator import simulate
from fairlead_tests.autoscaling_simulator.replaying import Timetable, every, replayed, spec, trace


def latencies(run: Run) -> list[float]:
    return [round(end - at, 6) for at, end in zip(run.trace.arrivals, run.ends, strict=True)]


# -- computed by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["hpa", "kpa"])
def test_a_constant_load_below_one_pod_is_served_by_one_pod_without_waiting(strategy: str) -> None:
    run = replayed(strategy, trace(every(1.0, start=0.0, end=60.0), 0.5))
    assert latencies(run) == [0.5] * 60
    assert run.pod_seconds == 60.0
    assert (run.changes, run.cold, run.longest_queue, run.longest_shortage) == ([], 0, 0, 0.0)
    assert optimum.pod_seconds(run) == 60.0


def test_a_pod_that_is_asked_for_serves_once_its_start_time_is_over() -> None:
    run = replayed(Timetable((4.0, 2)), trace([8.0, 8.0, 8.0, 8.0]), start_time=5.0)
    # The first pod serves from 8 to 9; both from 9 on; all four are done at 10 and 11.
    assert latencies(run) == [1.0, 2.0, 2.0, 3.0]
    assert run.pod_seconds == 60.0 + 56.0
    assert [(change.at, change.replicas) for change in run.changes] == [(4.0, 2)]


def test_hpa_doubles_for_a_step_at_its_next_decision() -> None:
    # One pod computes without a pause from 0 on, which is twice its target; at 15 s that is seen, and 10 s later
    # there are two, which have what they should.
    run = replayed("hpa", trace(every(0.125, start=0.0, end=60.0), 0.125), asked=spec(target=0.5))
    assert [(change.at, change.replicas) for change in run.changes] == [(15.0, 2)]
    assert run.pod_seconds == 60.0 + 45.0
    assert optimum.pod_seconds(run) == 60.0
    assert [moment.ready for moment in run.moments] == [1] * 25 + [2] * 36


@pytest.mark.parametrize("strategy", ["hpa", "kpa"])
def test_a_load_that_ends_and_returns_finds_zero_pods_and_waits_for_one(strategy: str) -> None:
    arrivals = [*every(1.0, start=0.0, end=30.0), 600.0]
    run = replayed(
        strategy, trace(arrivals, 0.25, duration=660.0), asked=spec(least=0), start_time=5.0, start_replicas=1
    )
    assert latencies(run) == [0.25] * 30 + [5.25]
    assert run.cold == 1
    assert [change.replicas for change in run.changes][:2] == [0, 1]
    assert run.changes[1].at == 600.0
    assert run.longest_shortage == 5.0


def test_the_first_request_wakes_a_component_without_replicas_at_once() -> None:
    run = replayed(Timetable(), trace([3.3, 3.4]), asked=spec(least=0), start_time=10.0)
    assert latencies(run) == [11.0, 11.9]
    assert [(change.at, change.replicas) for change in run.changes] == [(3.3, 1)]
    assert (run.cold, run.longest_queue) == (2, 2)
    assert run.longest_shortage == pytest.approx(11.0)  # from 3.3 until the second begins at 14.3


def test_a_strategy_that_does_not_wake_leaves_no_request_waiting() -> None:
    run = replayed(Timetable((0.0, 0), wakes=False), trace([3.3, 3.4]), asked=spec(least=0), start_time=10.0)
    assert latencies(run) == [11.0, 11.9]
    assert [(change.at, change.replicas) for change in run.changes] == [(3.3, 1), (16.0, 0)]
    assert run.changes[0].reason.endswith("Requests are there, so that one is kept for them.")


def test_requests_beyond_the_queue_are_refused() -> None:
    run = replayed(Timetable(), trace([1.0] * 5), queue_size=2)
    assert [*run.outcomes] == [Outcome.ANSWERED] * 3 + [Outcome.REFUSED] * 2
    assert math.isnan(run.begins[4])


def test_what_is_not_done_when_the_trace_ends_is_unfinished() -> None:
    run = replayed(Timetable(), trace([59.0, 59.5, 59.5]))
    assert [*run.outcomes] == [Outcome.ANSWERED, Outcome.UNFINISHED, Outcome.UNFINISHED]
    assert run.begins[1] == 60.0
    assert math.isnan(run.begins[2])


def test_a_pod_takes_as_many_requests_at_once_as_its_concurrency() -> None:
    run = replayed(Timetable(), trace([1.0] * 4), concurrency=3)
    assert latencies(run) == [1.0, 1.0, 1.0, 2.0]


def test_a_pod_that_is_told_to_end_finishes_what_it_computes_on() -> None:
    run = replayed(Timetable((2.0, 1)), trace([1.5, 1.5], 10.0), start_replicas=2)
    assert latencies(run) == [10.0, 10.0]
    assert run.pod_seconds == 60.0 + 11.5


def test_the_last_pod_stays_until_the_last_request_is_done_whatever_the_strategy_says() -> None:
    run = replayed(Timetable((2.0, 0), wakes=False), trace([1.5], 10.0), asked=spec(least=0), start_replicas=2)
    assert latencies(run) == [10.0]
    assert [(change.at, change.replicas) for change in run.changes] == [(2.0, 1), (12.0, 0)]


def test_a_pod_that_has_not_started_is_the_first_to_go() -> None:
    run = replayed(Timetable((2.0, 2), (4.0, 1)), trace([10.0]), start_time=30.0)
    assert run.pod_seconds == 60.0 + 2.0
    assert latencies(run) == [1.0]


def test_pods_beyond_the_room_start_when_others_have_ended() -> None:
    # At 2 s one of two pods is told to end, and computes until 11; at 4 s it is in the way of another.
    run = replayed(Timetable((2.0, 1), (4.0, 2)), trace([1.0, 1.0], 10.0), start_replicas=2, max_pods=2, start_time=5.0)
    assert run.peak_pods == 2
    assert [moment.ready for moment in run.moments][14:18] == [1, 1, 2, 2]
    assert run.pod_seconds == 60.0 + 11.0 + 49.0


# -- what a strategy is told ----------------------------------------------------------------------------


def test_each_measurement_is_handed_over_once_and_in_order() -> None:
    timetable = Timetable()
    replayed(timetable, trace(every(0.5, start=0.0, end=60.0), 0.25), interval=15.0)
    assert [now for now, _ in timetable.asked] == [0.0, 15.0, 30.0, 45.0]
    samples = [sample for _, window in timetable.asked for sample in window.samples["concurrency"]]
    assert [sample.at for sample in samples] == [float(second) for second in range(1, 46)]
    assert {sample.value for sample in samples} == {0.5}
    rates = [sample for _, window in timetable.asked for sample in window.samples["rps"]]
    assert {sample.value for sample in rates[1:]} == {2.0}


def test_the_cpu_of_a_pod_is_a_core_for_each_request_that_it_computes_on() -> None:
    timetable = Timetable((0.0, 2))
    replayed(timetable, trace([1.0], 1.0), interval=4.0, concurrency=2, start_time=5.0)
    at_start, at_four, *_ = (window for _, window in timetable.asked)
    assert [replica.metrics for replica in at_start.replicas] == [{}]
    busy, starting = at_four.replicas
    assert (busy.metrics["cpu"].value, busy.metrics["cpu"].span, busy.requests["cpu"]) == (0.25, 4.0, 2.0)
    assert (starting.ready, starting.started_at, starting.phase) == (False, 0.0, ReplicaPhase.RUNNING)


def test_hpa_scales_on_the_cpu_of_simulated_pods() -> None:
    run = replayed("hpa", trace(every(0.25, start=0.0, end=120.0), 0.25, duration=120.0), asked=ScalingSpec())
    assert [(change.at, change.replicas) for change in run.changes] == [(15.0, 2)]


class Unruly(Autoscaler):
    """Wants more than it may, or raises."""

    def __init__(self, replicas: int | None) -> None:
        self._replicas = replicas

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        if self._replicas is None:
            raise KeyError("missing")
        return Decision(replicas=self._replicas, reason="It wants so.")


@pytest.mark.parametrize(
    ("replicas", "said"), [(None, "At 0 s: .* raised KeyError"), (9, "At 0 s: .* asked for 9 replicas, out of bounds")]
)
def test_a_strategy_that_is_faulty_is_named(replicas: int | None, said: str) -> None:
    with pytest.raises(errors.PluginBroken, match=said):
        replayed(Unruly(replicas), trace([1.0]), asked=spec(most=3))


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="An interval of 0 s"):
        replayed(Timetable(), trace([1.0]), interval=0.0)
    with pytest.raises(errors.ConfigurationError, match="0 replicas at the start are not between 1 and 1000"):
        replayed(Timetable(), trace([1.0]), start_replicas=0)
    with pytest.raises(errors.ConfigurationError, match="A concurrency of 0"):
        Cluster(concurrency=0)


# -- rules of every run ---------------------------------------------------------------------------------


@st.composite
def runs(draw: st.DrawFn) -> Run:
    tenths = draw(st.lists(st.integers(0, 600), max_size=80))
    service = draw(st.lists(st.integers(1, 80), min_size=len(tenths), max_size=len(tenths)))
    entries = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=8))
    timetable: Autoscaler | str = Timetable(*sorted((float(at), replicas) for at, replicas in entries))
    return replayed(
        draw(st.sampled_from([timetable, "hpa", "kpa"])),
        trace([number / 10 for number in sorted(tenths)], [number / 10 for number in service]),
        asked=spec(least=0, most=6),
        start_replicas=draw(st.integers(0, 3)),
        concurrency=draw(st.integers(1, 3)),
        start_time=float(draw(st.integers(0, 20))),
        queue_size=draw(st.integers(0, 10)),
        max_pods=draw(st.integers(3, 8)),
    )


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_every_request_is_answered_refused_or_unfinished_exactly_once(run: Run) -> None:
    for at, service, outcome, begin, end in zip(
        run.trace.arrivals, run.trace.service_times, run.outcomes, run.begins, run.ends, strict=True
    ):
        if outcome == Outcome.ANSWERED:
            assert at <= begin
            assert end == pytest.approx(begin + service)
            assert end <= run.trace.duration
        else:
            assert math.isnan(end)
        if outcome == Outcome.REFUSED:
            assert math.isnan(begin)
        if outcome == Outcome.UNFINISHED and not math.isnan(begin):
            assert begin + service > run.trace.duration
    begun = [begin for begin in run.begins if not math.isnan(begin)]
    assert begun == sorted(begun)  # first come, first served


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_the_optimum_never_exceeds_the_pod_seconds_of_a_strategy_that_serves_the_same(run: Run) -> None:
    assert optimum.pod_seconds(run) <= run.pod_seconds + 1e-6


@pytest.mark.parametrize("strategy", ["hpa", "kpa"])
@pytest.mark.parametrize("pattern", patterns.PATTERNS)
def test_the_same_arguments_give_the_same_run(strategy: str, pattern: str) -> None:
    def once() -> Run:
        service = ServiceTimes(0.1, Spread.LOGNORMAL)
        load = patterns.generate(pattern, rate=30.0, duration=120.0, service=service, seed=7)
        return replayed(strategy, load, asked=spec(least=0, most=20, concurrency=2), concurrency=2)

    one, other = once(), once()
    assert one.changes == other.changes
    assert one.moments == other.moments
    assert (one.pod_seconds, bytes(one.outcomes)) == (other.pod_seconds, bytes(other.outcomes))
    assert optimum.pod_seconds(one) <= one.pod_seconds + 1e-6


def test_the_progress_is_told_with_each_decision() -> None:
    told: list[float] = []
    simulate(Timetable(), spec(), trace([1.0]), Cluster(), name="timetable", interval=20.0, progress=told.append)
    assert told == [20.0, 40.0]
