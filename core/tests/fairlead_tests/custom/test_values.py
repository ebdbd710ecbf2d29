"""What the annotation of the first hook makes of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import Datatype, Tensor
from fairlead_tests.custom.asking import ask, tensors

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

REPR = """
class M(CustomModel):
    def predict(self, value: {annotation}) -> str:
        return f"{{type(value).__name__}} {{value!r}}"
"""


def test_an_ndarray_annotation_gives_the_array_of_the_only_input(write: Write, load: Load) -> None:
    model = load(write("class M(CustomModel):\n    def predict(self, x: np.ndarray) -> np.ndarray: return x * 2"))
    response = ask(model, inputs=tensors(x=[[1.0, 2.0]]), id="7")
    assert response.output("output-0").data.tolist() == [[2.0, 4.0]]
    assert (response.model_name, response.id) == ("m", "7")


def test_several_inputs_for_an_ndarray_are_refused_by_name(write: Write, load: Load) -> None:
    model = load(write(REPR.format(annotation="np.ndarray")))
    with pytest.raises(errors.InvalidInput, match=r"takes one input, and the request has 2: 'a', 'b'"):
        ask(model, inputs=tensors(a=[1], b=[2]))


@pytest.mark.parametrize("annotation", ["np.ndarray", "dict[str, np.ndarray]", "pd.DataFrame", "list[str]"])
def test_a_body_that_makes_no_tensors_is_refused_with_what_to_send(write: Write, load: Load, annotation: str) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    with pytest.raises(errors.InvalidInput, match=r"no tensors\. Send instances that are a rectangle"):
        ask(model, payload={"instances": [[1], [1, 2]]})
    with pytest.raises(errors.InvalidInput, match=r"no tensors\.$"):
        ask(model)


@pytest.mark.parametrize("annotation", ["np.ndarray", "dict", "list", "pd.DataFrame"])
def test_a_body_that_was_not_sent_as_json_is_refused_with_its_content_type(
    write: Write, load: Load, annotation: str
) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    form = {"content-type": "application/x-www-form-urlencoded"}
    with pytest.raises(errors.InvalidInput, match=r"got raw bytes\. .*x-www-form-urlencoded; JSON is sent as"):
        ask(model, payload=b'{"instances": [1]}', headers=form)


@pytest.mark.parametrize("given", [np.array([1, 2]), np.array([1.0, 2.0]), np.array([True, False])])
def test_a_dtype_in_the_annotation_is_cast_to(write: Write, load: Load, given: np.ndarray) -> None:
    model = load(
        write("class M(CustomModel):\n    def predict(self, x: NDArray[np.float32]) -> str: return x.dtype.name")
    )
    assert ask(model, inputs=tensors(x=given)).payload == "float32"


@pytest.mark.parametrize(
    ("annotation", "given", "reason"),
    [
        ("NDArray[np.uint8]", [0, 256], "not between 0 and 255"),
        ("NDArray[np.int64]", [1.5], "float64 does not become int64"),
        ("NDArray[np.bool_]", [1, 0], "int64 does not become bool"),
        ("NDArray[np.float16]", [1e9], "too large for float16"),
        ("NDArray[np.floating[Any]]", [1], "it is INT64"),
        ("NDArray[np.float32]", ["a"], "it is BYTES"),
    ],
)
def test_a_number_that_would_not_stay_itself_is_refused(
    write: Write, load: Load, annotation: str, given: list[object], reason: str
) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    with pytest.raises(errors.InvalidInput, match=reason):
        ask(model, inputs=tensors(x=given))


def test_a_dict_of_arrays_is_every_input_by_name(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def predict(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
                return {"sum": x["a"] + x["b"], "difference": x["a"] - x["b"]}
        """)
    )
    response = ask(model, inputs=tensors(a=[3, 4], b=[1, 1]))
    assert [(each.name, each.data.tolist()) for each in response.outputs] == [("sum", [4, 5]), ("difference", [2, 3])]
    assert model.metadata.supports(Capability.COLUMNS)


@pytest.mark.parametrize(
    ("annotation", "expected"), [("list[str]", "list ['ä', 'b']"), ("list[bytes]", "list [b'\\xc3\\xa4', b'b']")]
)
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_list_of_text_is_the_elements_of_a_bytes_tensor(
    write: Write, load: Load, annotation: str, expected: str, shape: tuple[int, ...]
) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    assert ask(model, inputs=tensors(x=np.array(["ä", "b"]).reshape(shape))).payload == expected
    with pytest.raises(errors.InvalidInput, match=r"takes a list of texts; input 'x' is INT64 \[1\]"):
        ask(model, inputs=tensors(x=[1]))


