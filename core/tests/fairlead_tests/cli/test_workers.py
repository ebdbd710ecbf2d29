"""How long to wait before a worker that died is replaced; the processes themselves are in the integration tests."""

from __future__ import annotations

from fairlead.cli.workers import Backoff


def test_the_pause_doubles_up_to_a_bound_while_workers_die_soon() -> None:
    backoff = Backoff()
    pauses = [backoff.pause(lived=1.0) for _ in range(8)]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_worker_that_lived_is_replaced_at_once_and_the_pauses_begin_anew() -> None:
    backoff = Backoff()
    assert [backoff.pause(lived) for lived in (1.0, 1.0, 60.0, 1.0)] == [0.25, 0.5, 0.0, 0.25]
