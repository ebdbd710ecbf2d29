"""Programs that the tests serve, and what PaddlePaddle itself answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ROWS", "answer", "save_all"]

ROWS: Final = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


def save_all(folder: Path) -> None:
    """Save them, in each form by a process of its own: PaddlePaddle reads the form from its environment."""
    for form, flag in (("json", "1"), ("old", "0")):
        command = [sys.executable, str(Path(__file__).with_name("make_programs.py")), str(folder), form]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "FLAGS_enable_pir_api": flag})


def answer(folder: Path, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """What a predictor answers that was made without the runtime."""
    from paddle import inference

    (program,) = (path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    config = inference.Config(str(program), str(program.with_suffix(".pdiparams")))
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    for name, array in zip(predictor.get_input_names(), inputs, strict=True):
        handle = predictor.get_input_handle(name)
        handle.reshape(array.shape)
        handle.copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
