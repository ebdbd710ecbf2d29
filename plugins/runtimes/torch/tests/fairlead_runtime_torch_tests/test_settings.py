"""The runtime's settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fairlead import Capability, Datatype, InferRequest, TensorSpec, errors
from fairlead_runtime_torch import declared
from fairlead_runtime_torch_tests import modules

# torch.compile imports a module of torch that uses TorchScript, which torch deprecates.
compiles = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_declared_inputs_are_read_from_text() -> None:
    assert declared.parse(" x:FP32[-1,3, 224,224]; mask.1:BOOL[-1],scale:FP64[] ") == (
        TensorSpec("x", Datatype.FP32, (-1, 3, 224, 224)),
        TensorSpec("mask.1", Datatype.BOOL, (-1,)),
        TensorSpec("scale", Datatype.FP64, ()),
    )
    assert declared.parse("") == ()


@pytest.mark.parametrize(
    "text", ["x", "x:FP32", "x:FP99[1]", "x:BYTES[1]", "x:FP32[a]", "x:FP32[-2]", "x:FP32[1,,2]", "x:FP32[1];x:FP32[1]"]
)
def test_declared_inputs_of_another_form_are_an_error(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="setting inputs"):
        declared.parse(text)


def test_declared_inputs_make_torchscript_a_model_with_a_sample_and_with_outputs(scripted: Path) -> None:
    model = modules.load(scripted, inputs="x:FP32[-1,4]")
    assert model.metadata.inputs == (TensorSpec("x", Datatype.FP32, (-1, 4)),)
    assert model.metadata.outputs == (TensorSpec("output-0", Datatype.FP32, (-1, 3)),)
    assert model.metadata.supports(Capability.BATCHING)
    assert model.samples()


def test_declared_inputs_of_other_names_are_given_by_position(scripted: Path) -> None:
    model = modules.load(scripted, inputs="image:FP32[-1,4]")
    answer = model.predict(InferRequest(model_name="", inputs=[modules.tensor(modules.ROWS, "image")]))
    np.testing.assert_allclose(answer.outputs[0].data, modules.expected(), rtol=1e-6)


def test_a_program_tells_its_inputs_itself(exported: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="tells its inputs itself"):
        modules.load(exported, inputs="x:FP32[-1,4]")


def test_batching_can_be_switched_off_and_on(exported: Path, scripted: Path, tmp_path: Path) -> None:
    assert not modules.load(exported, batching="false").metadata.supports(Capability.BATCHING)
    assert modules.load(scripted, batching="true").metadata.supports(Capability.BATCHING)
    fixed = modules.export(modules.made(), tmp_path / "model.pt2", torch.zeros(3, 4))
    with pytest.raises(errors.ConfigurationError, match="first axis"):
        modules.load(fixed, batching="true")


@pytest.mark.parametrize("name", ["nothing", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are(scripted: Path, name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="cpu"):
        modules.load(scripted, device=name)


def test_the_device_is_chosen_and_reported(scripted: Path) -> None:
    model = modules.load(scripted, device="cpu")
    assert model.metadata.properties == {"device": "cpu", "torch": torch.__version__}
    assert model.device_memory() == 0


def test_nthread_sets_the_threads_of_the_process(scripted: Path) -> None:
    before = torch.get_num_threads()
    try:
        modules.load(scripted, nthread=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_settings_of_a_class_are_refused_where_there_is_none(scripted: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="no class beside it"):
        modules.load(scripted, **{"class": "Net"})


def test_a_model_whose_inputs_are_not_known_is_not_compiled(scripted: Path, tmp_path: Path) -> None:
    source = modules.CLASS.replace("    inputs =", "    others =")
    with pytest.raises(errors.ConfigurationError, match="setting inputs"):
        modules.load(modules.weights(tmp_path, source=source), compile="true")
    with pytest.raises(errors.ConfigurationError, match="does not take TorchScript"):
        modules.load(scripted, compile="true")


@compiles
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_model_answers_any_number_of_rows_as_it_did_before(weights: Path) -> None:
    model = modules.load(weights, compile="true")
    assert model.metadata.properties["compile"] == "true"
    assert not model.metadata.supports(Capability.ANY_THREAD)
    for count in (1, 2, 3):
        answer = model.predict(InferRequest(model_name="", inputs=[modules.tensor(modules.ROWS[:count])]))
        np.testing.assert_allclose(answer.outputs[0].data, modules.expected(modules.ROWS[:count]), rtol=1e-5)


@compiles
def test_a_model_that_does_not_compile_is_a_load_error(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("a-compiler-that-is-not-there",))
    torch._dynamo.reset()
    with (
        torch._inductor.config.patch({"fx_graph_cache": False}),
        pytest.raises(errors.ModelLoadError, match="cannot be compiled"),
    ):
        modules.load(weights, compile="true")
