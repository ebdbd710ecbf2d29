"""How many threads compute: one decision for a process, made by its first model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead import errors
from fairlead_runtime_tensorflow_tests import models

_TWICE = """
import json, sys
from pathlib import Path
from fairlead_runtime_tensorflow_tests import models
import tensorflow as tf
folder = Path(sys.argv[1])
first, second, third = models.load(folder, nthread=3), models.load(folder, nthread=1), models.load(folder)
threading = tf.config.threading
counts = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
print(json.dumps([*counts, first.notes, second.notes, third.notes]))
"""


def test_the_first_model_decides_and_another_is_told(tmp_path: Path) -> None:
    folder = models.affine(tmp_path / "model")
    command = [sys.executable, "-c", _TWICE, str(folder)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    told = "TensorFlow computes with 3 threads in this process, as its first model said."
    assert json.loads(result.stdout) == [3, 2, [], [f"The setting nthread=1 has no effect: {told}"], []]


def test_a_negative_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="nthread: -1 is negative"):
        models.load(models.affine(tmp_path / "model"), nthread=-1)


_WITHOUT = """
import sys
sys.modules["tensorflow"] = None
from pathlib import Path
from fairlead import Artifact, LoadSettings, errors
from fairlead_runtime_tensorflow.runtime import TensorflowRuntime
try:
    TensorflowRuntime().load(Artifact(path=Path(sys.argv[1]), uri="x"), LoadSettings(model_name="m"))
except errors.ModelLoadError as error:
    print(error)
"""


def test_without_tensorflow_the_error_says_what_to_install(tmp_path: Path) -> None:
    folder = models.affine(tmp_path / "model")
    result = subprocess.run([sys.executable, "-c", _WITHOUT, str(folder)], check=True, capture_output=True, text=True)
    assert "TensorFlow cannot be imported" in result.stdout
    assert "Try: pip install 'fairlead-runtime-tensorflow[cpu]', or [gpu]" in result.stdout
