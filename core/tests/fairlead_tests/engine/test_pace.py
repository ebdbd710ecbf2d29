"""Which calls are known to be short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead import Datatype, InferRequest, Tensor
from fairlead.engine.pace import Pace, size_of


def request(array: Any, datatype: Datatype) -> InferRequest:
    return InferRequest(model_name="m", inputs=[Tensor("x", array, datatype)])


def numbers(count: int) -> InferRequest:
    return request(np.zeros((1, count), np.float32), Datatype.FP32)


def texts(*lengths: int) -> InferRequest:
    return request(np.array([b"x" * length for length in lengths], object), Datatype.BYTES)


def test_only_what_was_short_before_is_known_to_be_short() -> None:
    pace = Pace()
    small, large = size_of([numbers(4)]), size_of([numbers(4000)])
    assert not pace.is_short(small)
    pace.record(small, 0.0001)
    assert pace.is_short(small)
    assert not pace.is_short(large)


def test_one_long_call_is_enough_to_lose_the_name() -> None:
    pace = Pace()
    for _ in range(100):
        pace.record(16, 0.0001)
    pace.record(16, 1.0)
    assert not pace.is_short(16)


@pytest.mark.parametrize("longer", [texts(2_000_000), texts(2, 2_000_000), texts(*[2] * 1000)])
def test_a_long_text_is_not_taken_for_a_short_one(longer: InferRequest) -> None:
    pace = Pace()
    pace.record(size_of([texts(8)]), 0.0001)
    assert pace.is_short(size_of([texts(9)]))
    assert not pace.is_short(size_of([longer]))


def test_a_document_is_never_known_to_be_short() -> None:
    pace = Pace()
    document = InferRequest(model_name="m", inputs=[], payload={"instances": [1]})
    pace.record(size_of([document]), 0.0001)
    assert not pace.is_short(size_of([document]))
    assert not pace.is_short(size_of([numbers(4), document]))
