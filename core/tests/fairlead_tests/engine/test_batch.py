"""Joining and splitting: pure functions, real arrays."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Parameter, RequestedOutput, Tensor
from fairlead.engine import batch


def request(*arrays: np.ndarray, **fields: object) -> InferRequest:
    inputs = [Tensor.from_numpy(f"x{index}", array) for index, array in enumerate(arrays)]
    return InferRequest(model_name="m", inputs=inputs, **fields)  # type: ignore[arg-type]  # each test names real fields


def test_rows_are_the_first_axis_that_all_inputs_share() -> None:
    assert batch.rows_of(request(np.zeros((3, 2)), np.zeros(3))) == 3


@pytest.mark.parametrize(
    "arrays",
    [(), (np.zeros(()),), (np.zeros((2, 1)), np.zeros((3, 1))), (np.zeros((0, 4)),)],
    ids=["no inputs", "a scalar", "different lengths", "no rows"],
)
def test_requests_without_common_rows_have_none(arrays: tuple[np.ndarray, ...]) -> None:
    assert batch.rows_of(request(*arrays)) is None


def test_requests_that_differ_in_rows_only_have_equal_keys() -> None:
    one = request(np.zeros((1, 4), np.float32), id="a", headers={"x": "1"}, payload={"instances": []})
    many = request(np.ones((7, 4), np.float32), id="b")
    assert batch.key_of(one) == batch.key_of(many)


@pytest.mark.parametrize(
    "other",
    [
        request(np.zeros((1, 4))),
        request(np.zeros((1, 5), np.float32)),
        request(np.zeros((1, 4), np.float32), parameters={"method": "predict_proba"}),
        request(np.zeros((1, 4), np.float32), outputs=[RequestedOutput("y")]),
        request(np.zeros((1, 4), np.float32), model_version="2"),
        request(np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)),
        InferRequest(model_name="m", inputs=[Tensor("other", np.zeros((1, 4), np.float32), Datatype.FP32)]),
        InferRequest(model_name="m", inputs=[Tensor("x0", np.zeros((1, 4), np.float32), Datatype.BF16)]),
    ],
    ids=["datatype", "shape", "parameters", "outputs", "version", "number of inputs", "name", "BF16 and FP32"],
)
def test_requests_that_differ_in_anything_else_have_different_keys(other: InferRequest) -> None:
    assert batch.key_of(request(np.zeros((1, 4), np.float32))) != batch.key_of(other)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), (1.0, True)])
def test_parameters_that_python_takes_for_equal_are_different(one: Parameter, other: Parameter) -> None:
    assert one == other
    keys = [batch.key_of(request(np.zeros((1, 4)), parameters={"n": value})) for value in (one, other)]
    assert keys[0] != keys[1]


def test_join_and_split_give_every_request_its_own_rows() -> None:
    parts = [np.arange(2.0).reshape(1, 2), np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)]
    joined = batch.join([request(part, id=str(index)) for index, part in enumerate(parts)])
    assert joined.id is None
    assert joined.inputs[0].shape == (6, 2)
    answer = InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", joined.inputs[0].data * 2)])
    for part, response in zip(parts, batch.split(answer, [1, 3, 2]), strict=True):
        np.testing.assert_array_equal(response.outputs[0].data, part * 2)


def test_text_is_joined_too() -> None:
    parts = [np.array(["a"], object), np.array(["b", "c"], object)]
    joined = batch.join([request(part) for part in parts])
    assert joined.inputs[0].data.tolist() == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "response",
    [
        InferResponse(model_name="m", payload={"predictions": [1, 2]}),
        InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", np.zeros(3))]),
        InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", np.float64(1.0) * np.ones(()))]),
    ],
    ids=["a payload", "another number of rows", "a scalar"],
)
def test_answers_that_do_not_have_a_row_for_each_row_cannot_be_split(response: InferResponse) -> None:
    with pytest.raises(errors.InferenceFailed):
        batch.split(response, [1, 1])
