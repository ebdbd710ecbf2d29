"""A model of Keras in this process: how it is opened, and what it takes and answers."""

from __future__ import annotations

import dataclasses
import os
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

from fairlead import Datatype, TensorSpec, errors
from fairlead_explainer_alibi.needed import OLDEST_KERAS, PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Network", "open_file"]

_FLOATS: Final = {"float16": Datatype.FP16, "float32": Datatype.FP32, "float64": Datatype.FP64}
_ROWS_AND_CLASSES: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A model whose gradients can be computed.

    Attributes:
        model: the model of Keras.
        inputs: what it takes, floating-point numbers alone.
        classes: how many numbers it answers for each row.
    """

    model: Any
    inputs: tuple[TensorSpec, ...]
    classes: int


def open_file(path: Path) -> Network:
    """Open a ``.keras`` archive, in Keras' safe mode: no code of the archive runs.

    Raises:
        ModelLoadError: TensorFlow is not installed, or Keras is too old; the archive is damaged, holds code, or a model
            that integrated gradients do not explain.
    """
    keras = _keras()
    if not zipfile.is_zipfile(path):
        raise errors.ModelLoadError(f"{path.name} is damaged, or no Keras archive.", remedy="Check the file.")
    try:
        model = keras.models.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # whatever Keras raises of what is in an archive
        first = " ".join(str(error).strip().partition("\n")[0].split())
        raise errors.ModelLoadError(
            f"{path.name} is not loaded in safe mode: {type(error).__name__}: {first}",
            remedy="Save a model of Keras' own layers, without a Lambda layer, by model.save.",
        ) from error
    try:
        inputs = tuple(_spec(path, each) for each in model.inputs)
        outputs = [tuple(each.shape) for each in model.outputs]
    except (AttributeError, TypeError, ValueError) as error:
        raise errors.ModelLoadError(
            f"{path.name} does not say what its inputs are ({error}).",
            remedy="Begin the model with keras.Input, or call it once, and save it again.",
        ) from error
    if isinstance(getattr(model, "input", None), dict):
        raise errors.ModelLoadError(
            f"{path.name} takes a dictionary of inputs, and Alibi gives one input or a list of them.",
            remedy="Make the model of a list of inputs.",
        )
    if len(outputs) != 1 or len(outputs[0]) != _ROWS_AND_CLASSES or outputs[0][1] is None:
        raise errors.ModelLoadError(
            f"{path.name} answers with the shapes {', '.join(map(str, outputs))}, and what is explained is a model of "
            "one output with some numbers for each row."
        )
    return Network(model, inputs, outputs[0][1])


def _spec(path: Path, tensor: Any) -> TensorSpec:
    if tensor.dtype not in _FLOATS:
        raise errors.ModelLoadError(
            f"{path.name} takes {tensor.dtype} in {tensor.name!r}, and only floating-point numbers have a gradient by "
            "which a prediction can be attributed to them.",
            remedy="Explain a model that takes the embedded values.",
        )
    if tensor.shape[0] is not None:
        raise errors.ModelLoadError(
            f"{path.name} takes {tensor.shape[0]} rows at a time, and Alibi gives it other numbers of them.",
            remedy="Save it without a fixed batch size.",
        )
    shape = tuple(-1 if each is None else int(each) for each in tensor.shape)
    return TensorSpec(tensor.name, _FLOATS[tensor.dtype], shape)


def _keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it tells of the instructions of the CPU
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    wanted = " ".join(f"'{each}'" for each in PACKAGES)
    try:
        import keras
        import tensorflow as tf  # noqa: F401  # Alibi has no integrated gradients without it
    except ImportError as error:
        raise errors.ModelLoadError(
            f"Integrated gradients need TensorFlow, which cannot be imported: {error}.",
            remedy="Give --explainer-dir as a path of this machine, so that an environment with it is made, or: "
            f"pip install {wanted}",
        ) from error
    if _numbers(keras.__version__) < _numbers(OLDEST_KERAS):
        raise errors.ModelLoadError(
            f"Keras {keras.__version__} is installed, and runs code of an archive even in its safe mode.",
            remedy=f"Try: pip install {wanted}",
        )
    if keras.backend.backend() != "tensorflow":
        raise errors.ModelLoadError(
            f"Keras computes with {keras.backend.backend()} in this process.", remedy="Set KERAS_BACKEND=tensorflow."
        )
    return keras


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])
