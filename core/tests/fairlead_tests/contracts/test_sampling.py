from __future__ import annotations

import pytest

from fairlead import Capability, Datatype, ModelMetadata, TensorSpec
from fairlead.contracts import sampling


def metadata(*inputs: TensorSpec, columns: bool = False) -> ModelMetadata:
    return ModelMetadata(inputs=inputs, capabilities=frozenset({Capability.COLUMNS} if columns else ()))


def test_free_dimensions_become_one_and_fixed_ones_stay() -> None:
    (request,) = sampling.from_metadata(metadata(TensorSpec("x", Datatype.FP32, (-1, 3, -1, 2))))
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", Datatype.FP32, (1, 3, 1, 2))
    assert not tensor.data.any()


@pytest.mark.parametrize("datatype", list(Datatype))
def test_every_datatype_has_a_sample(datatype: Datatype) -> None:
    (request,) = sampling.from_metadata(metadata(TensorSpec("x", datatype, (-1, 2))))
    (tensor,) = request.inputs
    assert tensor.data.dtype == datatype.numpy
    assert tensor.data.tolist() == [[b"", b""] if datatype is Datatype.BYTES else [0, 0]]


def test_the_inputs_of_a_table_are_marked_as_its_columns() -> None:
    specs = (TensorSpec("city", Datatype.BYTES, (-1,)), TensorSpec("age", Datatype.FP64, (-1,)))
    (table,) = sampling.from_metadata(metadata(*specs, columns=True))
    assert table.columns
    assert [tensor.name for tensor in table.inputs] == ["city", "age"]
    (tensors,) = sampling.from_metadata(metadata(*specs))
    assert not tensors.columns


def test_one_matrix_is_no_table() -> None:
    (request,) = sampling.from_metadata(metadata(TensorSpec("x", Datatype.FP64, (-1, 4)), columns=True))
    assert not request.columns


def test_without_inputs_there_is_no_sample() -> None:
    assert sampling.from_metadata(ModelMetadata()) == ()


def test_a_sample_that_would_be_huge_is_not_made() -> None:
    small = TensorSpec("x", Datatype.FP32, (-1, 3, 224, 224))
    huge = TensorSpec("y", Datatype.FP32, (-1, 3, 65536, 65536))
    assert len(sampling.from_metadata(metadata(small))) == 1
    assert sampling.from_metadata(metadata(small, huge)) == ()


def test_a_dimension_of_zero_stays_empty() -> None:
    (request,) = sampling.from_metadata(metadata(TensorSpec("x", Datatype.INT64, (0, 4))))
    assert request.inputs[0].shape == (0, 4)
