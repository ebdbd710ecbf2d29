"""Pods, added up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairlead_operator.scaling.exposition import Counts
from fairlead_operator.scaling.tally import Tally

NOW = 1_000.0


def measured(*rounds: Mapping[str, Counts | None]) -> list[dict[str, float]]:
    """What is measured in rounds that are a second apart; the first begins."""
    tally = Tally()
    return [
        {metric: round(sample.value, 6) for metric, sample in tally.update(NOW + index, each).items()}
        for index, each in enumerate(rounds)
    ]


def steady(in_flight: float, rate: float, rounds: int) -> list[Counts]:
    return [Counts(in_flight, rate * index) for index in range(rounds)]


def test_the_pods_are_added_up() -> None:
    one, other = steady(2, 10, 4), steady(3, 20, 4)
    assert (
        measured(*({"a": a, "b": b} for a, b in zip(one, other, strict=True)))[1:]
        == [{"concurrency": 5.0, "rps": 30.0}] * 3
    )


def test_a_pod_that_comes_or_goes_or_begins_anew_makes_no_request() -> None:
    rounds: list[dict[str, Counts | None]] = [
        {"a": Counts(0, 1000)},
        {"a": Counts(0, 1000), "b": Counts(0, 500_000)},
        {"a": Counts(0, 1000), "b": Counts(0, 500_000)},
        {"b": Counts(0, 500_000)},
        {"b": Counts(0, 0)},
        {"b": Counts(0, 0)},
    ]
    assert measured(*rounds)[1:] == [{"concurrency": 0.0, "rps": 0.0}] * 5


def test_a_pod_that_cannot_be_asked_counts_as_it_did_or_as_the_others() -> None:
    busy, idle = steady(8, 40, 4), steady(2, 10, 4)
    rounds: list[dict[str, Counts | None]] = [
        {"a": busy[0], "b": idle[0]},
        {"a": busy[1], "b": idle[1]},
        {"a": None, "b": idle[2]},
        {"a": busy[3], "b": None},
    ]
    found = measured(*rounds)
    assert found[2] == {"concurrency": 10.0, "rps": 50.0}
    assert found[3]["rps"] == pytest.approx(80.0)  # the mean of the others is more than the pod said last


def test_a_pod_that_is_silent_for_long_counts_as_the_others() -> None:
    rounds: list[dict[str, Counts | None]] = [{"a": Counts(100, 0), "b": Counts(1, 0)}]
    rounds += [{"a": None, "b": Counts(1, 0)} for _ in range(70)]
    found = measured(*rounds)
    assert found[30]["concurrency"] == 101.0
    assert found[-1]["concurrency"] == 2.0


def test_where_no_pod_can_be_asked_nothing_is_measured() -> None:
    assert measured({"a": Counts(5, 1)}, {"a": None}, {"a": None}, {}) == [{}, {}, {}, {}]


def test_what_a_server_does_not_tell_is_not_measured() -> None:
    found = measured(*({"a": Counts(None, 5.0 * index)} for index in range(4)))
    assert found[2:] == [{"rps": 5.0}] * 2


def test_a_first_look_at_a_counter_is_no_rate() -> None:
    assert [each.get("rps", 0.0) for each in measured({"a": Counts(1, 1e9)}, {"a": Counts(1, 1e9)})] == [0.0, 0.0]
