"""Class attributes of a model: inputs, outputs, batching, and the sample that it must answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import Capability, Model
from fairlead.contracts.tensors import Datatype, TensorSpec
from fairlead_tests.custom.asking import answer, ask, tensors

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

DECLARED = """
class M(CustomModel):
    inputs = (TensorSpec("x", Datatype.FP32, (-1, 2)),)
    outputs = (TensorSpec("y", Datatype.FP32, (-1,)),)
    def predict(self, x: np.ndarray) -> np.ndarray:
        assert x.dtype == np.float32
        return x.sum(axis=1)
"""

TABLE = """
class M(CustomModel):
    inputs = (TensorSpec("b", Datatype.FP64, (-1,)), TensorSpec("a", Datatype.FP64, (-1,)))
    def predict(self, table: pd.DataFrame) -> np.ndarray:
        assert list(table.columns) == ["b", "a"]
        return (table["b"] - table["a"]).to_numpy()
"""


def test_metadata_shows_what_is_declared_and_a_sample_is_made_from_it(write: Write, load: Load) -> None:
    model = load(write(DECLARED))
    assert model.metadata.inputs == (TensorSpec("x", Datatype.FP32, (-1, 2)),)
    assert model.metadata.platform == "python"
    (sample,) = model.samples()
    assert answer(model, sample).output("y").data.tolist() == [0.0]


def test_numbers_are_cast_to_the_declared_datatype(write: Write, load: Load) -> None:
    assert ask(load(write(DECLARED)), inputs=tensors(x=[[1, 2]])).output("y").data.tolist() == [3.0]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (tensors(y=[[1, 2]]), r"expected the tensors 'x' \(FP32 \[-1, 2\]\), and got 'y'"),
        (tensors(x=[[1, 2]], y=[1]), "got 'x', 'y'"),
        (tensors(x=[1, 2]), r"'x' has the shape \[2\], and 'x' \(FP32 \[-1, 2\]\) is expected"),
        (tensors(x=[[1, 2, 3]]), r"has the shape \[1, 3\]"),
        (tensors(x=[["a", "b"]]), "'x' is BYTES"),
        ([], "the request has no tensors"),
    ],
)
def test_a_request_that_is_not_what_is_declared_is_refused(
    write: Write, load: Load, given: list[object], reason: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=reason):
        ask(load(write(DECLARED)), inputs=given)


def test_inputs_may_be_declared_while_loading(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def load(self) -> None:
                self.inputs = [TensorSpec("x", Datatype.INT8, (3,))]
            def predict(self, x: np.ndarray) -> np.ndarray: return x
        """)
    )
    assert model.metadata.inputs[0].datatype is Datatype.INT8


def test_columns_come_in_the_declared_order_whether_named_or_not(write: Write, load: Load) -> None:
    model = load(write(TABLE))
    assert ask(model, inputs=tensors(a=[1], b=[3])).output("output-0").data.tolist() == [2.0]
    rows = {"instances": [[3, 1], [5, 1]]}
    response = ask(model, inputs=tensors(**{"input-0": rows["instances"]}), payload=rows)
    assert response.output("output-0").data.tolist() == [2.0, 4.0]
    with pytest.raises(errors.InvalidInput, match="expected the tensors 'b'"):
        ask(model, inputs=tensors(**{"input-0": [[3, 1, 1]]}), payload={"instances": [[3, 1, 1]]})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("np.ndarray", "np.ones((2, 2))"),
        ("dict[str, np.ndarray]", "{'a': np.ones(2)}"),
        ("list[str]", "['a']"),
        ("list[bytes]", "[b'a']"),
        ("pd.DataFrame", "pd.DataFrame({'a': [1], 'b': ['x']})"),
        ("dict", "{'text': 'a'}"),
        ("list", "[1, 2]"),
        ("bytes", "b'raw'"),
        ("str", "'text'"),
        ("InferRequest", "InferRequest(model_name='', payload=1)"),
        ("np.ndarray", "InferRequest(model_name='', inputs=[Tensor.from_numpy('x', np.ones(1))])"),
    ],
)
def test_a_sample_is_written_as_the_value_that_the_first_hook_takes(
    write: Write, load: Load, annotation: str, value: str
) -> None:
    model = load(
        write(f"""
        class M(CustomModel):
            def sample(self): return {value}
            def predict(self, value: {annotation}): return type(value).__name__
        """)
    )
    (sample,) = model.samples()
    assert answer(model, sample).payload == annotation.partition("[")[0].rpartition(".")[-1]


