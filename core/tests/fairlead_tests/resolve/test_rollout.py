"""Rollouts in their order: start, promote, pin, go back."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.resolve import rollout
from fairlead.resolve.observation import Share
from fairlead.resolve.rollout import Ledger

ONE, TWO, THREE = (f"iris-predictor-{number:05d}" for number in (1, 2, 3))


def asked(ledger: Ledger, spec: str, *ready: str, percent: int | None = None, tagged: bool = False) -> Ledger:
    """What one turn of the platform does with a spec."""
    proposed = rollout.propose(ledger, "iris-predictor", spec, 0.0)
    return rollout.retire(rollout.advance(proposed, ready, percent, tagged))


def split(ledger: Ledger) -> list[tuple[str, int, str | None]]:
    return [(each.revision, each.percent, each.tag) for each in ledger.shares]


def promoted() -> Ledger:
    """The second revision has all traffic, and the first one had it before."""
    return asked(asked(Ledger(), "a", ONE), "b", ONE, TWO)


def test_a_spec_that_did_not_change_makes_no_revision() -> None:
    first = rollout.propose(Ledger(), "iris-predictor", "a", 5.0)
    assert rollout.propose(first, "iris-predictor", "a", 9.0) == first
    assert [(each.name, each.created_at) for each in first.revisions] == [(ONE, 5.0)]


def test_nothing_gets_traffic_before_it_is_ready() -> None:
    ledger = asked(Ledger(), "a")
    assert (ledger.latest_created, ledger.latest_ready, ledger.shares) == (ONE, None, ())
    assert rollout.running(ledger) == (ONE,)


@pytest.mark.parametrize("percent", [None, 0, 10, 100])
def test_the_first_rollout_takes_all_traffic_whatever_the_percentage_is(percent: int | None) -> None:
    ledger = asked(asked(Ledger(), "a", ONE, percent=percent), "a", ONE, percent=percent)
    assert split(ledger) == [(ONE, 100, None)]
    assert (ledger.latest_rolled_out, ledger.previous_rolled_out) == (ONE, None)


def test_a_new_revision_takes_all_traffic_once_it_is_ready_and_not_before() -> None:
    waiting = asked(asked(Ledger(), "a", ONE), "b", ONE)
    assert split(waiting) == [(ONE, 100, None)]
    assert (waiting.latest_created, waiting.latest_ready) == (TWO, ONE)
    assert rollout.running(waiting) == (TWO, ONE)
    done = asked(waiting, "b", ONE, TWO)
    assert split(done) == [(TWO, 100, None)]
    assert (done.latest_rolled_out, done.previous_rolled_out) == (TWO, ONE)
    assert rollout.running(done) == (TWO,)


def test_a_canary_takes_its_percentage_and_what_was_rolled_out_keeps_the_rest() -> None:
    waiting = asked(asked(Ledger(), "a", ONE), "b", ONE, percent=20)
    assert split(waiting) == [(ONE, 100, None)]
    ledger = asked(waiting, "b", ONE, TWO, percent=20)
    assert split(ledger) == [(TWO, 20, None), (ONE, 80, "prev")]
    assert [each.latest for each in ledger.shares] == [True, False]
    assert ledger.latest_rolled_out == ONE
    assert split(asked(ledger, "b", ONE, TWO, percent=50)) == [(TWO, 50, None), (ONE, 50, "prev")]


def test_removing_the_percentage_promotes_the_canary() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    for percent in (None, 100):
        ledger = asked(canary, "b", ONE, TWO, percent=percent)
        assert split(ledger) == [(TWO, 100, None)]
        assert (ledger.latest_rolled_out, ledger.previous_rolled_out) == (TWO, ONE)


def test_zero_percent_pins_what_was_rolled_out() -> None:
    ledger = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=0)
    assert split(ledger) == [(TWO, 0, None), (ONE, 100, "prev")]
    assert rollout.running(ledger) == (TWO, ONE)
    assert ledger.latest_rolled_out == ONE


def test_restoring_the_spec_ends_a_canary_and_reuses_what_runs() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    ledger = asked(canary, "a", ONE, TWO, percent=20)
    assert split(ledger) == [(ONE, 100, None)]
    assert [each.name for each in ledger.revisions] == [ONE]
    assert (ledger.latest_created, ledger.latest_ready, ledger.latest_rolled_out) == (ONE, ONE, ONE)


def test_restoring_the_spec_does_not_reach_back_to_a_still_older_revision() -> None:
    canary = asked(promoted(), "c", ONE, TWO, THREE, percent=20)
    assert split(canary) == [(THREE, 20, None), (TWO, 80, "prev")]
    ledger = asked(canary, "b", ONE, TWO, THREE, percent=20)
    assert split(ledger) == [(TWO, 100, None)]
    assert split(asked(ledger, "b", ONE, TWO, percent=0)) == [(TWO, 100, None)]


def test_a_percentage_after_the_promotion_gives_traffic_back_to_the_one_before() -> None:
    ledger = asked(promoted(), "b", ONE, TWO, percent=0)
    assert split(ledger) == [(TWO, 0, None), (ONE, 100, "prev")]
    assert (ledger.latest_rolled_out, ledger.previous_rolled_out) == (ONE, ONE)
    again = asked(ledger, "b", ONE, TWO)
    assert split(again) == [(TWO, 100, None)]
    assert (again.latest_rolled_out, again.previous_rolled_out) == (TWO, ONE)


def test_traffic_goes_back_only_to_a_revision_that_is_ready() -> None:
    waiting = asked(asked(promoted(), "b", TWO, percent=0), "b", TWO, percent=0)
    assert split(waiting) == [(TWO, 100, None)]
    assert rollout.running(waiting) == (TWO, ONE)
    assert split(asked(waiting, "b", ONE, TWO, percent=0)) == [(TWO, 0, None), (ONE, 100, "prev")]


def test_taking_the_percentage_away_while_traffic_waits_to_go_back_leaves_it_where_it_is() -> None:
    waiting = asked(promoted(), "b", TWO, percent=0)
    ledger = asked(waiting, "b", TWO)
    assert split(ledger) == [(TWO, 100, None)]
    assert (ledger.latest_rolled_out, ledger.previous_rolled_out) == (TWO, ONE)


def test_a_percentage_that_comes_with_a_new_spec_starts_a_canary_and_does_not_go_back() -> None:
    waiting = asked(promoted(), "c", TWO, percent=20)
    assert split(waiting) == [(TWO, 100, None)]
    ledger = asked(waiting, "c", TWO, THREE, percent=20)
    assert split(ledger) == [(THREE, 20, None), (TWO, 80, "prev")]


def test_a_second_canary_takes_the_place_of_the_first() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    waiting = asked(canary, "c", ONE, TWO, percent=30)
    assert split(waiting) == [(TWO, 20, None), (ONE, 80, "prev")]
    ledger = asked(waiting, "c", ONE, TWO, THREE, percent=30)
    assert split(ledger) == [(THREE, 30, None), (ONE, 70, "prev")]
    assert [each.name for each in ledger.revisions] == [THREE, ONE]


def test_a_canary_is_not_promoted_because_a_newer_revision_is_to_have_everything() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    waiting = asked(canary, "c", ONE, TWO)
    assert split(waiting) == [(TWO, 20, None), (ONE, 80, "prev")]
    assert split(asked(waiting, "c", ONE, TWO, THREE)) == [(THREE, 100, None)]


def test_a_canary_can_be_pinned_while_a_newer_revision_does_not_come_up() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    ledger = asked(canary, "c", ONE, TWO, percent=0)
    assert split(ledger) == [(TWO, 0, None), (ONE, 100, "prev")]


def test_a_canary_that_does_not_answer_keeps_its_share_and_gets_no_more() -> None:
    canary = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=20)
    assert split(asked(canary, "b", ONE, percent=20)) == [(TWO, 20, None), (ONE, 80, "prev")]
    assert split(asked(canary, "b", ONE, percent=60)) == [(TWO, 20, None), (ONE, 80, "prev")]
    assert split(asked(canary, "b", ONE)) == [(TWO, 20, None), (ONE, 80, "prev")]
    assert split(asked(canary, "b", ONE, percent=5)) == [(TWO, 5, None), (ONE, 95, "prev")]


def test_a_revision_that_stops_answering_keeps_its_traffic() -> None:
    ledger = asked(asked(Ledger(), "a", ONE), "a")
    assert split(ledger) == [(ONE, 100, None)]
    assert ledger.latest_ready == ONE


def test_going_back_to_the_spec_before_the_promotion_reuses_its_revision() -> None:
    waiting = asked(promoted(), "a", TWO)
    assert (waiting.latest_created, waiting.numbered) == (ONE, 2)
    assert split(waiting) == [(TWO, 100, None)]
    ledger = asked(waiting, "a", ONE, TWO)
    assert split(ledger) == [(ONE, 100, None)]
    assert (ledger.latest_rolled_out, ledger.previous_rolled_out) == (ONE, TWO)


def test_numbers_are_not_used_again() -> None:
    failed = asked(asked(Ledger(), "a", ONE), "b", ONE)
    back = asked(failed, "a", ONE)
    assert [each.name for each in back.revisions] == [ONE]
    assert asked(back, "c", ONE).latest_created == THREE


def test_the_latest_share_is_tagged_where_tags_are_asked_for() -> None:
    first = asked(Ledger(), "a", ONE, tagged=True)
    assert split(first) == [(ONE, 100, "latest")]
    canary = asked(first, "b", ONE, TWO, percent=20, tagged=True)
    assert split(canary) == [(TWO, 20, "latest"), (ONE, 80, "prev")]
    assert split(asked(canary, "b", ONE, TWO, percent=20)) == [(TWO, 20, None), (ONE, 80, "prev")]


def test_a_revision_whose_replicas_drain_is_kept_as_long_as_it_is_asked_for() -> None:
    ledger = rollout.advance(rollout.propose(promoted(), "iris-predictor", "c", 0.0), [THREE])
    assert [each.name for each in rollout.retire(ledger, [ONE]).revisions] == [THREE, TWO, ONE]
    assert [each.name for each in rollout.retire(ledger).revisions] == [THREE, TWO]


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_percentage_out_of_range_is_an_error(percent: int) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"canaryTrafficPercent is {percent}"):
        rollout.advance(Ledger(), [], percent)


def test_canaries_take_their_percentages_from_the_predictor_once_they_are_ready() -> None:
    stable = [Share(revision="s", percent=100, latest=True)]
    found = rollout.canary_split(stable, [("x", 20, True), ("y", 30, False)])
    assert [(each.revision, each.percent) for each in found] == [("s", 80), ("x", 20)]


def test_what_canaries_leave_is_split_in_whole_percents() -> None:
    stable = [Share(revision="b", percent=10, latest=True), Share(revision="a", percent=90, latest=False, tag="prev")]
    found = rollout.canary_split(stable, [("x", 25, True)])
    assert [(each.revision, each.percent, each.tag) for each in found] == [
        ("b", 8, None),
        ("a", 67, "prev"),
        ("x", 25, None),
    ]


def test_canaries_alone_answer_only_when_all_traffic_is_theirs() -> None:
    assert rollout.canary_split([], [("x", 20, True)]) == ()
    found = rollout.canary_split([], [("x", 40, True), ("y", 60, True)])
    assert [(each.revision, each.percent) for each in found] == [("x", 40), ("y", 60)]
    assert rollout.canary_split([], [("x", 40, True), ("y", 60, False)]) == ()


@pytest.mark.parametrize("percents", [(60, 41), (-1, 50)])
def test_canaries_that_ask_for_an_impossible_part_are_an_error(percents: tuple[int, ...]) -> None:
    with pytest.raises(errors.ConfigurationError, match="of the traffic"):
        rollout.canary_split([], [("x", percent, True) for percent in percents])


def test_copies_go_to_ready_revisions_without_traffic() -> None:
    pinned = asked(asked(Ledger(), "a", ONE), "b", ONE, TWO, percent=0).shares
    shares = rollout.canary_split(pinned, [("x", 0, True), ("y", 0, False), ("z", 5, True)])
    assert rollout.mirrors(shares, [ONE, TWO, "x", "y", "z"], 30) == ((TWO, 30), ("x", 30))
    assert rollout.mirrors(shares, [ONE, "z"], 30) == ()
    assert rollout.mirrors(shares, [ONE, TWO, "x"], 0) == ()


def test_nothing_is_copied_while_nothing_answers() -> None:
    assert rollout.mirrors([Share(revision="x", percent=0, latest=False)], ["x"], 30) == ()
