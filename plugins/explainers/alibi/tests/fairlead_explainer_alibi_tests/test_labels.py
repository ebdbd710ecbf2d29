from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead import Datatype, InferResponse, Tensor, errors
from fairlead_explainer_alibi.labels import Labels, of_response


def answered(*arrays: Any) -> InferResponse:
    tensors = [
        Tensor.from_numpy(
            f"output-{place}", np.asarray(each), Datatype.BYTES if np.asarray(each).dtype == object else None
        )
        for place, each in enumerate(arrays)
    ]
    return InferResponse(model_name="m", outputs=tensors)


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ([2, 0, 1], [2, 0, 1]),
        ([2.0, 0.0, 1.0], [2, 0, 1]),
        ([[2], [0], [1]], [2, 0, 1]),
        ([True, False, True], [1, 0, 1]),
        ([0.2, 0.9, 1.0], [0, 1, 1]),
        ([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1], [0.0, 1.0, 0.0]], [2, 0, 1]),
        (np.array(["a", "b", "a"], dtype=object), ["a", "b", "a"]),
    ],
)
def test_labels_and_probabilities_are_labels(answer: Any, labels: list[Any]) -> None:
    assert of_response(answered(answer), "", 3).tolist() == labels


def test_the_output_is_the_first_or_the_one_that_is_named() -> None:
    response = answered([1, 2], [3, 4])
    assert of_response(response, "", 2).tolist() == [1, 2]
    assert of_response(response, "output-1", 2).tolist() == [3, 4]
    with pytest.raises(errors.InvalidInput, match="output-7"):
        of_response(response, "output-7", 2)


@pytest.mark.parametrize(
    ("response", "error", "reason"),
    [
        (InferResponse(model_name="m", payload={"a": 1}), errors.InferenceFailed, "no tensors"),
        (answered([1, 2, 3]), errors.InferenceFailed, "was asked for 2 rows"),
        (answered(1), errors.InferenceFailed, "was asked for 2 rows"),
        (answered([1.5, 200.25]), errors.InvalidInput, "neither labels nor probabilities"),
        (answered([np.nan, 1.0]), errors.InvalidInput, "neither labels nor probabilities"),
        (answered(np.array([["a", "b"]] * 2, dtype=object)), errors.InferenceFailed, "several texts"),
    ],
)
def test_other_answers_are_errors(response: InferResponse, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        of_response(response, "", 2)


def test_a_model_can_be_asked_while_an_explanation_is_made() -> None:
    labels = Labels()
    assert labels(np.ones((2, 3))).tolist() == [0, 0]
    with labels.asked_of(lambda samples: samples[:, 0]):
        assert labels(np.ones((2, 3))).tolist() == [1, 1]
    assert labels(["a"]).tolist() == [0]
