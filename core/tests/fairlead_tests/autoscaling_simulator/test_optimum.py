from __future__ import annotations

import pytest

from fairlead.autoscaling import optimum
from fairlead_tests.autoscaling_simulator.replaying import Timetable, replayed, spec, trace


@pytest.mark.parametrize(
    ("concurrency", "least", "expected"),
    [
        (1, 0, 4.0),  # one from 1 to 2, two from 2 to 3, one from 3 to 4
        (2, 0, 3.0),
        (1, 1, 61.0),
        (2, 1, 60.0),
    ],
)
def test_the_optimum_has_a_pod_only_while_one_is_needed(concurrency: int, least: int, expected: float) -> None:
    load = trace([1.0, 2.0], 2.0)
    assert optimum.without_waiting(load, concurrency, least) == expected


def test_requests_that_end_as_others_begin_share_a_pod() -> None:
    assert optimum.without_waiting(trace([1.0, 2.0, 3.0], 1.0), 1, 0) == 3.0


def test_what_is_computed_on_after_the_end_does_not_count() -> None:
    assert optimum.without_waiting(trace([59.0], 5.0), 1, 0) == 1.0


def test_without_requests_the_optimum_is_the_lower_bound() -> None:
    assert optimum.without_waiting(trace([]), 1, 0) == 0.0
    assert optimum.without_waiting(trace([]), 1, 2) == 120.0


def test_the_optimum_of_a_run_is_of_what_it_served_when_it_served_it() -> None:
    load = trace([1.0, 1.0, 1.0], 1.0)
    run = replayed(Timetable(), load, asked=spec(least=0), start_replicas=1, queue_size=1)
    assert optimum.pod_seconds(run) == 2.0  # one after the other, and the third was refused
    assert optimum.without_waiting(load, 1, 0) == 3.0
