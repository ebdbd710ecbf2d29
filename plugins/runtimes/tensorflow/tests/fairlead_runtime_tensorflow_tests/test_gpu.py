"""Where a GPU is visible to TensorFlow, models compute there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fairlead_runtime_tensorflow_tests import models


@pytest.mark.gpu
@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU is visible to TensorFlow")
def test_a_model_computes_on_the_gpu_and_says_so(tmp_path: Path) -> None:
    model = models.load(models.affine(tmp_path / "model"))
    assert model.metadata.properties["device"] == "cuda:0"
    answer = models.ask(model, x=models.ROWS, offset=models.OFFSETS)
    weights = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_allclose(answer["y"], models.ROWS @ weights + models.OFFSETS[:, None], rtol=1e-3)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU is visible to TensorFlow")
def test_a_model_computes_on_the_cpu_and_says_so(tmp_path: Path) -> None:
    assert models.load(models.affine(tmp_path / "model")).metadata.properties["device"] == "cpu"
