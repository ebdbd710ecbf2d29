"""On a machine with a CUDA device, and an onnxruntime that has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fairlead_runtime_onnx import devices
from fairlead_runtime_onnx_tests import graphs
from fairlead_runtime_onnx_tests.loading import ask, load

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not devices.cuda_is_visible(), reason="no CUDA device is visible"),
    pytest.mark.skipif(
        devices.CUDA not in onnxruntime.get_available_providers(),
        reason="the installed onnxruntime has no CUDA (onnxruntime-gpu has)",
    ),
]


@pytest.mark.parametrize("providers", ["", "cuda"])
def test_cuda_answers_as_the_cpu_does_and_is_reported(tmp_path: Path, providers: str) -> None:
    graphs.saved(tmp_path, graphs.affine())
    feeds = {"a": np.ones((2, 3), np.float32), "b": np.ones((2, 2), np.float32)}
    model = load(tmp_path, providers=providers)
    assert model.metadata.properties["device"] == "cuda:0"
    assert model.metadata.properties["providers"].startswith(devices.CUDA)
    answer = ask(model, **feeds)
    np.testing.assert_allclose(answer["sum"], graphs.own_answer(tmp_path, feeds)["sum"], rtol=1e-3)


def test_the_cpu_can_be_asked_for(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling())
    assert load(tmp_path, providers="cpu").metadata.properties["device"] == "cpu"
