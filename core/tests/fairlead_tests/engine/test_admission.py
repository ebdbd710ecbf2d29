"""Who may wait for a model, and who is refused."""

from __future__ import annotations

import math

import pytest

from fairlead import errors
from fairlead.engine.admission import Admission


def admitted(admission: Admission, timeout: float = math.inf) -> int:
    """How many may wait before one is refused."""
    for waiting in range(2000):
        try:
            admission.check(waiting, timeout)
        except errors.Overloaded:
            return waiting
    return 2000


def after(admission: Admission, seconds: float, requests: int = 1) -> Admission:
    """The admission once many calls took so long."""
    for _ in range(100):
        admission.record(seconds, requests)
    return admission


def test_before_anything_is_known_only_the_number_counts() -> None:
    assert admitted(Admission("m", 1024, 1.0)) == 1024


def test_no_more_work_waits_than_is_allowed() -> None:
    assert admitted(after(Admission("m", 1024, 1.0), 0.005)) == pytest.approx(200, abs=1)


def test_a_joined_call_is_shared_by_its_requests() -> None:
    assert admitted(after(Admission("m", 1024, 1.0), 0.02, requests=10)) == pytest.approx(500, abs=1)


def test_a_slow_model_may_have_a_few_waiting_however_long_they_take() -> None:
    assert admitted(after(Admission("m", 1024, 1.0), 10.0)) == 64


def test_what_its_client_would_not_wait_for_is_not_taken() -> None:
    assert admitted(after(Admission("m", 1024, 1.0), 10.0), timeout=60.0) == pytest.approx(6, abs=1)


def test_the_bound_on_work_can_be_turned_off() -> None:
    assert admitted(after(Admission("m", 100, 0.0), 10.0)) == 100


def test_a_refused_client_is_told_when_to_come_back() -> None:
    with pytest.raises(errors.Overloaded, match="300 requests wait already") as refused:
        after(Admission("m", 1024, 1.0), 0.01).check(300, math.inf)
    assert refused.value.retry_after == 3
