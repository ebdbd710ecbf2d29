"""The decision loop: what holds whatever a strategy says, and what time may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fairlead import Autoscaler, Decision, MetricsWindow, Replica, Sample, ScalingSpec, errors
from fairlead.autoscaling.scaler import Outcome, Scaler

START = 1_000.0


class Saying(Autoscaler):
    """Answers with what it is given, in turn, the last one over again; an exception is raised."""

    def __init__(self, *answers: object) -> None:
        self._answers = answers
        self.asked: list[tuple[float, MetricsWindow]] = []

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Any:
        self.asked.append((now, window))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def times(self) -> list[float]:
        return [now for now, _ in self.asked]

    @property
    def windows(self) -> list[MetricsWindow]:
        return [window for _, window in self.asked]


class Other(Saying):
    """Another strategy."""


def wants(replicas: int | None, **more: Any) -> Decision:
    return Decision(replicas=replicas, reason="So it is.", **more)


def scaler(
    strategy: Autoscaler | None, least: int = 0, most: int | None = None, *, start: int = 1, interval: float = 2.0
) -> Scaler:
    spec = ScalingSpec(min_replicas=least, max_replicas=most)
    return Scaler(strategy, spec, interval=interval, name="odd", start=start)


def asked(
    scaler: Scaler,
    now: float = START,
    *,
    desired: int = 1,
    ready: int | None = 1,
    load: float | None = 1.0,
    **more: Any,
) -> Outcome:
    """A decision, with a measurement from just before."""
    if load is not None:
        scaler.observe("concurrency", Sample(now, load, 1.0))
    return scaler.decide(now, ready=ready, desired=desired, **more)


# -- bounds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "kept"), [(0, 2), (1, 2), (2, 2), (5, 5), (6, 5), (10**30, 5)])
def test_a_strategy_gets_what_it_wants_within_the_bounds(said: int, kept: int) -> None:
    outcome = asked(scaler(Saying(wants(said)), 2, 5), desired=3)
    assert outcome.desired == kept
    assert (outcome.error is None) == (said == kept)
    if said != kept:
        assert outcome.error == f"The strategy odd asked for {said} replicas, out of bounds."
        assert outcome.reason.startswith("So it is. At ")


def test_a_strategy_that_leaves_things_as_they_are_is_held_to_bounds_that_changed() -> None:
    outcome = asked(scaler(Saying(wants(None)), 2, 5), desired=9)
    assert (outcome.desired, outcome.error) == (5, None)
    assert outcome.reason == "So it is. At most 5 are allowed."


def test_a_revision_that_nobody_reaches_may_end_although_there_is_a_least() -> None:
    assert asked(scaler(Saying(wants(0)), 2), desired=2, load=None, reachable=False).desired == 0
    assert asked(scaler(Saying(wants(0)), 2), desired=2).desired == 2


# -- requests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reachable", [True, False])
def test_there_is_one_replica_while_requests_are_there(reachable: bool) -> None:
    outcome = asked(scaler(Saying(wants(0))), in_flight=1, reachable=reachable)
    assert outcome.desired == 1
    assert outcome.reason == "So it is. Requests are there, so that one is kept for them."
    assert asked(scaler(Saying(wants(0))), in_flight=0, reachable=reachable).desired == 0


@pytest.mark.parametrize("answer", [wants(0), wants(None), KeyError("x")])
def test_a_request_that_waits_wakes_a_revision_whatever_the_strategy_says(answer: object) -> None:
    woken = scaler(Saying(answer), start=0)
    asked(woken, desired=0)
    assert not woken.due(START + 0.5)
    woken.wake(START + 0.5)
    assert woken.due(START + 0.5)
    assert asked(woken, START + 0.5, desired=0).desired == 1
    assert not woken.due(START + 0.5)


def test_to_be_woken_changes_nothing_where_there_are_replicas_to_be() -> None:
    strategy = Saying(wants(3))
    awake = scaler(strategy)
    asked(awake)
    awake.wake(START + 0.5)
    assert not awake.due(START + 0.5)


def test_a_decision_for_a_request_leaves_the_rhythm_of_the_others() -> None:
    woken = scaler(Saying(wants(0)), start=0)
    asked(woken, desired=0)
    woken.wake(START + 1.5)
    asked(woken, START + 1.5, desired=0)
    assert not woken.due(START + 1.9)
    assert woken.due(START + 2.0)


def test_at_zero_requests_come_through_the_activator_whatever_the_strategy_says() -> None:
    assert asked(scaler(Saying(wants(0, through_activator=False)))).through_activator is True
    assert asked(scaler(Saying(wants(1, through_activator=False)))).through_activator is False
    assert asked(scaler(Saying(wants(1)))).through_activator is None


# -- what is not known ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"load": None}, "Nothing was measured"),
        ({"ready": None}, "The replicas could not be counted"),
        ({"load": float("nan")}, "Nothing was measured"),
        ({"load": None, "measured": False}, "Nothing was measured"),
    ],
)
def test_without_data_none_is_taken_away_and_some_may_come(known: dict[str, Any], why: str) -> None:
    outcome = asked(scaler(Saying(wants(1))), desired=3, **known)
    assert outcome.desired == 3
    assert outcome.reason == f"So it is. {why}, so that none is taken away."
    assert asked(scaler(Saying(wants(4))), desired=3, **known).desired == 4
    assert asked(scaler(Saying(wants(1)), most=2), desired=3, **known).desired == 2


def test_a_measurement_at_a_replica_is_data_as_long_as_it_is_new() -> None:
    def replica(at: float) -> Replica:
        return Replica(name="r", metrics={"concurrency": Sample(at, 0.0)})

    both = scaler(Saying(wants(1)), interval=2.0)
    assert asked(both, desired=3, load=None, replicas=[replica(START)]).desired == 1
    assert asked(both, START + 2.0, desired=3, load=None, replicas=[replica(START + 1.5)]).desired == 1
    assert asked(both, START + 4.0, desired=3, load=None, replicas=[replica(START - 1.0)]).desired == 3


def test_a_measurement_of_what_the_strategy_does_not_want_is_no_data() -> None:
    cpu = Replica(name="r", metrics={"cpu": Sample(START, 0.0)})
    assert asked(scaler(Saying(wants(1))), desired=3, load=None, replicas=[cpu]).desired == 3


# -- measurements ---------------------------------------------------------------------------------------


def test_each_measurement_is_handed_over_once_and_in_order() -> None:
    strategy = Saying(wants(1))
    one = scaler(strategy)
    for at, value in ((1.0, 1.0), (2.0, 2.0), (1.5, 9.0), (2.5, 3.0)):
        one.observe("concurrency", Sample(START + at, value, 1.0))
    asked(one, START + 3.0, load=None)
    asked(one, START + 5.0, load=7.0)
    first, second = ([sample.value for sample in window.samples["concurrency"]] for window in strategy.windows)
    assert (first, second) == ([1.0, 2.0, 3.0], [7.0])
    assert strategy.windows[0].samples["rps"] == ()


def test_a_measurement_of_several_seconds_counts_in_each_of_them() -> None:
    strategy = Saying(wants(1))
    one = scaler(strategy)
    one.observe("concurrency", Sample(START, 6.0, 3.0))
    asked(one, load=None)
    assert [*strategy.windows[0].samples["concurrency"]] == [Sample(START - back, 6.0, 1.0) for back in (2, 1, 0)]


# -- a strategy that fails ------------------------------------------------------------------------------


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ValueError("no"), "The strategy odd raised ValueError('no')."),
        (SystemExit(3), "The strategy odd raised SystemExit(3)."),
        (RecursionError(), "The strategy odd raised RecursionError()."),
        (errors.ConfigurationError("A is 1.", remedy="Give 2."), "A is 1. Give 2."),
        (None, "The strategy odd answered None, which is no decision."),
        (Unspeakable(), "The strategy odd answered a Unspeakable, which is no decision."),
        (wants(-1), "The strategy odd asked for -1 replicas."),
        (Decision(replicas=1.5, reason="."), "The strategy odd asked for 1.5 replicas."),  # type: ignore[arg-type]  # meant
        (Decision(replicas=True, reason="."), "The strategy odd asked for True replicas."),
        (Decision(replicas=1, reason=3), "The strategy odd gave 3 as its reason, which is no text."),  # type: ignore[arg-type]  # meant
        (
            wants(1, through_activator="yes"),
            "The strategy odd answered 'yes' to whether requests come through the activator.",
        ),
    ],
)
def test_a_strategy_that_fails_leaves_the_scale_as_it_is(answer: object, said: str) -> None:
    outcome = asked(scaler(Saying(answer), 1, 5), desired=3)
    assert (outcome.desired, outcome.decision, outcome.error) == (3, None, said)
    assert outcome.reason == "The strategy odd did not decide, so that 3 are kept."
    assert outcome.cause is (answer if isinstance(answer, BaseException) else None)


def test_a_strategy_that_failed_goes_on_with_its_memory_its_route_and_all_measurements() -> None:
    strategy = Saying(wants(2, memory="m", through_activator=True), OSError(), wants(2))
    one = scaler(strategy)
    asked(one, load=1.0)
    assert asked(one, START + 2.0, load=2.0, desired=2).through_activator is True
    asked(one, START + 4.0, load=3.0, desired=2)
    assert [window.memory for window in strategy.windows] == [None, "m", "m"]
    assert [sample.value for sample in strategy.windows[2].samples["concurrency"]] == [2.0, 3.0]


def test_measurements_for_a_strategy_that_fails_for_good_do_not_fill_the_memory() -> None:
    strategy = Saying(OSError())
    one = scaler(strategy)
    for tick in range(2_000):
        asked(one, START + 2.0 * tick)
    assert len(strategy.windows[-1].samples["concurrency"]) == 601


# -- no strategy, another strategy ----------------------------------------------------------------------


def test_without_a_strategy_the_start_is_held_and_then_what_is_declared() -> None:
    held = scaler(None, 1, start=3)
    outcome = asked(held, desired=1)
    assert (outcome.desired, outcome.reason, outcome.error) == (3, "No strategy decides: 3 are held.", None)
    held.replace(None, ScalingSpec(min_replicas=2))
    assert asked(held, desired=3).desired == 2


def test_without_a_strategy_a_request_wakes_a_revision_for_good() -> None:
    held = scaler(None, start=0)
    assert asked(held, desired=0).desired == 0
    held.wake(START + 1.0)
    assert asked(held, START + 1.0, desired=0).desired == 1
    assert asked(held, START + 2.0, desired=1).desired == 1


def test_another_strategy_begins_without_memory_and_at_once() -> None:
    one, other = Saying(wants(1, memory="mine", through_activator=True)), Other(OSError())
    swapped = scaler(one)
    asked(swapped)
    swapped.replace(other, swapped.spec, interval=15.0, name="other", metrics=("cpu",))
    assert swapped.due(START + 0.1)
    outcome = asked(swapped, START + 0.1)
    assert (outcome.error, outcome.through_activator) == ("The strategy other raised OSError().", None)
    assert other.windows[0].memory is None
    assert other.windows[0].samples.keys() == {"cpu", "concurrency"}
    assert not swapped.due(START + 15.0)
    assert swapped.due(START + 15.1)


def test_another_spec_is_decided_on_at_once_with_the_memory() -> None:
    strategy = Saying(wants(1, memory="mine"))
    one = scaler(strategy, 1)
    asked(one)
    one.replace(strategy, ScalingSpec(min_replicas=1))
    assert not one.due(START + 0.1)
    one.replace(strategy, ScalingSpec(min_replicas=4))
    assert one.due(START + 0.1)
    assert asked(one, START + 0.1).desired == 4
    assert strategy.windows[1].memory == "mine"


# -- time -----------------------------------------------------------------------------------------------


def ticks(scaler: Scaler, times: Sequence[float]) -> list[float]:
    """At which of these times a decision is made."""
    made = []
    for now in times:
        if scaler.due(now):
            made.append(now)
            asked(scaler, now)
    return made


def test_decisions_keep_their_rhythm_although_the_loop_comes_late() -> None:
    assert ticks(scaler(Saying(wants(1))), [0.0, 1.9, 2.3, 3.9, 4.2, 6.1]) == [0.0, 2.3, 4.2, 6.1]


def test_a_loop_that_missed_decisions_does_not_make_up_for_them() -> None:
    assert ticks(scaler(Saying(wants(1))), [0.0, 7.0, 7.1, 8.9, 9.0]) == [0.0, 7.0, 9.0]


def test_time_never_goes_back_and_goes_on_after_the_clock_was_set_back() -> None:
    strategy = Saying(wants(1))
    one = scaler(strategy)
    back = 3_600.0
    times = [START, START + 2.0, START + 2.5 - back, START + 3.5 - back, START + 4.5 - back, START + 6.5 - back]
    assert ticks(one, times) == [START, START + 2.0, START + 4.5 - back, START + 6.5 - back]
    assert strategy.times == sorted(strategy.times)
    assert strategy.times == [START, START + 2.0, START + 4.0, START + 6.0]
    assert [window.samples["concurrency"][-1].at for window in strategy.windows] == strategy.times


def test_after_a_jump_forward_none_is_taken_away_and_nothing_is_remembered_of_before() -> None:
    strategy = Saying(wants(1, memory="long ago"))
    one = scaler(strategy)
    asked(one, desired=3)
    one.observe("concurrency", Sample(START + 1.0, 5.0, 1.0))
    outcome = asked(one, START + 3_600.0, desired=3)
    assert outcome.desired == 3
    assert outcome.reason == "So it is. Time has jumped, so that none is taken away."
    assert strategy.windows[1].memory is None
    assert strategy.windows[1].samples["concurrency"] == ()
    assert asked(one, START + 3_602.0, desired=3).desired == 1


def test_a_loop_that_is_a_little_late_is_no_jump() -> None:
    strategy = Saying(wants(1, memory="just now"))
    one = scaler(strategy)
    asked(one, desired=3)
    assert asked(one, START + 8.0, desired=3).desired == 1
    assert strategy.windows[1].memory == "just now"


@pytest.mark.parametrize("since", [None, START - 50.0, START + 90.0])
def test_since_when_the_activator_is_there_is_never_later_than_now(since: float | None) -> None:
    strategy = Saying(wants(1))
    asked(scaler(strategy), activator_since=since)
    assert strategy.windows[0].activator_since == (None if since is None else min(START, since))
