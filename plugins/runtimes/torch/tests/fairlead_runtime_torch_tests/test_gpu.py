"""On a CUDA device: the model computes there, says so, and answers as the library does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fairlead import Capability, InferRequest, errors
from fairlead_runtime_torch_tests import modules

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no CUDA device is visible, or torch is built without CUDA"
    ),
]


@pytest.mark.parametrize("name", ["exported", "scripted", "weights"])
def test_a_model_computes_on_the_device_and_reports_it(name: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(name)
    model = modules.load(path)
    assert model.metadata.properties["device"] == "cuda:0"
    assert not model.metadata.supports(Capability.ANY_THREAD)
    assert {each.device.type for each in model.native.parameters()} == {"cuda"}
    answer = model.predict(InferRequest(model_name="", inputs=[modules.tensor(modules.ROWS)]))
    np.testing.assert_allclose(answer.outputs[0].data, modules.expected(), rtol=1e-4)
    assert model.device_memory() > 0


def test_the_cpu_can_be_chosen_where_there_is_a_device(exported: Path) -> None:
    model = modules.load(exported, device="cpu")
    assert model.metadata.properties["device"] == "cpu"
    assert model.device_memory() >= 0


def test_a_request_without_memory_is_told_to_try_again_and_the_model_lives(tmp_path: Path) -> None:
    source = modules.CLASS.replace("return self", "x.new_empty((int(x.sum()) + 1, 1 << 40)); return self")
    model = modules.load(modules.weights(tmp_path, source=source))
    with pytest.raises(errors.Overloaded, match="no memory"):
        model.predict(InferRequest(model_name="", inputs=[modules.tensor(modules.ROWS)]))
