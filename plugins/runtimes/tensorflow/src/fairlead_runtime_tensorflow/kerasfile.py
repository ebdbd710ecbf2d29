"""Opening a ``.keras`` archive, in Keras' safe mode: no code of the archive runs."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fairlead import errors
from fairlead_runtime_tensorflow.savedmodel import Opened
from fairlead_runtime_tensorflow.signatures import Port, ServedSignature

__all__ = ["SIGNATURE", "open_file"]

SIGNATURE: Final = "serving_default"
"""The name of the only signature of a Keras model, as its own export names it."""

_SAFE: Final = (3, 13, 2)
"""The first version whose safe mode runs no code of an archive, as far as is known (CVE-2025-1550, CVE-2026-1462)."""
_CUSTOM: Final = re.compile(r"[Cc]ould not locate (?:class|function) '([^']+)'")
_REMEDY: Final = "Save it as a SavedModel, which holds the graph itself: model.export(folder)."


def open_file(tf: Any, path: Path) -> Opened:
    """Load a Keras model, and make a signature of its inputs and outputs.

    Args:
        tf: the module ``tensorflow``.
        path: the archive.

    Raises:
        ModelLoadError: it holds code, or objects that are not Keras' own, or has no inputs; or Keras is too old.
        Exception: whatever Keras raises of one that is damaged.
    """
    if path.stat().st_size == 0:
        raise errors.ModelLoadError(f"{path.name} is empty.", remedy="Save the model again, or copy the file again.")
    if not zipfile.is_zipfile(path):
        raise errors.ModelLoadError(f"{path.name} is damaged, or no Keras archive.", remedy="Check the file.")
    keras = _keras()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        raise _explained(path, error) from error
    return Opened(model, {SIGNATURE: _signature(tf, path, model)})


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise errors.ModelLoadError(f"Keras cannot be imported: {error}.", remedy="Try: pip install keras") from error
    version = tuple(int(each) for each in re.findall(r"\d+", keras.__version__)[:3])
    if version < _SAFE:
        oldest = ".".join(map(str, _SAFE))
        raise errors.ModelLoadError(
            f"Keras {keras.__version__} is installed, and runs code of an archive even in its safe mode.",
            remedy=f"Try: pip install 'keras>={oldest}'",
        )
    if keras.backend.backend() != "tensorflow":
        raise errors.ModelLoadError(
            f"Keras computes with {keras.backend.backend()} in this process.", remedy="Set KERAS_BACKEND=tensorflow."
        )
    return keras


def _explained(path: Path, error: Exception) -> errors.ModelLoadError:
    text = str(error)
    if "Lambda" in text and "safe_mode" in text:
        return errors.ModelLoadError(f"{path.name} has a Lambda layer, which is Python code.", remedy=_REMEDY)
    if custom := _CUSTOM.search(text):
        return errors.ModelLoadError(
            f"{path.name} needs {custom[1]!r}, which is none of Keras' own and is not in the archive.", remedy=_REMEDY
        )
    first = " ".join(text.partition("\n")[0].split())
    return errors.ModelLoadError(f"{path.name} is not loaded in safe mode: {first}", remedy=_REMEDY)


def _signature(tf: Any, path: Path, model: Any) -> ServedSignature:
    try:
        inputs, outputs = list(model.inputs), list(model.outputs)
    except (AttributeError, TypeError, ValueError) as error:
        raise errors.ModelLoadError(
            f"{path.name} does not say what its inputs are ({error}).",
            remedy="Begin the model with keras.Input, or call it once, and save it again.",
        ) from error
    names = _names(_structure(model, "input"), [each.name for each in inputs])
    ports = [Port.of(name, _spec(tf, each)) for name, each in zip(names, inputs, strict=True)]
    layers = list(getattr(model, "output_names", None) or [model.layers[-1].name])
    answered = _names(_structure(model, "output"), layers)
    answers = [Port.of(name, _spec(tf, each)) for name, each in zip(answered, outputs, strict=True)]

    def call(*tensors: Any) -> dict[str, Any]:
        found = model(_packed(tf, model, tensors), training=False)
        return dict(zip(answered, tf.nest.flatten(found), strict=True))

    specs = [tf.TensorSpec(each.shape, each.dtype, name=f"input_{place}") for place, each in enumerate(inputs)]
    function = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()

    def ask(fed: dict[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = function(*(fed[name] for name in names))
        return found

    return ServedSignature(tf, SIGNATURE, ports, answers, ask)


def _spec(tf: Any, tensor: Any) -> Any:
    if tensor.sparse:
        return tf.SparseTensorSpec(tensor.shape, tensor.dtype)
    if getattr(tensor, "ragged", False):
        return tf.RaggedTensorSpec(tensor.shape, tensor.dtype)
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _packed(tf: Any, model: Any, tensors: Sequence[Any]) -> Any:
    """Flat tensors in the structure that the model is called with."""
    structure = _structure(model, "input")
    return tensors[0] if structure is None else tf.nest.pack_sequence_as(structure, tensors)


def _structure(model: Any, attribute: str) -> Any:
    """The inputs or outputs as the model was made of them; None for layers in a row, which have one of each."""
    return getattr(model, attribute, None)


def _names(structure: Any, names: Sequence[str]) -> list[str]:
    """The keys of a dictionary of tensors, in the order in which they lie flat; else these names, made different."""
    if isinstance(structure, dict) and len(structure) == len(names):
        return [str(name) for name in sorted(structure)]
    return [name if names.count(name) == 1 else f"{name}_{place}" for place, name in enumerate(names)]
