from __future__ import annotations

import itertools

import pytest

from fairlead.autoscaling import page, plot, report
from fairlead_tests.autoscaling_simulator.replaying import Timetable, every, replayed, spec, trace


def test_a_short_peak_of_a_long_run_is_not_lost() -> None:
    load = trace([5000.5] * 40, 0.01, duration=20_000.0)
    _, pods, queue = plot.panels([replayed(Timetable((7001.0, 9), (7003.0, 1)), load, interval=1.0, start_time=0.0)])
    assert max(value for _, value in pods.lines[0].points) == 9
    assert len(queue.lines[0].points) <= 602


def test_lines_begin_and_end_with_the_run() -> None:
    panels = plot.panels([replayed(Timetable((30.0, 2)), trace(every(1.0, start=0.0, end=60.0), 0.5), start_time=5.0)])
    for line in (line for panel in panels for line in panel.lines):
        assert (line.points[0][0], line.points[-1][0]) == (0.0, 60.0)
    wanted, ready = panels[1].lines
    assert [value for _, value in wanted.points] == [1.0] * 30 + [2.0] * 31
    assert [value for _, value in ready.points] == [1.0] * 35 + [2.0] * 26


def test_every_strategy_has_a_color_and_the_seventh_that_of_the_first() -> None:
    runs = [replayed(Timetable(), trace([1.0])) for _ in range(7)]
    colors = [line.color for line in plot.panels(runs)[2].lines]
    assert colors == [*plot.COLORS, plot.COLORS[0]]


@pytest.mark.parametrize("highest", [0.0, 0.3, 1.0, 3.0, 7.0, 99.0, 100.0, 1234.5])
def test_the_axis_reaches_the_highest_value_in_a_few_even_steps(highest: float) -> None:
    marks = plot.marks(highest)
    assert marks[0] == 0
    assert marks[-1] >= highest
    assert 2 <= len(marks) <= 6
    steps = {round(later - earlier, 9) for earlier, later in itertools.pairwise(marks)}
    assert len(steps) == 1


@pytest.mark.parametrize("duration", [0.5, 45.0, 60.0, 600.0, 3601.0, 86_400.0, 604_800.0, 9e6])
def test_the_axis_of_time_has_a_few_even_steps(duration: float) -> None:
    times = plot.times(duration)
    assert times[0] == 0
    assert times[-1] <= duration + 1e-6
    assert len(times) <= 8


def test_a_page_lists_decisions_with_their_reasons() -> None:
    run = replayed(Timetable((4.0, 2)), trace([1.0]), asked=spec())
    text = page.render([run], [report.of(run, 1.0)], 1.0, lines=["What was asked."])
    assert "<td>4.0 s</td><td>2</td>" in text
    assert "So says the timetable." in text
    assert "<p>What was asked.</p>" in text
