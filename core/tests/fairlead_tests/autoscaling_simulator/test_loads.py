"""Traces that are read, patterns that are made, and service times."""

from __future__ import annotations

import itertools
import statistics

import pytest

from fairlead import errors
from fairlead.autoscaling import patterns, traces
from fairlead.autoscaling.servicetimes import ServiceTimes, Spread
from fairlead.autoscaling.traces import Trace

SERVICE = ServiceTimes(0.1)


def read(*lines: str, duration: float | None = None) -> Trace:
    return traces.read([f"{line}\n" for line in lines], name="t.csv", service=SERVICE, duration=duration)


def made(name: str, *, rate: float = 10.0, duration: float = 100.0, seed: int = 0) -> Trace:
    return patterns.generate(name, rate=rate, duration=duration, service=SERVICE, seed=seed)


def count(trace: Trace, start: float, end: float) -> int:
    return sum(start <= at < end for at in trace.arrivals)


# -- CSV ------------------------------------------------------------------------------------------------


def test_a_trace_is_read_from_its_columns() -> None:
    found = read("service_time,at", "0.5,1", ",2.25", "3,2.25", "")
    assert found.arrivals == [1.0, 2.25, 2.25]
    assert found.service_times == [0.5, 0.1, 3.0]
    assert found.duration == 3.0


def test_the_column_of_service_times_may_be_missing() -> None:
    found = read("at", "0", "1", duration=30.0)
    assert (found.service_times, found.duration) == ([0.1, 0.1], 30.0)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: there is no column 'at'"),
        (["time", "1"], "line 1: there is no column 'at'"),
        (["at,user", "1,me"], "line 1: 'user' among the columns"),
        (["at,at", "1,1"], "line 1: one name twice among the columns"),
        (["at"], "holds no request"),
        (["at", "1", "soon"], "line 3: 'soon' is not a number of seconds"),
        (["at", "-1"], "line 2: '-1' is not a number of seconds"),
        (["at", "nan"], "line 2: 'nan' is not a number of seconds"),
        (["at", "1", "", "3", "2"], "line 5: 2 s comes after 3 s"),
        (["at,service_time", "1,0"], "line 2: '0' is not a service time"),
        (["at", "1,2,3"], "line 2: 3 cells"),
        (["at", '"1'], "line 2: this is no CSV"),
    ],
)
def test_a_trace_that_is_malformed_is_refused_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        read(*lines)
    assert str(caught.value).startswith("t.csv")
    assert said in str(caught.value)


def test_a_request_past_the_duration_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"line 3: 9 s is past the duration of 5 s"):
        read("at", "1", "9", duration=5.0)


@pytest.mark.parametrize(
    ("arrivals", "service", "said"),
    [
        ([2.0, 1.0], [1.0, 1.0], "not in order"),
        ([1.0], [], "1 arrivals, and 0 service times"),
        ([-1.0], [1.0], "between 0 and 10 s"),
        ([11.0], [1.0], "between 0 and 10 s"),
        ([1.0], [0.0], "above 0"),
    ],
)
def test_a_trace_that_is_impossible_is_not_made(arrivals: list[float], service: list[float], said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said):
        Trace(name="x", arrivals=arrivals, service_times=service, duration=10.0)


# -- patterns -------------------------------------------------------------------------------------------


def test_a_step_rises_from_a_tenth_to_the_rate_and_falls_back() -> None:
    found = made("step")
    assert [count(found, start, start + 25) for start in (0, 25, 50, 75)] == [25, 250, 250, 25]
    gaps = {round(later - earlier, 6) for earlier, later in itertools.pairwise(found.arrivals[30:500])}
    assert gaps == {0.1}


def test_a_ramp_is_a_straight_line_up_and_down() -> None:
    found = made("ramp")
    assert len(found.arrivals) == 500
    assert [count(found, *span) for span in ((0, 20), (20, 50), (50, 80), (80, 100))] == [40, 210, 210, 40]


def test_a_spike_is_followed_by_nothing() -> None:
    found = made("spike")
    assert count(found, 30, 35) == 50
    assert count(found, 35, 70) == 0
    assert count(found, 0, 30) == count(found, 70, 100) == 30


def test_a_day_is_highest_at_noon_and_symmetric() -> None:
    found = made("diurnal")
    assert count(found, 45, 55) == pytest.approx(99, abs=2)
    assert count(found, 0, 50) == count(found, 50, 100) == 250


def test_poisson_arrivals_are_as_many_and_as_scattered_as_their_name_says() -> None:
    found = made("poisson", rate=100.0, duration=1000.0, seed=1)
    assert len(found.arrivals) == pytest.approx(100_000, rel=0.02)
    seconds = [0] * 1000
    for at in found.arrivals:
        seconds[min(int(at), 999)] += 1
    assert statistics.pvariance(seconds) / statistics.mean(seconds) == pytest.approx(1.0, abs=0.15)


def test_a_seed_makes_the_same_trace_and_another_seed_another() -> None:
    assert made("poisson", seed=3) == made("poisson", seed=3)
    assert made("poisson", seed=3).arrivals != made("poisson", seed=4).arrivals


@pytest.mark.parametrize("name", patterns.PATTERNS)
def test_arrivals_are_in_order_and_within_the_duration(name: str) -> None:
    found = made(name, rate=13.7, duration=77.7)
    assert list(found.arrivals) == sorted(found.arrivals)
    assert 0 <= found.arrivals[0] <= found.arrivals[-1] <= 77.7


def test_a_pattern_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"no pattern 'spikes'") as caught:
        made("spikes")
    assert caught.value.remedy == "Did you mean spike?"


@pytest.mark.parametrize(
    ("rate", "duration", "said"),
    [(0.0, 1.0, "A rate of 0"), (1.0, -1.0, "A duration of -1"), (1e9, 1e9, "are more than 20000000")],
)
def test_a_load_that_is_impossible_is_refused(rate: float, duration: float, said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said):
        made("step", rate=rate, duration=duration)


# -- service times --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", Spread)
def test_service_times_have_their_mean(spread: Spread) -> None:
    drawn = list(itertools.islice(ServiceTimes(0.2, spread).drawn(5), 50_000))
    assert statistics.mean(drawn) == pytest.approx(0.2, rel=0.03)
    assert min(drawn) > 0


def test_spreads_differ_in_their_tails() -> None:
    def share_above(spread: Spread) -> float:
        drawn = itertools.islice(ServiceTimes(1.0, spread).drawn(5), 50_000)
        return sum(each > 6 for each in drawn) / 50_000

    assert share_above(Spread.CONSTANT) == 0
    assert share_above(Spread.EXPONENTIAL) == pytest.approx(0.0025, abs=0.001)
    assert share_above(Spread.LOGNORMAL) == pytest.approx(0.0109, abs=0.002)


def test_arrivals_do_not_move_with_the_spread_of_service_times() -> None:
    def arrivals(spread: Spread) -> list[float]:
        service = ServiceTimes(0.1, spread)
        return list(patterns.generate("poisson", rate=10.0, duration=20.0, service=service, seed=2).arrivals)

    assert arrivals(Spread.CONSTANT) == arrivals(Spread.LOGNORMAL)


def test_a_service_time_of_nothing_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="A service time of 0 s"):
        ServiceTimes(0.0)
