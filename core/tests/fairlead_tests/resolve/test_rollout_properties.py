"""What holds of rollouts whatever happens, and in whichever order."""

from __future__ import annotations

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from fairlead.resolve import rollout
from fairlead.resolve.observation import Share
from fairlead.resolve.rollout import Ledger

PERCENTS = st.none() | st.integers(0, 100)


class Rollouts(stateful.RuleBasedStateMachine):
    """A user who changes specs and percentages, and revisions that come up and go down."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.percent: int | None = None
        self.up: set[str] = set()
        self.once_ready: set[str] = set()
        self.names: dict[str, str] = {}

    @stateful.initialize()
    def begin(self) -> None:
        self.ask("a")

    @stateful.rule(spec=st.sampled_from("abcd"))
    def ask(self, spec: str) -> None:
        self.ledger = rollout.propose(self.ledger, "iris-predictor", spec, 0.0)
        name = self.ledger.revisions[0].name
        assert self.names.setdefault(name, spec) == spec

    @stateful.rule(percent=PERCENTS)
    def set_percentage(self, percent: int | None) -> None:
        self.percent = percent

    @stateful.rule(data=st.data())
    def change_what_is_ready(self, data: st.DataObject) -> None:
        self.up = set(data.draw(st.lists(st.sampled_from([each.name for each in self.ledger.revisions]))))

    @stateful.rule()
    def turn(self) -> None:
        before, ready = self.ledger, self.up & set(rollout.running(self.ledger))
        self.once_ready |= ready
        self.ledger = rollout.advance(before, ready, self.percent)
        held = {each.revision: each.percent for each in before.shares}
        for each in self.ledger.shares:
            assert each.percent <= held.get(each.revision, 0) or each.revision in ready or held.get(each.revision)
        assert rollout.advance(self.ledger, ready, self.percent) == self.ledger

    @stateful.rule()
    def retire(self) -> None:
        self.ledger = rollout.retire(self.ledger)
        assert rollout.retire(self.ledger, rollout.wanted(self.ledger)) == self.ledger

    @stateful.rule()
    def restart(self) -> None:
        assert rollout.from_json(rollout.to_json(self.ledger)) == self.ledger

    @stateful.invariant()
    def shares_are_all_of_the_traffic_once_anything_was_ready(self) -> None:
        total = sum(each.percent for each in self.ledger.shares)
        assert total == (100 if self.ledger.latest_ready else 0)

    @stateful.invariant()
    def a_share_goes_to_a_revision_that_is_kept_and_was_ready(self) -> None:
        kept = {each.name for each in self.ledger.revisions}
        shared = {each.revision for each in self.ledger.shares}
        assert shared <= kept
        assert shared <= self.once_ready
        assert len(shared) == len(self.ledger.shares)

    @stateful.invariant()
    def what_has_traffic_has_replicas_and_what_has_replicas_is_kept(self) -> None:
        shared = {each.revision for each in self.ledger.shares}
        assert shared <= set(rollout.running(self.ledger)) <= set(rollout.wanted(self.ledger))

    @stateful.invariant()
    def everything_that_is_named_is_kept(self) -> None:
        kept = {each.name for each in self.ledger.revisions}
        named = {
            self.ledger.latest_created,
            self.ledger.latest_ready,
            self.ledger.latest_rolled_out,
            self.ledger.previous_rolled_out,
        }
        assert named - {None} <= kept


TestRollouts = Rollouts.TestCase
TestRollouts.settings = hypothesis.settings(max_examples=150, stateful_step_count=40, deadline=None)


@hypothesis.given(
    specs=st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
    percents=st.lists(PERCENTS, min_size=6, max_size=6),
)
def test_when_all_is_ready_and_no_percentage_is_set_the_latest_spec_has_all_traffic(
    specs: list[str], percents: list[int | None]
) -> None:
    ledger = Ledger()
    for spec, percent in zip(specs, percents, strict=False):
        ledger = rollout.propose(ledger, "c", spec, 0.0)
        ledger = rollout.retire(rollout.advance(ledger, rollout.running(ledger), percent))
    ledger = rollout.advance(ledger, rollout.running(ledger), None)
    assert ledger.shares == (Share(revision=ledger.revisions[0].name, percent=100, latest=True),)
    assert ledger.revisions[0].digest == specs[-1]


@st.composite
def stable_shares(draw: st.DrawFn) -> list[Share]:
    cuts = sorted(draw(st.lists(st.integers(0, 100), max_size=2)))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
    return [Share(revision=f"s{index}", percent=part, latest=not index) for index, part in enumerate(parts)]


@st.composite
def canaries(draw: st.DrawFn) -> list[tuple[str, int, bool]]:
    left, found = 100, []
    for index in range(draw(st.integers(0, 4))):
        percent = draw(st.integers(0, left))
        left -= percent
        found.append((f"c{index}", percent, draw(st.booleans())))
    return found


@hypothesis.given(stable_shares(), canaries())
def test_ready_canaries_get_their_percentage_and_the_sum_stays_whole(
    stable: list[Share], asking: list[tuple[str, int, bool]]
) -> None:
    found = {each.revision: each.percent for each in rollout.canary_split(stable, asking)}
    assert sum(found.values()) == 100
    for name, percent, ready in asking:
        assert found.get(name) == (percent if ready else None)
    left = 100 - sum(percent for _, percent, ready in asking if ready)
    for each in stable:
        assert abs(found[each.revision] - each.percent * left / 100) < 1


@hypothesis.given(stable_shares(), canaries(), st.integers(1, 100))
def test_no_revision_gets_requests_and_copies_of_them(
    stable: list[Share], asking: list[tuple[str, int, bool]], percent: int
) -> None:
    shares = rollout.canary_split(stable, asking)
    copied = dict(rollout.mirrors(shares, [each.revision for each in shares], percent))
    assert set(copied.values()) <= {percent}
    assert copied.keys() == {each.revision for each in shares if not each.percent}
