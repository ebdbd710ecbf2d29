"""What models of rows take, and how a request is read as that."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader

CITY = Feature("city", Datatype.BYTES, "Oslo", Certainty.KNOWN)
AGE = Feature("age", Datatype.FP32, 1.0, Certainty.KNOWN)
NOTE = Feature("note", Datatype.FP32, 1.0, Certainty.ASSUMED)

TEXT = Table(Kind.TEXT, word="good")
PLACES = Table(Kind.MATRIX, tuple(Feature(f"x{place}", Datatype.FP32, 1.0, Certainty.KNOWN) for place in range(3)))
NAMED = Table(Kind.MATRIX, (AGE, NOTE), named=True)
MIXED = Table(Kind.TABLE, (CITY, AGE), named=True)
ANYTHING = Table(Kind.MATRIX)


def tensor(name: str, values: Any, dtype: str | None = None) -> Tensor:
    return Tensor.from_numpy(name, np.asarray(values, dtype=dtype))


def read(
    table: Table, *inputs: Tensor, framed: bool = False, fill_missing: bool = False, is_table: bool = False
) -> Any:
    parameters: dict[str, Any] = {"content_type": "pd"} if is_table else {}
    request = InferRequest(model_name="m", inputs=inputs, parameters=parameters)
    return TableReader(table, framed=framed, fill_missing=fill_missing).read(request)


def refused(table: Table, *inputs: Tensor, **how: bool) -> str:
    with pytest.raises(errors.InvalidInput) as caught:
        read(table, *inputs, **how)
    return str(caught.value)


# -- what a model says of itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "specs"),
    [
        (TEXT, [TensorSpec("input-0", Datatype.BYTES, (-1,))]),
        (PLACES, [TensorSpec("input-0", Datatype.FP32, (-1, 3))]),
        (NAMED, [TensorSpec("input-0", Datatype.FP32, (-1, 2))]),
        (MIXED, [TensorSpec("city", Datatype.BYTES, (-1,)), TensorSpec("age", Datatype.FP32, (-1,))]),
        (ANYTHING, [TensorSpec("input-0", Datatype.FP64, (-1, -1))]),
    ],
    ids=["text", "places", "names", "columns", "anything"],
)
def test_inputs_are_the_columns_of_a_table_or_one_matrix(table: Table, specs: list[TensorSpec]) -> None:
    assert list(table.input_specs()) == specs


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (TEXT, "one BYTES tensor of shape [-1]"),
        (PLACES, "one tensor of shape [-1, 3]"),
        (NAMED, "one tensor of shape [-1, 2], or the columns 'age', 'note'"),
        (MIXED, "the columns 'city', 'age'"),
        (ANYTHING, "one tensor of shape [-1, -1]"),
    ],
    ids=["text", "places", "names", "columns", "anything"],
)
def test_a_table_tells_a_client_what_to_send(table: Table, expected: str) -> None:
    assert str(table) == expected


@pytest.mark.parametrize("table", [TEXT, PLACES, NAMED, MIXED], ids=["text", "places", "names", "columns"])
def test_a_sample_has_the_declared_inputs_and_is_read(table: Table) -> None:
    (sample,) = table.samples()
    declared = [(spec.name, spec.datatype) for spec in table.input_specs()]
    assert [(each.name, each.datatype) for each in sample.inputs] == declared
    assert len(TableReader(table, framed=table.named).read(sample)) == 1


def test_there_is_no_sample_where_a_feature_is_not_known() -> None:
    unknown = Feature("x", Datatype.FP64, 1.0, Certainty.UNKNOWN)
    assert Table(Kind.MATRIX, (AGE, unknown)).samples() == []
    assert ANYTHING.samples() == []


# -- matrices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?"])
def test_a_matrix_is_passed_as_it_was_sent_and_not_copied(dtype: str) -> None:
    sent = tensor("anything", np.ones((2, 3)), dtype)
    assert read(PLACES, sent) is sent.data


def test_a_matrix_of_short_floats_is_widened() -> None:
    found = read(PLACES, tensor("x", [[1.0, 2.0, 3.0]], "f2"))
    assert found.dtype == np.float32
    assert found.tolist() == [[1.0, 2.0, 3.0]]


def test_a_matrix_without_rows_stays_one() -> None:
    assert read(PLACES, tensor("x", np.empty((0, 3)))).shape == (0, 3)
    assert read(NAMED, tensor("x", np.empty((0, 2))), framed=True).shape == (0, 2)


def test_a_matrix_for_a_model_of_frames_gets_the_names_by_place() -> None:
    found = read(NAMED, tensor("x", [[1.0, 2.0]]), framed=True)
    pd.testing.assert_frame_equal(found, pd.DataFrame({"age": [1.0], "note": [2.0]}))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 1, 3), ()])
def test_another_shape_is_refused_with_the_expected_and_the_given(shape: tuple[int, ...]) -> None:
    message = refused(PLACES, tensor("x", np.ones(shape)))
    assert "takes rows of 3 features: expected one tensor of shape [-1, 3]" in message
    assert f"got 'x' FP64 {list(shape)}" in message


def test_a_model_of_unknown_width_takes_any_matrix_and_no_other_rank() -> None:
    assert read(ANYTHING, tensor("x", np.ones((1, 7)))).shape == (1, 7)
    assert "rows of several features" in refused(ANYTHING, tensor("x", [1.0]))


def test_a_request_without_tensors_is_refused() -> None:
    assert refused(PLACES) == "The request holds no tensors for this model; expected one tensor of shape [-1, 3]."


# -- columns --------------------------------------------------------------------------------------------


@given(st.permutations(["a", "b", "c", "d"]), st.booleans(), st.integers(0, 3))
def test_columns_are_put_in_the_order_of_the_model_however_they_come(order: list[str], framed: bool, rows: int) -> None:
    table = Table(Kind.MATRIX, tuple(Feature(name, Datatype.FP64, 1.0, Certainty.KNOWN) for name in "abcd"), named=True)
    values = np.arange(4.0 * rows).reshape(rows, 4)
    found = read(table, *(tensor(name, values[:, "abcd".index(name)]) for name in order), framed=framed)
    assert np.asarray(found).tolist() == values.tolist()


def test_columns_of_text_and_numbers_become_a_frame_of_both() -> None:
    found = read(MIXED, tensor("age", [[7], [8]], "i8"), tensor("city", ["Oslo", "Rome"]), framed=True)
    assert list(found.columns) == ["city", "age"]
    assert (found.dtypes["city"], found.dtypes["age"]) == (np.dtype(object), np.dtype("i8"))
    assert found.to_numpy().tolist() == [["Oslo", 7], ["Rome", 8]]


def test_columns_of_text_and_numbers_become_a_matrix_of_objects() -> None:
    found = read(MIXED, tensor("city", ["Oslo"]), tensor("age", [7.0]))
    assert found.dtype == object
    assert found.tolist() == [["Oslo", 7.0]]


def test_missing_and_unknown_columns_are_named_together() -> None:
    message = refused(MIXED, tensor("ctiy", ["Oslo"]), tensor("age", [1.0]))
    assert "lacks the columns 'city' and has columns that the model does not know: 'ctiy'" in message
    assert message.endswith("expected the columns 'city', 'age'.")


def test_columns_of_several_lengths_ranks_or_of_one_name_are_refused() -> None:
    assert "of one n; got" in refused(MIXED, tensor("city", ["Oslo"]), tensor("age", [1.0, 2.0]))
    assert "of one n; got" in refused(MIXED, tensor("city", [["Oslo", "Rome"]]), tensor("age", [1.0]))
    assert "have the same name" in refused(MIXED, tensor("age", [1.0]), tensor("age", [1.0]))


def test_a_column_of_the_wrong_kind_is_refused_where_the_model_is_known_to_take_no_other() -> None:
    assert "Column 'age' takes numbers, got BYTES" in refused(MIXED, tensor("city", ["a"]), tensor("age", ["b"]))
    assert "Column 'city' takes text (BYTES), got FP64" in refused(MIXED, tensor("city", [1.0]), tensor("age", [1.0]))
    assert read(NAMED, tensor("age", [1.0]), tensor("note", ["b"])).tolist() == [[1.0, "b"]]


def test_a_table_for_features_without_names_is_taken_by_place() -> None:
    columns = [tensor(name, [float(place)]) for place, name in enumerate("qrs")]
    assert read(PLACES, *columns, is_table=True).tolist() == [[0.0, 1.0, 2.0]]
    assert "The table has 2 columns, and the model takes 3" in refused(PLACES, *columns[:2], is_table=True)
    assert "does not know: 'q', 'r', 's'" in refused(PLACES, *columns)


def test_the_names_that_stand_for_places_are_known() -> None:
    columns = [tensor(f"x{place}", [float(place)]) for place in (2, 0, 1)]
    assert read(PLACES, *columns).tolist() == [[0.0, 1.0, 2.0]]
    assert read(PLACES, *columns, is_table=True).tolist() == [[0.0, 1.0, 2.0]]


def test_a_model_that_knows_no_columns_takes_a_table_as_a_frame_and_nothing_else() -> None:
    columns = [tensor("a", [1.0]), tensor("b", ["x"])]
    assert read(ANYTHING, *columns, is_table=True).to_numpy().tolist() == [[1.0, "x"]]
    assert "takes one matrix; got 'a' FP64 [1], 'b' BYTES [1]" in refused(ANYTHING, *columns)


def test_a_column_that_is_all_of_a_table_is_known_by_its_name() -> None:
    alone = Table(Kind.MATRIX, (AGE,), named=True)
    assert read(alone, tensor("age", [1.0, 2.0])).tolist() == [[1.0], [2.0]]
    assert "rows of 1 features" in refused(alone, tensor("agee", [1.0, 2.0]))


# -- columns that are missing ---------------------------------------------------------------------------


@given(st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1), st.booleans())
def test_columns_that_a_request_lacks_are_filled_where_the_library_takes_missing_values(
    sent: set[str], framed: bool
) -> None:
    table = Table(Kind.MATRIX, tuple(Feature(name, Datatype.FP32, 1.0, Certainty.KNOWN) for name in "abcd"), named=True)
    found = np.asarray(read(table, *(tensor(name, [1.0, 2.0]) for name in sent), framed=framed, fill_missing=True))
    assert found.shape == (2, 4)
    for place, name in enumerate("abcd"):
        expected = [1.0, 2.0] if name in sent else [np.nan, np.nan]
        np.testing.assert_array_equal(found[:, place], expected)


def test_a_filled_column_of_text_holds_missing_objects() -> None:
    found = read(MIXED, tensor("age", [1.0]), framed=True, fill_missing=True)
    assert found.dtypes["city"] == np.dtype(object)
    assert found["city"].isna().all()


def test_an_unknown_column_is_refused_even_where_missing_ones_are_filled() -> None:
    message = refused(NAMED, tensor("age", [1.0]), tensor("nose", [1.0]), fill_missing=True)
    assert "has columns that the model does not know: 'nose'" in message
    assert "lacks" not in message


def test_the_names_that_stand_for_places_may_be_missing_too() -> None:
    found = read(PLACES, tensor("x2", [5.0]), tensor("x0", [3.0]), fill_missing=True, is_table=True)
    np.testing.assert_array_equal(found, [[3.0, np.nan, 5.0]])


# -- text -----------------------------------------------------------------------------------------------


def test_text_is_read_as_a_list_of_strings() -> None:
    assert read(TEXT, tensor("x", ["good", "böse"])) == ["good", "böse"]
    assert read(TEXT, tensor("x", [["good"], ["bad"]])) == ["good", "bad"]
    assert read(TEXT, Tensor("x", np.empty(0, dtype=object), Datatype.BYTES)) == []


@pytest.mark.parametrize(
    "inputs",
    [[tensor("x", [1.0])], [tensor("x", [["a", "b"]])], [tensor("x", ["a"]), tensor("y", ["b"])]],
    ids=["numbers", "a matrix", "two tensors"],
)
def test_text_models_refuse_everything_else(inputs: list[Tensor]) -> None:
    assert "The model takes text: expected one BYTES tensor of shape [-1]" in refused(TEXT, *inputs)


def test_text_that_is_not_utf_8_is_refused() -> None:
    broken = Tensor("x", np.array([b"\xff"], dtype=object), Datatype.BYTES)
    assert "not UTF-8" in refused(TEXT, broken)


# -- without pandas -------------------------------------------------------------------------------------

WITHOUT_PANDAS = """
import sys
sys.modules["pandas"] = None
from fairlead import Datatype, errors
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader
table = Table(Kind.MATRIX, (Feature("age", Datatype.FP32, 1.0, Certainty.KNOWN),), named=True)
print(TableReader(table, framed=False).read(table.samples()[0]).tolist())
try:
    TableReader(table, framed=True)
except errors.ModelLoadError as error:
    print(error)
"""


def test_without_pandas_matrices_are_read_and_a_model_of_frames_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], check=True, capture_output=True, text=True)
    matrix, message = done.stdout.splitlines()
    assert matrix == "[[1.0]]"
    assert "pandas is not installed. Try: pip install pandas" in message