def test_a_sample_of_another_kind_fails_with_what_is_expected(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def sample(self): return [1]
            def predict(self, x: np.ndarray): return x
        """)
    )
    with pytest.raises(
        errors.SampleFailed, match=r"returned a value that is a list, not a ndarray \(.*Return what predict"
    ):
        model.samples()


def test_a_sample_that_raises_is_named_with_its_line(write: Write, load: Load) -> None:
    path = write("""
    class M(CustomModel):
        def sample(self): return self.vocabulary[0]
        def predict(self, x: list[str]): return x
    """)
    with pytest.raises(errors.SampleFailed, match=r"sample raises AttributeError: .*model\.py:10"):
        load(path).samples()


@pytest.mark.parametrize(
    ("attribute", "capability"), [("batching", Capability.BATCHING), ("any_thread", Capability.ANY_THREAD)]
)
def test_what_a_model_declares_of_itself_is_a_capability(
    write: Write, load: Load, attribute: str, capability: Capability
) -> None:
    source = f"class M(CustomModel):\n    {attribute} = True\n    def predict(self, x: np.ndarray): return x"
    model = load(write(source))
    assert isinstance(model, Model)
    assert model.metadata.capabilities == {capability}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("batching = True\n    async def predict(self, x: np.ndarray): return x", "a hook is async"),
        ("any_thread = True\n    async def predict(self, x: np.ndarray): return x", "a hook is async"),
        ("batching = True\n    def predict(self, x: dict): return x", "takes JSON or a raw body"),
        ("batching = True\n    def predict(self, x: np.ndarray, headers): return x", "a hook takes headers"),
        ("inputs = ['x']\n    def predict(self, x: np.ndarray): return x", "`inputs` is not a sequence of TensorSpec"),
        (
            "outputs = [TensorSpec('x', Datatype.FP32, (1,))] * 2\n    def predict(self, x): return x",
            "`outputs` names a tensor twice: x, x",
        ),
        (
            "inputs = [TensorSpec('x', Datatype.FP32, (1,))]\n    def predict(self, x: dict): return x",
            "describes tensors, and the model takes JSON",
        ),
        ("def predict(self, x: np.ndarray): return x\n    def explain(self, x: dict): return x", "annotate both alike"),
        ("def predict(self, x): return x\n    async def sample(self): return 1", "`sample` is async"),
        ("def postprocess(self, x): return x", "M defines no predict"),
        ("predict = 3", "M.predict is a int, not a method"),
        ("def predict(self, x): yield x", "predict is a generator"),
        ("async def predict(self, x): yield x", "predict is a generator"),
    ],
)
def test_a_class_that_contradicts_itself_does_not_load(write: Write, load: Load, body: str, reason: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=reason):
        load(write(f"class M(CustomModel):\n    {body}\n"))


def test_explain_runs_between_preprocess_and_postprocess(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def preprocess(self, body: dict): return body["n"]
            def predict(self, n): return n
            def explain(self, n): return n * 10
            def postprocess(self, n): return {"n": n + 1}
        """)
    )
    assert isinstance(model, Model)
    assert model.metadata.supports(Capability.EXPLAIN)
    request = next(iter(load(write(DECLARED, "other.py")).samples()))
    request.payload = {"n": 1}
    assert model.predict(request).payload == {"n": 2}
    assert model.explain(request).payload == {"n": 11}


def test_a_model_without_explain_says_that_it_does_not_explain(write: Write, load: Load) -> None:
    model = load(write(DECLARED))
    assert isinstance(model, Model)
    with pytest.raises(errors.NotSupported):
        model.explain(next(iter(model.samples())))


def test_a_received_view_is_handed_on_without_a_copy(write: Write, load: Load) -> None:
    received = np.frombuffer(np.arange(4.0).tobytes())
    model = load(write("class M(CustomModel):\n    def predict(self, x: np.ndarray): return x[1:]"))
    assert np.shares_memory(ask(model, inputs=tensors(x=received)).output("output-0").data, received)
