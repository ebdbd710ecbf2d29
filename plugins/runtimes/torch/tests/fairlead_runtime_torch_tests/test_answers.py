"""What a model is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairlead import Capability, Datatype, InferRequest, Tensor, errors
from fairlead_runtime_torch.declared import parse
from fairlead_runtime_torch.model import TorchModel
from fairlead_runtime_torch.program import Parameters, of_module
from fairlead_runtime_torch_tests import modules


def ask(model: TorchModel, *inputs: Tensor) -> dict[str, Tensor]:
    return {each.name: each for each in model.predict(InferRequest(model_name="", inputs=inputs)).outputs}


def model_of(function: Callable[..., Any], inputs: str = "x:FP32[-1,4]") -> TorchModel:
    specs = parse(inputs)
    parameters = Parameters((), variadic=True)
    return TorchModel(of_module(modules.Function(function), parameters, specs, "a function"), torch.device("cpu"))


def rows(array: Any = modules.ROWS, name: str = "x") -> Tensor:
    return modules.tensor(array, name)


def test_numbers_of_json_become_those_of_the_model(exported: Path) -> None:
    answer = ask(modules.load(exported), rows(modules.ROWS.astype(np.float64)))["output-0"]
    np.testing.assert_allclose(answer.data, modules.expected(), rtol=1e-6)
    assert answer.datatype is Datatype.FP32


def test_numbers_for_torchscript_whose_inputs_are_not_known_become_those_of_its_weights(scripted: Path) -> None:
    model = modules.load(scripted)
    answer = ask(model, rows(modules.ROWS.astype(np.float64), "any"))["output-0"]
    np.testing.assert_allclose(answer.data, modules.expected(), rtol=1e-6)
    assert model.metadata.inputs == ()
    assert not model.samples()
    assert "setting inputs" in model.untried


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([rows(name="x"), rows(name="y")], "the request has 'x', 'y'"),
        ([], "the request has none"),
        ([rows([["a"]])], "is BYTES"),
        ([rows(modules.ROWS[:, :2])], "shapes cannot be multiplied"),
    ],
    ids=["unknown", "none", "text", "width"],
)
def test_a_wrong_request_for_torchscript_is_the_clients_fault(
    scripted: Path, inputs: list[Tensor], expected: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=expected) as caught:
        ask(modules.load(scripted), *inputs)
    assert "\n" not in str(caught.value)  # nothing of the traceback of TorchScript, which has paths of the server


def test_whole_numbers_that_a_model_without_declared_inputs_does_not_take_are_told_of(scripted: Path) -> None:
    sent = rows(np.array([[80, 3, 10, 1]]))
    with pytest.raises(errors.InvalidInput, match="same dtype") as caught:
        ask(modules.load(scripted), sent)
    assert "x came as whole numbers" in str(caught.value)
    assert "send 80.0 in place of 80" in str(caught.value)
    assert "--set 'inputs=x:FP32[-1,4]'" in str(caught.value)
    answer = ask(modules.load(scripted, inputs="x:FP32[-1,4]"), sent)["output-0"]
    np.testing.assert_allclose(answer.data, modules.expected(sent.data.astype(np.float32)), rtol=1e-6)


def test_bfloat16_comes_and_goes_as_such() -> None:
    model = model_of(lambda x: x + 1, "x:BF16[-1,2]")
    answer = ask(model, Tensor("x", np.array([[1.0, 2.0]], dtype=np.float32), Datatype.BF16))["output-0"]
    assert answer.datatype is Datatype.BF16
    assert answer.data.tolist() == [[2.0, 3.0]]
    assert model.metadata.outputs[0].datatype is Datatype.BF16


@pytest.mark.parametrize("datatype", [each for each in Datatype if each not in (Datatype.BYTES, Datatype.BF16)])
def test_every_datatype_of_numbers_comes_and_goes(datatype: Datatype) -> None:
    data = np.array([[0, 1]]).astype(datatype.numpy)
    answer = ask(model_of(lambda x: x.clone(), f"x:{datatype}[-1,2]"), Tensor("x", data, datatype))["output-0"]
    assert (answer.datatype, answer.data.dtype) == (datatype, datatype.numpy)
    assert np.array_equal(answer.data, data)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: (x, x.sum(-1)), ["output-0", "output-1"]),
        (lambda x: {"logits": x, "loss": None}, ["logits"]),
        (lambda x: modules.Scores(x, x.argmax(-1)), ["logits", "best"]),
        (lambda x: [x.to_sparse(), 3], ["output-0", "output-1"]),
    ],
    ids=["tuple", "dictionary", "named", "sparse and a number"],
)
def test_outputs_are_named_as_the_module_names_them(function: Callable[..., Any], names: list[str]) -> None:
    model = model_of(function)
    answer = ask(model, rows())
    assert [*answer] == names == [spec.name for spec in model.metadata.outputs]
    assert np.array_equal(answer[names[0]].data, modules.ROWS)


@pytest.mark.parametrize(
    "function",
    [lambda x: {"a": [x]}, lambda _: "text", lambda _: (), lambda x: x.to(torch.complex64)],
    ids=["nested", "text", "empty", "complex"],
)
def test_an_answer_that_is_no_tensors_is_an_error_that_says_so(function: Callable[..., Any]) -> None:
    with pytest.raises(errors.InferenceFailed, match=r"The model returned"):
        ask(model_of(function), rows())


def test_a_program_that_returns_what_is_nested_does_not_load(tmp_path: Path) -> None:
    path = modules.export(modules.Function(lambda x: {"a": [x + 1]}), tmp_path / "model.pt2", torch.zeros(2, 4))
    with pytest.raises(errors.ModelLoadError, match="none of these inside another"):
        modules.load(path)


def test_a_model_that_writes_to_its_input_writes_to_a_copy(exported_several: Path) -> None:
    data = np.ones((2, 3), dtype=np.float32)
    data.flags.writeable = False
    names = ("args_0", "args_1_0", "args_1_1")
    answer = ask(modules.load(exported_several), *(rows(data, name) for name in names))
    assert answer["sum"].data.tolist() == [[3.0] * 3] * 2
    assert answer["half"].datatype is Datatype.FP16
    assert data.tolist() == [[1.0] * 3] * 2


def test_a_program_that_writes_to_nothing_is_given_the_clients_memory_itself(exported: Path) -> None:
    model = modules.load(exported)
    data = np.frombuffer(modules.ROWS.tobytes(), dtype=np.float32).reshape(3, 4)
    assert model._transfer.to_device(data, Datatype.FP32).data_ptr() == data.ctypes.data


def test_an_answer_that_the_module_keeps_and_writes_to_again_is_a_copy() -> None:
    kept = torch.zeros(3, 4)
    model = model_of(lambda x: kept.copy_(x) if len(x) == 3 else x)
    first = ask(model, rows())["output-0"]
    ask(model, rows(modules.ROWS + 1))
    assert np.array_equal(first.data, modules.ROWS)


def test_more_rows_than_a_program_takes_are_answered_one_part_after_another(tmp_path: Path) -> None:
    model = modules.load(modules.export_net(tmp_path / "model.pt2", min=1, max=2))
    assert model.metadata.supports(Capability.BATCHING)
    many = np.concatenate([modules.ROWS, modules.ROWS])[:5]
    np.testing.assert_allclose(ask(model, rows(many))["output-0"].data, modules.expected(many), rtol=1e-6)


def test_a_program_of_a_fixed_number_of_rows_takes_that_number_alone(tmp_path: Path) -> None:
    model = modules.load(modules.export(modules.made(), tmp_path / "model.pt2", torch.zeros(3, 4)))
    assert not model.metadata.supports(Capability.BATCHING)
    np.testing.assert_allclose(ask(model, rows())["output-0"].data, modules.expected(), rtol=1e-6)
    with pytest.raises(errors.InvalidInput, match=r"expected 'x' FP32 \[3, 4\]"):
        ask(model, rows(modules.ROWS[:2]))


def test_what_a_module_refuses_after_its_sample_is_the_clients_fault_and_before_it_is_not() -> None:
    picky = model_of(lambda x: torch.embedding(torch.zeros(3, 2), x.long()), "x:INT64[-1]")
    with pytest.raises(errors.InvalidInput, match="IndexError"):
        ask(picky, rows(np.array([7])))
    with pytest.raises(RuntimeError, match="never"):
        ask(model_of(_never), rows())


def _never(x: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("it never answers")


def test_an_example_of_the_export_is_the_sample(tmp_path: Path) -> None:
    module = modules.Function(lambda x: torch.embedding(torch.zeros(9, 2), x))
    path = modules.export(module, tmp_path / "model.pt2", torch.tensor([7, 8]))
    (sample,) = modules.load(path).samples()
    assert sample.inputs[0].data.tolist() == [7, 8]


def test_a_program_exported_in_training_mode_says_so(tmp_path: Path) -> None:
    path = modules.export(torch.nn.Dropout().train(), tmp_path / "model.pt2", torch.zeros(2, 4))
    assert any("training mode" in note for note in modules.load(path).notes)


def test_a_class_names_its_outputs_and_an_input_with_a_default_may_be_left_out(tmp_path: Path) -> None:
    outputs = "outputs = [TensorSpec('p', Datatype.FP32, (-1, 3))]"
    source = modules.CLASS.replace(
        "(-1, 4))]", f"(-1, 4)), TensorSpec('scale', Datatype.FP32, (-1, 1))]\n    {outputs}"
    ).replace("(self, x):\n        return", "(self, x, scale=1):\n        return scale *")
    model = modules.load(modules.weights(tmp_path, source=source))
    answer = ask(model, rows())["p"]
    np.testing.assert_allclose(answer.data, modules.expected(), rtol=1e-6)
    twice = ask(model, rows(), rows(np.full((3, 1), 2.0, dtype=np.float32), "scale"))["p"]
    np.testing.assert_allclose(twice.data, 2 * modules.expected(), rtol=1e-6)


def test_a_class_that_declares_another_number_of_outputs_does_not_answer(tmp_path: Path) -> None:
    source = modules.CLASS.replace(
        "(-1, 4))]", "(-1, 4))]\n    outputs = [TensorSpec(name, Datatype.FP32, (-1, 3)) for name in ('a', 'b')]"
    )
    with pytest.raises(errors.InferenceFailed, match="declares 2: a, b"):
        ask(modules.load(modules.weights(tmp_path, source=source)), rows())