def test_a_dataframe_has_one_column_for_each_input_with_text_decoded(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def predict(self, table: pd.DataFrame) -> pd.DataFrame:
                return pd.DataFrame({"name": table["name"].str.upper(), "age": table["age"] + 1})
        """)
    )
    response = ask(model, inputs=tensors(age=[1, 2], name=[["a"], ["b"]]))
    assert response.output("name").data.tolist() == [b"A", b"B"]
    assert response.output("age").data.tolist() == [2, 3]
    with pytest.raises(errors.InvalidInput, match="columns differ in length"):
        ask(model, inputs=tensors(age=[1, 2], name=["a"]))
    with pytest.raises(errors.InvalidInput, match=r"'age' has the shape \[1, 2\]"):
        ask(model, inputs=tensors(age=[[1, 2]]))


@pytest.mark.parametrize("annotation", ["dict", "dict[str, Any]", "dict[str, list[float]]"])
def test_a_plain_dict_is_the_whole_body_of_a_v1_request(write: Write, load: Load, annotation: str) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    assert model.metadata.supports(Capability.JSON)
    assert ask(model, payload={"text": "a"}).payload == "dict {'text': 'a'}"
    with pytest.raises(errors.InvalidInput, match="takes a JSON object, and got an array"):
        ask(model, payload=[1])


def test_a_typed_dict_is_a_json_object(write: Write, load: Load) -> None:
    model = load(
        write("""
        from typing import TypedDict
        class Ask(TypedDict):
            text: str
        class M(CustomModel):
            def predict(self, body: Ask) -> str:
                return body["text"]
        """)
    )
    assert ask(model, payload={"text": "a"}).payload == "a"


def test_a_plain_list_is_the_instances_of_a_v1_request(write: Write, load: Load) -> None:
    model = load(write(REPR.format(annotation="list[dict[str, Any]]")))
    assert ask(model, payload={"instances": [{"a": 1}]}).payload == "list [{'a': 1}]"
    assert ask(model, payload=[1]).payload == "list [1]"
    with pytest.raises(errors.InvalidInput, match='an object with the array "instances"'):
        ask(model, payload={"text": "a"})


def test_tensors_for_a_model_of_json_are_refused_with_the_way_to_ask_it(write: Write, load: Load) -> None:
    model = load(write(REPR.format(annotation="dict")))
    with pytest.raises(errors.InvalidInput, match=r"takes JSON, and not tensors\. .*POST /v1/models/m:predict"):
        ask(model, inputs=tensors(x=[1]))


@pytest.mark.parametrize(("annotation", "expected"), [("bytes", "bytes b'\\x89PNG'"), ("str", "str 'caf\u00e9'")])
def test_a_raw_body_or_a_single_element_is_bytes_or_text(
    write: Write, load: Load, annotation: str, expected: str
) -> None:
    model = load(write(REPR.format(annotation=annotation)))
    raw = b"\x89PNG" if annotation == "bytes" else "caf\u00e9".encode()
    assert ask(model, payload=raw).payload == expected
    element = Tensor("x", np.array([raw], dtype=object), Datatype.BYTES)
    assert ask(model, inputs=[element]).payload == expected
    with pytest.raises(errors.InvalidInput, match="takes a raw body, and got JSON"):
        ask(model, payload={"instances": []})
    with pytest.raises(errors.InvalidInput, match="got other tensors"):
        ask(model, inputs=tensors(x=["a", "b"]))


@pytest.mark.parametrize("parameter", ["value: InferRequest", "value: Any", "value"])
def test_without_an_annotation_a_hook_gets_the_request(write: Write, load: Load, parameter: str) -> None:
    model = load(write(f"class M(CustomModel):\n    def predict(self, {parameter}): return value.parameters['a']"))
    assert ask(model, inputs=tensors(x=[1]), parameters={"a": "b"}).payload == "b"


def test_preprocess_decides_what_the_client_sends_and_predict_takes_what_it_returns(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def preprocess(self, body: dict[str, Any], headers: dict[str, str]) -> set[int]:
                return {len(body["text"]), int(headers["x-n"])}
            def predict(self, numbers: set[int], parameters: dict[str, Any], request: InferRequest) -> list[int]:
                return [*sorted(numbers), len(parameters), len(request.headers)]
            def postprocess(self, numbers: list[int]) -> dict[str, list[int]]:
                return {"predictions": numbers}
        """)
    )
    assert ask(model, payload={"text": "abc"}, headers={"x-n": "9"}).payload == {"predictions": [3, 9, 0, 1]}


@pytest.mark.parametrize("annotation", ["int", "set[str]", "dict[int, str]", "np.ndarray | None", "NDArray[np.bytes_]"])
def test_an_annotation_that_no_request_becomes_is_an_error_of_the_load(
    write: Write, load: Load, annotation: str
) -> None:
    path = write(REPR.format(annotation=annotation))
    with pytest.raises(errors.ModelLoadError) as caught:
        load(path)
    assert f"{path}:10" in str(caught.value)
    assert "predict takes" in str(caught.value)
    assert "pd.DataFrame" in str(caught.value)


def test_an_annotation_that_only_the_type_checker_can_read_is_an_error_of_the_load(write: Write, load: Load) -> None:
    path = write("""
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import numpy as xp
    class M(CustomModel):
        def predict(self, x: xp.ndarray) -> str: return ""
    """)
    with pytest.raises(errors.ModelLoadError, match=r"annotation of 'x' in predict cannot be resolved.*TYPE_CHECKING"):
        load(path)


def test_other_annotations_need_not_be_readable(write: Write, load: Load) -> None:
    model = load(write("class M(CustomModel):\n    def predict(self, x: list[str]) -> Unknown: return x"))
    assert ask(model, inputs=tensors(x=["a"])).output("output-0").data.tolist() == [b"a"]


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("self", "predict takes no value"),
        ("self, *values", "predict takes no value"),
        ("self, x: np.ndarray, context", "parameter 'context' that nothing is known to give"),
    ],
)
def test_a_signature_that_cannot_be_called_is_an_error_of_the_load(
    write: Write, load: Load, signature: str, reason: str
) -> None:
    with pytest.raises(errors.ModelLoadError, match=reason):
        load(write(f"class M(CustomModel):\n    def predict({signature}): return 1"))
