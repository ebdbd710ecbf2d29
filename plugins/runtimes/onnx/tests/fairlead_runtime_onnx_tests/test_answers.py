"""A loaded graph answers as onnxruntime does, and refuses what the graph does not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from fairlead import Capability, InferRequest, Tensor, errors
from fairlead_runtime_onnx_tests import graphs
from fairlead_runtime_onnx_tests.loading import ask, load

X = np.array([[1, 2], [3, 4]], dtype=np.float32)


def test_outputs_are_not_copied(tmp_path: Path) -> None:
    """The array's memory is onnxruntime's: a capsule holds it."""
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    answer = ask(model, x=X)["y"]
    assert not answer.flags.owndata
    assert type(answer.base).__name__ == "PyCapsule"


def test_an_answer_outlives_the_next_and_the_model(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    first = ask(model, x=X)["y"]
    ask(model, x=np.zeros((2, 2), np.float32))
    model.unload()
    model.unload()
    np.testing.assert_array_equal(first, X + X)


def test_only_the_outputs_that_are_asked_for_are_answered(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.affine()))
    feeds = {"a": np.ones((2, 3), np.float32), "b": X}
    assert ask(model, **feeds).keys() == {"sum", "most"}
    assert ask(model, "most", **feeds).keys() == {"most"}


def test_a_value_that_an_operator_refuses_is_the_clients_fault(tmp_path: Path) -> None:
    made = graphs.model(
        [graphs.value("i", ["n"], TensorProto.INT64)],
        [graphs.value("found", ["n"])],
        [helper.make_node("Gather", ["table", "i"], ["found"])],
        {"table": np.arange(3, dtype=np.float32)},
    )
    model = load(graphs.saved(tmp_path, made))
    with pytest.raises(errors.InvalidInput, match=r"Gather node.*indices element out of data bounds, idx=7"):
        ask(model, i=np.array([7]))


def test_outputs_come_in_the_order_of_the_model_and_an_unknown_one_is_an_error(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.affine()))
    feeds = {"a": np.ones((2, 3), np.float32), "b": X}
    assert list(ask(model, "most", "sum", **feeds)) == ["sum", "most"]
    with pytest.raises(errors.InvalidInput, match="no output 'least'; it has 'sum', 'most'"):
        ask(model, "least", **feeds)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (np.ones(2, np.float32), "expected 'x' FP32 \\[-1, 2\\]"),
        (np.ones((1, 3), np.float32), "expected 'x' FP32 \\[-1, 2\\]"),
        (np.array([["1", "2"]]), "is BYTES; expected 'x' FP32"),
        (np.full((1, 2), 1e300), "too large for float32"),
    ],
)
def test_another_rank_dimension_or_datatype_is_the_clients_fault(
    tmp_path: Path, sent: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str
) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    with pytest.raises(errors.InvalidInput, match=message):
        ask(model, x=sent)


def test_names_of_inputs_that_are_missing_or_unknown_are_given(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.affine()))
    with pytest.raises(errors.InvalidInput, match="lacks 'b' and has inputs that the model does not know: 'c'"):
        ask(model, a=np.ones((1, 3), np.float32), c=X)


def test_numbers_of_json_become_those_of_the_graph(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    np.testing.assert_array_equal(ask(model, **{"input-0": np.array([[1, 2]])})["y"], [[2, 4]])


def test_nan_goes_through(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    np.testing.assert_array_equal(ask(model, x=np.array([[np.nan, 1]], np.float32))["y"], [[np.nan, 2]])


@pytest.mark.parametrize("zipmap", [True, False])
def test_no_rows_are_answered_with_no_rows(tmp_path: Path, zipmap: bool) -> None:
    model = load(graphs.saved(tmp_path, graphs.forest(zipmap=zipmap)))
    answer = list(ask(model, X=np.empty((0, 4), np.float32)).values())
    assert [each.shape for each in answer] == [(0,), (0, 3)]


def test_arrays_that_are_not_contiguous_are_taken(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    wide = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(ask(model, x=wide[:, ::2])["y"], 2 * wide[:, ::2])


def test_dimensions_of_one_name_must_be_of_one_length(tmp_path: Path) -> None:
    """onnxruntime would broadcast one row to all."""
    model = load(graphs.saved(tmp_path, graphs.affine()))
    message = "The dimension 'rows' has one length in all inputs; got 1 in axis 0 of 'a', 2 in axis 0 of 'b'"
    with pytest.raises(errors.InvalidInput, match=message):
        ask(model, a=np.ones((1, 3), np.float32), b=X)


def test_text_that_is_no_utf8_is_the_clients_fault(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.identity(TensorProto.STRING)))
    with pytest.raises(errors.InvalidInput, match="'x' has an element that is not UTF-8"):
        ask(model, x=np.array([b"\xff"], dtype=object))


def test_shapes_that_an_operator_refuses_are_the_clients_fault(tmp_path: Path) -> None:
    made = graphs.model(
        [graphs.value("a", ["n"]), graphs.value("b", ["m"])],
        [graphs.value("y", [None])],
        [helper.make_node("Add", ["a", "b"], ["y"])],
    )
    model = load(graphs.saved(tmp_path, made))
    ask(model, a=np.ones(2, np.float32), b=np.ones(2, np.float32))
    with pytest.raises(errors.InvalidInput, match="running Add node"):
        ask(model, a=np.ones(2, np.float32), b=np.ones(3, np.float32))


def test_memory_that_cannot_be_had_is_no_fault_of_the_clients(tmp_path: Path) -> None:
    made = graphs.model(
        [graphs.value("shape", [2], TensorProto.INT64)],
        [graphs.value("y", ["a", "b"])],
        [helper.make_node("ConstantOfShape", ["shape"], ["y"])],
    )
    model = load(graphs.saved(tmp_path, made))
    assert ask(model, shape=np.array([1, 2]))["y"].shape == (1, 2)
    with pytest.raises(errors.InferenceFailed, match=r"[Ff]ailed to allocate memory"):
        ask(model, shape=np.array([1 << 22, 1 << 22]))


# -- maps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(), ("virginica", "setosa", "versicolor")])
def test_maps_are_answered_as_probabilities_in_the_order_of_the_classes(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    folder = graphs.saved(tmp_path, graphs.forest(labels=labels))
    own = graphs.own_answer(folder, {"X": graphs.IRIS})
    answer = ask(load(folder), X=graphs.IRIS)
    columns: list[Any] = sorted(labels) if labels else [0, 1, 2]
    expected = [[row[label] for label in columns] for row in own["output_probability"]]
    np.testing.assert_array_equal(answer["output_probability"], np.array(expected, np.float32))
    wanted = own["output_label"].tolist()
    assert answer["output_label"].tolist() == [w.encode() if isinstance(w, str) else w for w in wanted]


# -- initializers that may be overridden ----------------------------------------------------------------


def test_an_initializer_may_be_given_another_value(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.scaling()))
    np.testing.assert_array_equal(ask(model, x=X)["y"], X * 3)
    np.testing.assert_array_equal(ask(model, x=X, scale=np.array([1, 10], np.float32))["y"], X * [1, 10])
    assert [spec.name for spec in model.metadata.inputs] == ["x"]
    assert model.metadata.properties["optional_inputs"] == "scale"
    with pytest.raises(errors.InvalidInput, match="expected 'scale' FP32 \\[2\\]"):
        ask(model, x=X, scale=np.ones(3, np.float32))


def test_requests_that_may_override_an_initializer_are_not_joined(tmp_path: Path) -> None:
    """Joined along their first axes, two values of the initializer would make a third."""
    folder = graphs.saved(tmp_path, graphs.scaling())
    model = load(folder)
    assert not model.metadata.supports(Capability.BATCHING)
    assert ["overridable=false" in note for note in model.notes] == [True]
    fixed = load(folder, overridable=False)
    assert fixed.metadata.supports(Capability.BATCHING)
    with pytest.raises(errors.InvalidInput, match="does not know: 'scale'"):
        ask(fixed, x=X, scale=np.ones(2, np.float32))


def test_a_scalar_that_may_be_overridden_keeps_nobody_from_joining(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.scaling(shape=[])))
    assert model.metadata.supports(Capability.BATCHING)
    np.testing.assert_array_equal(ask(model, x=X, scale=np.array(2, np.float32))["y"], X * 2)


# -- dimensions that are not declared -------------------------------------------------------------------


def test_an_input_without_declared_dimensions_takes_any(tmp_path: Path) -> None:
    made = graphs.model(
        [graphs.value("x", None)], [graphs.value("y", None)], [helper.make_node("Add", ["x", "x"], ["y"])]
    )
    model = load(graphs.saved(tmp_path, made))
    assert model.metadata.inputs[0].shape == (-1,)
    assert model.metadata.outputs[0].shape == (-1,)
    for shape in ((), (3,), (2, 3, 4)):
        assert ask(model, x=np.ones(shape, np.float32))["y"].shape == shape
    (sample,) = model.samples()
    assert model.predict(sample).outputs[0].shape == (1,)


def test_a_sample_of_every_free_dimension_is_made(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.affine()))
    (sample,) = model.samples()
    assert [tensor.shape for tensor in sample.inputs] == [(1, 3), (1, 2)]


def test_the_request_says_nothing_of_how_it_is_answered(tmp_path: Path) -> None:
    model = load(graphs.saved(tmp_path, graphs.doubling()))
    request = InferRequest(model_name="other", id="7", inputs=[Tensor.from_numpy("x", X)])
    response = model.predict(request)
    assert (response.model_name, response.id) == ("other", "7")
