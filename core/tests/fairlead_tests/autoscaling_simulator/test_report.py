from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.autoscaling import report
from fairlead_tests.autoscaling_simulator.replaying import Timetable, replayed, spec, trace


def test_a_request_is_over_the_objective_when_it_is_late_refused_or_has_waited_too_long_at_the_end() -> None:
    # Answered after 1 s and after 2 s, refused; then one that has waited 3 s at the end, and one that has not.
    load = trace([1.0, 1.0, 1.0, 57.0, 59.5], [1.0, 1.0, 1.0, 10.0, 1.0])
    judged = report.of(replayed(Timetable(), load, queue_size=1), objective=1.0)
    assert (judged.answered, judged.refused, judged.unfinished) == (2, 1, 2)
    assert judged.over_objective == 3 / 5


def test_an_answer_that_takes_just_as_long_as_the_objective_is_in_time() -> None:
    load = trace([0.1 * number for number in range(0, 300, 3)], 0.1)
    assert report.of(replayed(Timetable(), load), objective=0.1).over_objective == 0.0


def test_percentiles_are_latencies_that_were_seen() -> None:
    judged = report.of(replayed(Timetable(), trace([1.0] * 10, 1.0)), objective=1.0)
    assert (judged.latency_p50, judged.latency_p99) == (5.0, 10.0)


def test_a_run_without_answers_has_no_latency() -> None:
    judged = report.of(replayed(Timetable(), trace([])), objective=1.0)
    assert (judged.latency_p50, judged.over_objective) == (None, 0.0)
    assert ("Latency p50, p99", "-, -") in report.rows([judged], 1.0)


@pytest.mark.parametrize(
    ("entries", "oscillations"),
    [
        ([], 0),
        ([(2.0, 2), (4.0, 3)], 0),
        ([(2.0, 3), (4.0, 1)], 1),
        ([(2.0, 3), (4.0, 1), (6.0, 2), (8.0, 3), (10.0, 2)], 3),
    ],
)
def test_an_oscillation_is_a_change_of_direction(entries: list[tuple[float, int]], oscillations: int) -> None:
    assert report.of(replayed(Timetable(*entries), trace([1.0])), objective=1.0).oscillations == oscillations


def test_the_first_change_has_a_direction_too() -> None:
    run = replayed(Timetable((2.0, 1), (4.0, 2)), trace([1.0]), asked=spec(), start_replicas=3)
    assert report.of(run, objective=1.0).oscillations == 1


def test_an_objective_that_is_no_time_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="An objective of 0 s"):
        report.of(replayed(Timetable(), trace([1.0])), objective=0.0)
