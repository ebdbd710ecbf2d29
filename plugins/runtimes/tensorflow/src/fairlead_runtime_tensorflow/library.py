"""TensorFlow itself: imported when the first model loads, and told how to compute before it begins to."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.runtimes import threads
from fairlead_runtime_tensorflow._plugin import SPEC

if TYPE_CHECKING:
    from fairlead import LoadSettings

__all__ = ["device", "quieten", "tensorflow"]


def quieten() -> None:
    """Tell TensorFlow, before it is imported, to print errors alone: it prints a warning for each wrong request."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def tensorflow(settings: LoadSettings) -> tuple[Any, list[str]]:
    """The module ``tensorflow``, and what a user should know of how it computes.

    Its pools of threads belong to the process, and are made once: the first model decides how large they are. A device
    takes memory as it needs it, and not all that there is.

    Raises:
        ModelLoadError: it is not installed, or cannot be imported.
        ConfigurationError: the number of threads is negative.
    """
    given, count = threads.given(settings), threads.chosen(settings)
    quieten()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise errors.ModelLoadError(
            f"TensorFlow cannot be imported: {error}.",
            remedy=f"{SPEC.libraries[0].remedy}, or [gpu] with a GPU of NVIDIA; on macOS: pip install tensorflow",
        ) from error
    # Whoever has computed already in this process has made these choices.
    with contextlib.suppress(RuntimeError):
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    return tf, _limited(tf.config.threading, given, count)


def device(tf: Any) -> str:
    """Where signatures compute: ``cpu``, or ``cuda:0`` for the first GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return "cpu"
    return "cuda:0" if tf.test.is_built_with_cuda() else "gpu:0"


def _limited(threading: Any, given: int, count: int) -> list[str]:
    try:
        threading.set_intra_op_parallelism_threads(count)
        threading.set_inter_op_parallelism_threads(min(count, 2))
    except RuntimeError:
        if given:
            here = threading.get_intra_op_parallelism_threads() or "as many as it likes"
            told = f"TensorFlow computes with {here} threads in this process, as its first model said."
            return [f"The setting nthread={given} has no effect: {told}"]
    return []
