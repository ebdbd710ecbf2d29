"""A ledger that was written is read as it was; one that is broken says where."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fairlead import errors
from fairlead.resolve import rollout
from fairlead.resolve.rollout import Ledger


def canary() -> Ledger:
    first = rollout.advance(rollout.propose(Ledger(), "ü-predictor", "a", 1.5), ["ü-predictor-00001"])
    return rollout.advance(
        rollout.propose(first, "ü-predictor", "b", 2), ["ü-predictor-00001", "ü-predictor-00002"], 20, tag_latest=True
    )


@pytest.mark.parametrize("ledger", [Ledger(), rollout.propose(Ledger(), "c", "a", 0), canary()])
def test_a_ledger_comes_back_as_it_was_written(ledger: Ledger) -> None:
    assert rollout.from_json(rollout.to_json(ledger)) == ledger
    assert rollout.from_plain(rollout.to_plain(ledger)) == ledger


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000, b"\xff\xfe\x00"])
def test_a_file_that_is_cut_short_or_is_no_json_is_an_error_that_names_it(text: str | bytes) -> None:
    with pytest.raises(
        errors.ConfigurationError, match=r"^/var/x\.json is no ledger of revisions: it is not JSON"
    ) as refusal:
        rollout.from_json(text, "/var/x.json")
    assert "Remove it" in str(refusal.value)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("numbered",), "2", 'numbered is "2", and not a whole number'),
        (("numbered",), -1, "numbered is -1"),
        (("numbered",), True, "numbered is true"),
        (("canary_percent",), 101, "canary_percent is 101, and not a percentage"),
        (("latest_ready",), "", 'latest_ready is ""'),
        (("latest_ready",), "gone", "names the revision 'gone' and does not have it"),
        (("latest_created",), "ü-predictor-00001", "latest_created is not the first"),
        (("revisions",), {}, "revisions is {}, and not a list"),
        (("revisions", 0), 7, r"revisions\[0\] is 7, and not an object"),
        (("revisions", 0), {"name": "x"}, r"revisions\[0\] has no field 'created_at'"),
        (("revisions", 0, "name"), 5, r"revisions\[0\]\.name is 5"),
        (("revisions", 1, "name"), "ü-predictor-00002", "two of its revisions have one name"),
        (("revisions", 1, "digest"), "b", "two of its revisions have one digest"),
        (("revisions", 1, "created_at"), float("nan"), r"revisions\[1\]\.created_at is NaN"),
        (("revisions", 1, "created_at"), False, r"revisions\[1\]\.created_at is false"),
        (("shares",), [], "shares without a revision that was ready, or none with one"),
        (("shares", 0, "percent"), 30, "its shares are not 100 percent together"),
        (("shares", 0, "latest"), 1, r"shares\[0\]\.latest is 1"),
        (("shares", 0, "tag"), 1, r"shares\[0\]\.tag is 1"),
        (("shares", 0, "more"), 1, r"shares\[0\] has an unknown field 'more'"),
        (("surprise",), "x" * 100, "it has an unknown field 'surprise'"),
    ],
)
def test_a_ledger_that_was_tampered_with_is_an_error_that_says_where(
    path: tuple[str | int, ...], value: Any, problem: str
) -> None:
    plain = copy.deepcopy(rollout.to_plain(canary()))
    place: Any = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(errors.ConfigurationError, match=problem):
        rollout.from_json(json.dumps(plain))


def test_something_else_is_no_ledger() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"it is \[\], and not an object"):
        rollout.from_json("[]")
