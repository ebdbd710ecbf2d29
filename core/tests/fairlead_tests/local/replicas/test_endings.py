from __future__ import annotations

import json

import pytest

from fairlead.local.replicas.endings import exit_code, last_words


def logged(level: str, message: str, **more: str) -> str:
    return json.dumps({"level": level, "message": message, **more})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), ""),
        (("one", "two"), "Its last lines: one\ntwo"),
        (tuple("abcdefg"), "Its last lines: c\nd\ne\nf\ng"),
        ((logged("error", "No file.", remedy="Add one."), "Exiting"), "No file. Add one."),
        ((logged("ERROR", "first"), logged("error", "second")), "second"),
        ((logged("error", "long ago"), *"abcdefghij"), "Its last lines: f\ng\nh\ni\nj"),
        ((logged("info", "loading"), "{broken", '{"no": "log"}'), 'Its last lines: loading\n{broken\n{"no": "log"}'),
        (("x" * 1000,), "Its last lines: " + "x" * 400 + "…"),
    ],
)
def test_what_a_process_said_last_is_its_error_or_its_last_lines(lines: tuple[str, ...], words: str) -> None:
    assert last_words(lines) == words


def test_a_signal_is_an_exit_code_as_shells_have_it() -> None:
    assert (exit_code(3), exit_code(-9)) == (3, 137)
