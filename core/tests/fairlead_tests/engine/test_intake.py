"""The bound on what a server holds for all clients together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fairlead import errors
from fairlead.engine.intake import Intake
from fairlead.settings import ServerSettings


def test_what_is_too_much_for_all_together_is_refused_and_what_fits_is_not() -> None:
    intake = Intake(100)
    first, second = intake.hold(), intake.hold()
    first.take(60)
    with pytest.raises(errors.Overloaded, match="requests of 60 bytes are in flight"):
        second.take(41)
    second.take(40)
    assert intake.held == 100


def test_what_is_released_is_there_for_others_and_only_once() -> None:
    intake = Intake(100)
    with intake.hold() as hold:
        hold.take(60)
        hold.take(40)
        hold.release()
        assert intake.held == 0
    assert intake.held == 0
    intake.hold().take(100)


def test_without_a_bound_nothing_is_refused() -> None:
    intake = Intake(0)
    intake.hold().take(2**60)
    assert intake.held == 2**60


def test_threads_together_hold_what_each_of_them_holds() -> None:
    intake = Intake(0)

    def come_and_go(_: int) -> None:
        with intake.hold() as hold:
            hold.take(3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(20_000)))
    assert intake.held == 0


def test_a_bound_below_one_request_is_a_mistake() -> None:
    with pytest.raises(errors.ConfigurationError, match="--max-body-bytes-in-flight"):
        ServerSettings.from_environment({}, max_body_bytes=1000, max_body_bytes_in_flight=999)
