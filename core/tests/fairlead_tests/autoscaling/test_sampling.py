"""From counters that are read now and then to measurements of each second."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import Sample
from fairlead.autoscaling.buckets import Buckets
from fairlead.autoscaling.sampling import Rates


def closed(rates: Rates, *readings: tuple[float, int, int, int, int]) -> list[dict[str, Sample]]:
    """What the readings come to, where they come to something."""
    found = (dict(rates.update(*reading)) for reading in readings)
    return [each for each in found if each]


def values(found: list[dict[str, Sample]], metric: str) -> list[float]:
    return [round(each[metric].value, 9) for each in found]


def quarters(start: float, *actives: int, total: int = 0) -> list[tuple[float, int, int, int, int]]:
    return [(start + number / 4, active, total, 0, 0) for number, active in enumerate(actives)]


def test_concurrency_is_the_average_of_the_second() -> None:
    (found,) = closed(Rates(), *quarters(10.0, 1, 2, 3, 2, 0))
    assert found["concurrency"] == Sample(11.0, 2.0, 1.0)


def test_each_reading_counts_as_long_as_it_was_the_last_one() -> None:
    readings = [(10.0, 4, 0, 0, 0), (10.75, 0, 0, 0, 0), (11.5, 8, 0, 0, 0), (12.25, 0, 0, 0, 0)]
    assert values(closed(Rates(), *readings), "concurrency") == [3.0, 4.0]


def test_what_waits_at_the_activator_is_concurrency_too() -> None:
    assert values(closed(Rates(), (10.0, 1, 0, 5, 5), (11.0, 6, 5, 0, 5)), "concurrency") == [6.0]


def test_a_rate_is_the_difference_of_totals() -> None:
    readings = [(10.0, 0, 100, 0, 0), (10.5, 0, 104, 0, 0), (11.0, 0, 110, 0, 0), (12.0, 0, 110, 0, 0)]
    assert values(closed(Rates(), *readings), "rps") == [10.0, 0.0]


def test_a_request_that_waits_before_it_is_sent_on_comes_once() -> None:
    readings = [(10.0, 0, 0, 0, 0), (10.5, 0, 0, 3, 3), (11.0, 0, 0, 3, 3), (11.5, 3, 3, 0, 3), (12.0, 0, 3, 0, 3)]
    assert values(closed(Rates(), *readings), "rps") == [3.0, 0.0]


def test_a_request_that_the_activator_refuses_has_come() -> None:
    assert values(closed(Rates(), (10.0, 0, 0, 0, 0), (11.0, 0, 0, 0, 7)), "rps") == [7.0]


@pytest.mark.parametrize("counter", ["total", "arrived"])
def test_a_counter_that_begins_again_is_no_spike_and_nothing_negative(counter: str) -> None:
    def reading(at: float, count: int) -> tuple[float, int, int, int, int]:
        return (at, 0, count, 0, 0) if counter == "total" else (at, 0, 0, 0, count)

    readings = [reading(10.0, 5_000), reading(11.0, 5_010), reading(11.5, 4), reading(12.0, 9), reading(13.0, 19)]
    assert values(closed(Rates(), *readings), "rps") == [10.0, 9.0, 10.0]


def test_a_measurement_ends_with_its_second_whenever_the_reading_comes() -> None:
    rates = Rates()
    found = [
        sample
        for at in (9.98, 10.24, 10.97, 11.03, 11.99, 12.4, 12.9, 13.3)
        for sample in closed(rates, (at, 1, 0, 0, 0))
    ]
    assert [each["concurrency"].at for each in found] == [11.0, 12.0, 13.0]
    assert {each["concurrency"].value for each in found} == {1.0}


def test_a_second_of_which_less_than_half_was_seen_is_left_out() -> None:
    assert closed(Rates(), (10.6, 9, 0, 0, 0), (11.0, 9, 0, 0, 0)) == []
    (found,) = closed(Rates(), (10.4, 9, 0, 0, 0), (11.0, 9, 0, 0, 0))
    assert (found["concurrency"].value, round(found["concurrency"].span, 6)) == (9.0, 0.6)


def test_a_reading_that_is_late_measures_the_seconds_that_it_missed() -> None:
    (found,) = closed(Rates(), (10.0, 2, 0, 0, 0), (13.5, 2, 70, 0, 0))
    assert found["concurrency"] == Sample(13.0, 2.0, 3.0)
    assert found["rps"] == Sample(13.0, 20.0, 3.0)


@pytest.mark.parametrize("at", [8.0, 60.0])
def test_after_a_jump_of_time_what_was_in_between_is_missing(at: float) -> None:
    rates = Rates()
    readings = [(10.0, 2, 0, 0, 0), (at, 4, 9_000, 0, 0), (at + 1.0, 4, 9_010, 0, 0)]
    assert closed(rates, *readings) == [{"concurrency": Sample(at + 1, 4.0, 1.0), "rps": Sample(at + 1, 10.0, 1.0)}]


steps = st.tuples(st.floats(0.01, 0.9), st.integers(0, 50), st.integers(0, 40))


@settings(max_examples=100, deadline=None)
@given(found=st.lists(steps, min_size=20, max_size=80))
def test_no_request_is_lost_or_counted_twice_and_no_second_is_missed(found: list[tuple[float, int, int]]) -> None:
    rates, at, total = Rates(), 100.0, 0
    rates.update(at, 0, 0, 0, 0)
    samples: list[Sample] = []
    since, counted = at, 0.0
    for gap, active, more in found:
        at, total = at + gap, total + more
        if "rps" in (closing := rates.update(at, active, total, 0, 0)):
            samples.append(closing["rps"])
            counted += closing["rps"].value * (at - since)
            since = at
            assert counted == pytest.approx(total)
    assert [sample.at for sample in samples] == [101.0 + number for number in range(len(samples))]
    # Windows of strategies hold the same: one value for each second.
    assert [value for value in Buckets(window=90.0).recorded(samples).values if value] == [
        sample.value for sample in sorted(samples, key=lambda sample: sample.at % 90) if sample.value
    ]
