"""What signatures take and answer: datatypes, shapes, and which of several is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fairlead import Capability, Datatype, InferRequest, Model, Tensor, errors
from fairlead_runtime_tensorflow_tests import models
from fairlead_runtime_tensorflow_tests.models import function

DTYPES = {
    tf.bool: Datatype.BOOL,
    tf.uint8: Datatype.UINT8,
    tf.uint16: Datatype.UINT16,
    tf.uint32: Datatype.UINT32,
    tf.uint64: Datatype.UINT64,
    tf.int8: Datatype.INT8,
    tf.int16: Datatype.INT16,
    tf.int32: Datatype.INT32,
    tf.int64: Datatype.INT64,
    tf.float16: Datatype.FP16,
    tf.bfloat16: Datatype.BF16,
    tf.float32: Datatype.FP32,
    tf.float64: Datatype.FP64,
    tf.string: Datatype.BYTES,
}


def identity(*shape: Any, dtype: Any = tf.float32, unknown: bool = False) -> Any:
    """A signature that answers what it is asked."""

    @function(tf.TensorSpec(None if unknown else shape, dtype, name="x"))
    def same(x: Any) -> dict[str, Any]:
        return {"y": tf.identity(x)}

    return same


@pytest.fixture(scope="module")
def of_every_dtype(tmp_path_factory: pytest.TempPathFactory) -> Model:
    signatures = {dtype.name: identity(None, 2, dtype=dtype) for dtype in DTYPES}
    return models.load(models.save(tmp_path_factory.mktemp("dtypes"), **signatures), signature="int8")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_every_dtype_goes_in_and_out(of_every_dtype: Model, dtype: Any) -> None:
    datatype = DTYPES[dtype]
    numbers = np.array([[0, 1], [2, 3]])
    array = np.array([[b"", b"a\x00"], [b"\xff", b"b"]], dtype=object) if dtype == tf.string else numbers
    sent = Tensor("x", array.astype(datatype.numpy), datatype)
    parameters: dict[str, Any] = {"signature_name": dtype.name}
    (answer,) = of_every_dtype.predict(InferRequest(model_name="m", inputs=[sent], parameters=parameters)).outputs
    assert answer == Tensor("y", sent.data, datatype)


def test_every_signature_has_a_sample(of_every_dtype: Model) -> None:
    samples = of_every_dtype.samples()
    assert {each.parameters["signature_name"] for each in samples} == {dtype.name for dtype in DTYPES}
    assert samples[0].parameters == {"signature_name": "int8"}
    for sample in samples:
        assert of_every_dtype.predict(sample).outputs[0].shape == (1, 2)
    assert of_every_dtype.notes == []


def test_numbers_of_json_become_the_dtype_as_far_as_they_fit(of_every_dtype: Model) -> None:
    assert models.ask(of_every_dtype, "float32", x=[[1, 2]])["y"].dtype == np.float32
    assert models.ask(of_every_dtype, "int8", x=[[-128, 127]])["y"].tolist() == [[-128, 127]]
    for wrong in ([[1, 128]], [[1.5, 2]], [["a", "b"]]):
        with pytest.raises(errors.InvalidInput, match="expected 'x' INT8"):
            models.ask(of_every_dtype, "int8", x=wrong)


def test_a_dtype_that_no_request_has_is_told(tmp_path: Path) -> None:
    folder = models.save(tmp_path / "m", good=identity(None), complex=identity(None, dtype=tf.complex64))
    model = models.load(folder, signature="good")
    (note,) = model.notes
    assert note.startswith(
        "The signature 'complex' is not served: 'x' is of dtype complex64, which no request can hold."
    )
    with pytest.raises(
        errors.ModelLoadError, match="The signature 'complex' cannot be served: 'x' is of dtype complex"
    ):
        models.load(folder, signature="complex")


def test_unknown_ranks_take_any_shape_and_scalars_none_but_theirs(tmp_path: Path) -> None:
    model = models.load(models.save(tmp_path / "m", any=identity(unknown=True), one=identity()), signature="any")
    for shape in ((), (2,), (2, 1, 3)):
        assert models.ask(model, x=np.zeros(shape, np.float32))["y"].shape == shape
        assert models.ask(model, another=np.zeros(shape, np.float32))["y"].shape == shape
    assert models.ask(model, "one", x=2.5)["y"] == 2.5
    with pytest.raises(errors.InvalidInput, match=r"'x' has the shape \[1\]"):
        models.ask(model, "one", x=[2.5])


def test_scalars_of_strings_go_in_and_out(tmp_path: Path) -> None:
    model = models.load(models.save(tmp_path / "m", identity(dtype=tf.string)))
    assert models.ask(model, x=np.array(b"a\x00", dtype=object))["y"].item() == b"a\x00"


def ragged(folder: Path) -> Path:
    @function(tf.RaggedTensorSpec([None, None], tf.float32))
    def total(rows: Any) -> dict[str, Any]:
        return {"total": tf.reduce_sum(rows, axis=1)}

    return models.save(folder, total)


def sparse(folder: Path) -> Path:
    @function(tf.SparseTensorSpec([None, 3], tf.float32))
    def total(rows: Any) -> dict[str, Any]:
        return {"total": tf.sparse.reduce_sum(rows, axis=1)}

    return models.save(folder, total)


def ragged_answer(folder: Path) -> Path:
    @function(tf.TensorSpec([None], tf.string, name="text"))
    def split(text: Any) -> dict[str, Any]:
        return {"words": tf.strings.split(text)}

    return models.save(folder, split)


@pytest.mark.parametrize("make", [ragged, sparse, ragged_answer])
def test_ragged_and_sparse_tensors_are_refused(tmp_path: Path, make: Any) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"'serving_default' cannot be served: .*(ragged or sparse|Ragged)"):
        models.load(make(tmp_path / "m"))


def test_a_model_without_signatures_is_told_what_to_save(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"no signature to ask.*signatures="):
        models.load(models.save(tmp_path / "m"))


def test_a_signature_that_takes_nothing_cannot_be_asked(tmp_path: Path) -> None:
    @function()
    def constant() -> dict[str, Any]:
        return {"y": tf.constant(1)}

    with pytest.raises(errors.ModelLoadError, match="cannot be served: it takes nothing"):
        models.load(models.save(tmp_path / "m", constant))


def test_the_only_signature_is_the_usual_one_whatever_its_name(tmp_path: Path) -> None:
    model = models.load(models.save(tmp_path / "m", classify=identity(None)))
    assert model.metadata.properties["signature"] == "classify"


def test_one_of_several_signatures_is_chosen_by_the_setting(tmp_path: Path) -> None:
    folder = models.save(tmp_path / "m", a=identity(None), b=identity(None, 2))
    with pytest.raises(
        errors.ModelLoadError, match="several signatures, and none is named serving_default; it has 'a'"
    ):
        models.load(folder)
    with pytest.raises(errors.ModelLoadError, match=r"no signature 'c'; it has 'a', 'b'.*--set signature=a"):
        models.load(folder, signature="c")
    assert models.load(folder, signature="b").metadata.inputs[0].shape == (-1, 2)


@pytest.mark.parametrize(
    ("shapes", "batches"),
    [
        ([(None,), (None, 3)], True),
        ([(None,), (4, 3)], False),
        ([(4,)], False),
        ([()], False),
        ([(None,), ()], False),
    ],
    ids=str,
)
def test_rows_are_joined_where_all_first_dimensions_are_unknown(tmp_path: Path, shapes: Any, batches: bool) -> None:
    @function(*(tf.TensorSpec(shape, tf.float32, name=f"x{place}") for place, shape in enumerate(shapes)))
    def same(*tensors: Any) -> dict[str, Any]:
        return {f"y{place}": tf.identity(each) for place, each in enumerate(tensors)}

    model = models.load(models.save(tmp_path / "m", same))
    assert model.metadata.supports(Capability.BATCHING) is batches
    assert model.metadata.supports(Capability.ANY_THREAD)


@pytest.mark.parametrize("answer", [tf.reduce_sum, lambda x: tf.reduce_sum(x, axis=0)], ids=["0-d", "1-d"])
def test_an_answer_that_has_no_rows_is_not_joined(tmp_path: Path, answer: Any) -> None:
    @function(tf.TensorSpec([None, 3], tf.float32, name="x"))
    def total(x: Any) -> dict[str, Any]:
        return {"total": answer(x)}

    folder = models.save(tmp_path / "m", good=identity(None), total=total)
    assert not models.load(folder, signature="good").metadata.supports(Capability.BATCHING)


def test_a_signature_that_may_not_take_zeros_is_not_held_to_them(tmp_path: Path) -> None:
    model = models.load(models.mean_of_image(tmp_path / "m"))
    assert model.samples() == []
    (note,) = model.notes
    assert note.startswith("The signature 'serving_default' is not tried: it takes no sample of zeros (")


def test_an_answer_stays_what_it_was_when_the_model_changes_its_variable(tmp_path: Path) -> None:
    class Counter(tf.Module):  # type: ignore[misc]  # tensorflow's types are not read
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(tf.zeros(4))

        @function(tf.TensorSpec([None], tf.float32, name="x"))
        def add(self, x: Any) -> dict[str, Any]:
            self.count.assign_add(tf.fill([4], tf.reduce_sum(x)))
            return {"count": self.count.read_value()}

    counter = Counter()
    tf.saved_model.save(counter, str(tmp_path / "m"), signatures=counter.add)
    model = models.load(tmp_path / "m")
    first = models.ask(model, x=np.ones(1, np.float32))["count"]
    second = models.ask(model, x=np.ones(1, np.float32))["count"]
    assert (first.tolist(), second.tolist()) == ([1.0] * 4, [2.0] * 4)


def test_a_saved_model_of_tensorflow_1_is_served(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weight = v1.get_variable("w", initializer=tf.constant([[1.0], [2.0]]))
        y = tf.matmul(x, weight)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    model = models.load(tmp_path / "m", "deny")
    assert models.ask(model, x=[[1, 2]])["y"].tolist() == [[5.0]]
    assert model.metadata.supports(Capability.BATCHING)
