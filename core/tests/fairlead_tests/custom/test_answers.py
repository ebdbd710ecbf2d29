"""What a hook's return value becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.tensors import Datatype
from fairlead_tests.custom.asking import ask, tensors

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

RETURN = """
class M(CustomModel):
    {declared}
    def predict(self, request):
        return {value}
"""


def returned(write: Write, load: Load, value: str, declared: str = "") -> Any:
    return ask(load(write(RETURN.format(value=value, declared=declared))), inputs=tensors(x=[1, 2]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("np.array([1, 2])", [("output-0", Datatype.INT64, [1, 2])]),
        ("{'a': np.array([1.5]), 'b': np.array(['x'])}", [("a", Datatype.FP64, [1.5]), ("b", Datatype.BYTES, [b"x"])]),
        ("['a', 'ä']", [("output-0", Datatype.BYTES, [b"a", "ä".encode()])]),
        ("[b'a\\0']", [("output-0", Datatype.BYTES, [b"a\0"])]),
        (
            "pd.DataFrame({'a': [1, None], 'b': ['x', 'y']})",
            [("a", Datatype.FP64, [1, np.nan]), ("b", Datatype.BYTES, [b"x", b"y"])],
        ),
        ("pd.Series([1, 2], name='s')", [("s", Datatype.INT64, [1, 2])]),
        ("pd.Series([True])", [("output-0", Datatype.BOOL, [True])]),
        ("pd.DataFrame({'a': pd.array([1, None], dtype='Int64')})", [("a", Datatype.FP64, [1, np.nan])]),
    ],
)
def test_arrays_tables_and_lists_of_text_are_tensors(
    write: Write, load: Load, value: str, expected: list[tuple[str, Datatype, list[Any]]]
) -> None:
    response = returned(write, load, value)
    assert response.payload is None
    assert [(each.name, each.datatype) for each in response.outputs] == [(name, kind) for name, kind, _ in expected]
    for output, (_, _, elements) in zip(response.outputs, expected, strict=True):
        np.testing.assert_array_equal(output.data, np.array(elements, dtype=output.data.dtype))


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("{'predictions': [1]}", {"predictions": [1]}),
        ("[1, 2]", [1, 2]),
        ("'text'", "text"),
        ("b'raw'", b"raw"),
        ("bytearray(b'raw')", b"raw"),
        ("np.float64(1.5)", 1.5),
        ("False", False),
        ("{}", {}),
        ("[]", []),
    ],
)
def test_json_text_and_bytes_are_the_payload(write: Write, load: Load, value: str, payload: object) -> None:
    response = returned(write, load, value)
    assert not response.outputs
    assert response.payload == payload
    assert type(response.payload) is type(payload)


def test_an_infer_response_is_the_answer_as_it_is(write: Write, load: Load) -> None:
    value = "InferResponse(model_name='other', headers={'x-a': 'b'}, outputs=request.inputs)"
    response = returned(write, load, value)
    assert (response.model_name, response.headers) == ("other", {"x-a": "b"})
    assert response.output("x").data.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("None", r"predict returned nothing \(.*model.py:11\)\. Does it lack a return"),
        ("{1, 2}", "a builtins.set is neither"),
        ("np.array([1j])", "no tensor datatype carries numpy arrays of dtype complex128"),
        ("(value for value in (1, 2))", "a builtins.generator is neither"),
        ("__import__('asyncio').sleep(0)", "has to be awaited"),
        ("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "names a column twice: a, a"),
        ("pd.Series(['a', None], name='s')", "column 's' lacks a value"),
    ],
)
def test_what_is_no_answer_is_a_failure_that_names_the_hook_and_its_line(
    write: Write, load: Load, value: str, reason: str
) -> None:
    with pytest.raises(errors.InferenceFailed, match=reason):
        returned(write, load, value)


def test_a_preprocess_that_forgets_to_return_is_named(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def preprocess(self, x: np.ndarray) -> None: ...
            def predict(self, x): return x
        """)
    )
    with pytest.raises(errors.InferenceFailed, match="preprocess returned nothing"):
        ask(model, inputs=tensors(x=[1]))


ONE = "outputs = [TensorSpec('score', Datatype.FP32, (-1,))]"
TWO = "outputs = [TensorSpec('a', Datatype.INT64, (-1,)), TensorSpec('b', Datatype.BYTES, (-1,))]"


@pytest.mark.parametrize(
    "value", ["np.array([1.0, 2.0])", "[1, 2]", "{'score': [1, 2]}", "pd.Series([1, 2], name='s')"]
)
def test_a_declared_output_gives_the_name_and_the_datatype(write: Write, load: Load, value: str) -> None:
    (output,) = returned(write, load, value, ONE).outputs
    assert (output.name, output.datatype, output.data.tolist()) == ("score", Datatype.FP32, [1.0, 2.0])


def test_declared_outputs_come_in_the_declared_order(write: Write, load: Load) -> None:
    response = returned(write, load, "{'b': ['x'], 'a': [1]}", TWO)
    assert [(each.name, each.data.tolist()) for each in response.outputs] == [("a", [1]), ("b", [b"x"])]


@pytest.mark.parametrize(
    ("value", "declared", "reason"),
    [
        ("np.array([[1.0]])", ONE, r"shape \[1, 1\], and 'score' \(FP32 \[-1\]\) is expected"),
        ("['a']", ONE, "is BYTES, and 'score'"),
        ("[[1], [1, 2]]", ONE, "output 'score' is not rectangular"),
        ("{'other': [1]}", ONE, "expected the tensors 'score'.*got 'other'"),
        ("'text'", ONE, "tensors are declared, and it returned a str"),
        ("np.array([1])", TWO, "expected the tensors 'a' .*'b' .*got 'output-0'"),
        ("{'a': [1.5], 'b': ['x']}", TWO, "'a' cannot be INT64: float64 does not become int64"),
    ],
)
def test_an_answer_that_is_not_what_was_declared_is_a_failure(
    write: Write, load: Load, value: str, declared: str, reason: str
) -> None:
    with pytest.raises(errors.InferenceFailed, match=reason):
        returned(write, load, value, declared)


def test_exceptions_of_hooks_reach_the_caller_as_they_are(write: Write, load: Load) -> None:
    model = load(
        write("""
        from fairlead.errors import InvalidInput
        class M(CustomModel):
            def predict(self, x: np.ndarray) -> np.ndarray:
                if x.size > 1:
                    raise InvalidInput("one at a time")
                raise KeyError("weights")
        """)
    )
    with pytest.raises(errors.InvalidInput, match="one at a time"):
        ask(model, inputs=tensors(x=[1, 2]))
    with pytest.raises(KeyError, match="weights"):
        ask(model, inputs=tensors(x=[1]))
