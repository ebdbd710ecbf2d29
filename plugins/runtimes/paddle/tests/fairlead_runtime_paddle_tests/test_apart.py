"""The tests that import PaddlePaddle, in a process of their own.

Other tests of the project import TensorFlow, and PaddlePaddle ends a process in which that has been imported before.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead_runtime_paddle_tests.apart.conftest import APART


@pytest.mark.skipif(importlib.util.find_spec("paddle") is None, reason="paddlepaddle is not installed")
def test_all_tests_that_import_paddlepaddle_pass_in_a_process_of_their_own() -> None:
    folder = Path(__file__).with_name("apart")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, env={**os.environ, APART: "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
