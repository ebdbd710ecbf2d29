"""Averages over the last seconds: what counts, for how long, and divided by what."""

from __future__ import annotations

import math

import hypothesis
import pytest
from hypothesis import strategies

from fairlead import Sample
from fairlead.autoscaling.buckets import Buckets


def filled(*samples: tuple[float, float], window: float = 10.0) -> Buckets:
    return Buckets(window=window).recorded(Sample(at, value) for at, value in samples)


def test_what_was_never_measured_is_nothing() -> None:
    empty = Buckets(window=10.0)
    assert (empty.average(50.0), empty.weighted_average(50.0), empty.silent(50.0)) == (0.0, 0.0, True)


def test_measurements_of_one_second_add_up() -> None:
    assert filled((5.0, 2.0), (5.9, 4.0), (6.0, 0.0)).average(6.5) == 3.0


def test_seconds_before_the_first_measurement_do_not_count() -> None:
    assert filled((100.0, 6.0), (101.0, 4.0)).average(101.0) == 5.0


def test_seconds_after_the_last_measurement_do_not_count() -> None:
    buckets = filled(*((float(second), 4.0) for second in range(20)))
    assert [buckets.average(now) for now in (19.0, 23.0, 28.0)] == [4.0, 4.0, 4.0]
    assert buckets.average(29.0) == 0.0


def test_seconds_between_two_measurements_count_as_they_are() -> None:
    assert filled((1.0, 8.0), (4.0, 8.0)).average(4.0) == 4.0


def test_old_seconds_leave_the_window() -> None:
    assert filled((1.0, 100.0), *((float(second), 1.0) for second in range(2, 12))).average(11.0) == 1.0


def test_a_measurement_after_a_window_of_silence_begins_anew() -> None:
    assert filled((1.0, 100.0), (11.0, 3.0)).average(11.0) == 3.0


def test_a_late_measurement_falls_into_its_own_second() -> None:
    buckets = filled((10.0, 1.0), (8.0, 2.0))
    assert buckets.average(10.0) == 1.0
    assert filled((10.0, 1.0), (0.5, 50.0)).average(10.0) == 1.0


def test_a_measurement_of_the_future_counts_at_once() -> None:
    assert filled((10.0, 1.0), (12.0, 5.0)).average(10.0) == 2.0


@pytest.mark.parametrize(("value", "average"), [(2.5e-6, 3e-6), (-2.5e-6, -3e-6), (2.4e-6, 2e-6), (1e9, 1e9)])
def test_averages_have_six_digits_and_halves_go_away_from_zero(value: float, average: float) -> None:
    assert filled((1.0, value)).average(1.0) == average


def test_it_is_silent_when_the_last_measurement_is_more_than_a_window_ago() -> None:
    buckets = filled((10.9, 1.0))
    assert [buckets.silent(now) for now in (10.0, 20.9, 21.0)] == [False, False, True]


def test_a_weighted_average_follows_the_latest_second_most() -> None:
    buckets = filled((1.0, 10.0), (2.0, 0.0), window=60.0)
    smoothing = 0.2
    assert buckets.weighted_average(2.0) == pytest.approx(10.0 * smoothing * (1 - smoothing))
    assert buckets.weighted_average(3.0) == pytest.approx(10.0 * smoothing * (1 - smoothing) ** 2)
    assert buckets.weighted_average(63.0) == 0.0


def test_a_weighted_average_of_a_constant_is_nearly_that_constant() -> None:
    buckets = filled(*((float(second), 7.0) for second in range(20)), window=5.0)
    assert buckets.weighted_average(19.0) == pytest.approx(7.0 * 0.9999)


# -- another window -------------------------------------------------------------------------------------


def test_a_shorter_window_keeps_the_latest_seconds() -> None:
    buckets = filled(*((float(second), float(second)) for second in range(1, 11)))
    assert buckets.resized(3.0, 10.0).average(10.0) == 9.0


def test_a_longer_window_keeps_all_of_them() -> None:
    buckets = filled(*((float(second), 2.0) for second in range(1, 11))).resized(20.0, 10.0)
    assert buckets.average(10.0) == 2.0
    assert buckets.recorded([Sample(11.0, 13.0)]).average(11.0) == 3.0


def test_what_is_older_than_the_old_window_is_forgotten() -> None:
    buckets = filled((1.0, 5.0)).resized(60.0, 30.0)
    assert (buckets.average(30.0), buckets.silent(30.0)) == (0.0, False)


def test_what_is_exactly_as_old_as_the_old_window_is_kept() -> None:
    assert filled((10.0, 5.0)).resized(60.0, 20.0).average(20.0) == 0.5
    assert filled((10.0, 5.0)).resized(60.0, 21.0).average(21.0) == 0.0


def test_the_same_window_changes_nothing() -> None:
    buckets = filled((1.0, 5.0))
    assert buckets.resized(10.0, 500.0) is buckets


@pytest.mark.parametrize("window", [0.0, -1.0, math.inf, math.nan])
def test_a_window_is_a_number_of_seconds(window: float) -> None:
    with pytest.raises(ValueError, match="not a number of seconds"):
        Buckets(window=window)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_would_spoil_the_total_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        filled((1.0, value))


def test_values_belong_to_their_window() -> None:
    with pytest.raises(ValueError, match="2 values for a window of 3"):
        Buckets(window=3.0, values=(0.0, 0.0))


# -- against another way to compute it ------------------------------------------------------------------


gaps = strategies.lists(strategies.tuples(strategies.integers(0, 12), strategies.integers(0, 50)), min_size=1)


@hypothesis.given(gaps=gaps, window=strategies.integers(1, 15), later=strategies.integers(0, 20))
def test_an_average_is_that_of_a_ledger_of_all_measurements(
    gaps: list[tuple[int, int]], window: int, later: int
) -> None:
    ledger: dict[int, int] = {}
    buckets, second = Buckets(window=float(window)), 1_000
    for gap, value in gaps:
        second += gap
        if ledger and second - max(ledger) >= window:
            ledger.clear()
        ledger[second] = ledger.get(second, 0) + value
        unchanged = (buckets, hash(buckets))
        buckets = buckets.recorded([Sample(second + 0.25, float(value))])
        assert hash(unchanged[0]) == unchanged[1]
    now = second + later
    counted = [value for at, value in ledger.items() if now - window < at]
    seconds = min(second - min(ledger) + 1, window - later)
    expected = sum(counted) / seconds if later < window else 0.0
    assert buckets.average(now + 0.5) == pytest.approx(expected, abs=1e-6)
