"""Long lists of numbers are read by another way than short ones, and nobody can tell."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest
from fairlead.protocol import bulk, v2

COUNT = 20_000
"""Elements that make a list long, and its document with it."""


def document(*tensors: tuple[str, Any], shape: list[int] | None = None, **more: Any) -> bytes:
    inputs = [
        {"name": f"x{place}", "shape": shape or [len(data)], "datatype": datatype, "data": data}
        for place, (datatype, data) in enumerate(tensors)
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


def outcome(body: bytes) -> tuple[list[Any], Any] | tuple[type[Exception], str]:
    """What a body becomes: its tensors, or the error."""
    try:
        request: InferRequest = v2.decode(body, model_name="m", headers={})
    except errors.InvalidInput as error:
        return type(error), str(error)
    return list(request.inputs), request.parameters


def as_a_whole(body: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_LONG", len(body) + 1)
        return outcome(body)


def cut_lists(body: bytes) -> int:
    return len(bulk._cut(body)[1])


NUMBERS: dict[str, tuple[str, list[Any]]] = {
    "doubles": ("FP64", [number / 7 for number in range(COUNT)]),
    "floats": ("FP32", [number / 7 for number in range(COUNT)]),
    "whole numbers as floats": ("FP32", list(range(COUNT))),
    "null": ("FP64", [None, *([1.5] * COUNT)]),
    "booleans among numbers": ("FP64", [True, *([1.5] * COUNT)]),
    "negative": ("INT16", [-7] * COUNT),
    "out of range": ("INT8", [*([1] * COUNT), 128]),
    "below zero without a sign": ("UINT8", [*([1] * COUNT), -1]),
    "whole numbers with a point": ("INT32", [*([1] * COUNT), 2.0]),
    "broken numbers": ("INT32", [*([1] * COUNT), 2.5]),
    "64 bits": ("UINT64", [2**64 - 1] * COUNT),
    "65 bits": ("UINT64", [2**64] * COUNT),
    "too large for FP32": ("FP32", [*([1.5] * COUNT), 1e39]),
    "too large for FP64": ("FP64", [*([1.5] * COUNT), 10**400]),
    "booleans": ("BOOL", [True, False] * COUNT),
    "no form": ("FP16", [1.5] * COUNT),
    "numbers as text": ("BYTES", [1] * COUNT),
    "text": ("BYTES", ["abc]"] * COUNT),
    "nested": ("FP32", [[1.0, 2.0]] * COUNT),
    "an object": ("FP32", [*([1.5] * COUNT), {"a": 1}]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_long_list_has_the_outcome_of_a_short_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    datatype, data = NUMBERS[name]
    body = document((datatype, data), shape=[COUNT, 2] if name == "nested" else None)
    assert outcome(body) == as_a_whole(body, monkeypatch)


def test_long_lists_of_numbers_are_found_and_others_are_not() -> None:
    long = [0.5] * COUNT
    assert cut_lists(document(("FP32", long), ("INT8", [1]), ("FP64", long))) == 2
    assert cut_lists(document(("FP32", [long]))) == 0
    assert cut_lists(document(("BYTES", ["a"] * COUNT))) == 0


def test_a_list_that_has_another_length_than_its_shape_is_refused() -> None:
    body = document(("FP32", [0.5] * COUNT), shape=[COUNT, 2])
    assert outcome(body) == (
        errors.InvalidInput,
        f"input 'x0': shape [{COUNT}, 2] needs {2 * COUNT} elements, and data has {COUNT}",
    )


LONG = ",".join(["0.5"] * COUNT)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[{LONG}]}}]}}',
        f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[{LONG}],"data":[1]}}]}}',
        f'{{"data":[{LONG}],"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[1]}}]}}',
        f'{{"parameters":{{"p":"\\"data\\":[{LONG}]"}},"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[1]}}]}}',
        f'{{"inputs":[{{"name":"x","shape":[{COUNT}],"datatype":"FP32","data":[{LONG}'.replace("0.5", "NaN") + "]}]}",
        f'{{"inputs":[{{"name":"x","shape":[{COUNT}],"datatype":"FP32","data":[{LONG},]}}]}}',
        f'{{"inputs":[{{"name":"x","shape":[{COUNT}],"datatype":"FP32","data":[{LONG}',
        f'{{"inputs":[{{"name":"x","shape":[{COUNT}],"datatype":"FP32","data" :\n [ {LONG} ] }}]}}',
        f'{{"inputs":[{{"name":"x","shape":[{COUNT}],"datatype":"FP32","parameters":{{"data":[{LONG}]}},"data":[1]}}]}}',
        f'[{{"data":[{LONG}]}}]',
    ],
    ids=[
        *("repeated, the long one last", "repeated, the long one first", "elsewhere", "in a string", "NaN"),
        *("no JSON in the list", "no end", "spaces", "as a parameter", "no object"),
    ],
)
def test_a_document_that_is_not_so_simple_is_read_as_ever(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = body.encode()
    found, expected = outcome(raw), as_a_whole(raw, monkeypatch)
    assert found[0] == expected[0]
    if not isinstance(found[0], type):
        assert found == expected


@given(
    st.lists(st.one_of(st.floats(width=32), st.integers(-(2**70), 2**70), st.booleans(), st.none()), max_size=8),
    st.sampled_from([each.value for each in Datatype]),
)
@settings(max_examples=200, deadline=None)
def test_whatever_numbers_there_are_the_way_makes_no_difference(values: list[Any], datatype: str) -> None:
    body = document((datatype, values * 3000))
    with pytest.MonkeyPatch.context() as patch:
        assert outcome(body) == as_a_whole(body, patch)


def test_an_array_is_made_without_a_list() -> None:
    numbers = bulk.load(document(("INT32", list(range(COUNT)))))["inputs"][0]["data"]
    assert isinstance(numbers, bulk.Numbers)
    made = numbers.array(Datatype.INT32)
    assert made is not None
    assert np.array_equal(made, np.arange(COUNT))
