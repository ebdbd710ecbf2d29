"""The smallest models that show what the tests are about, made by TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from fairlead import Artifact, InferRequest, LoadSettings, Model, Tensor, UnpicklingPolicy
from fairlead_runtime_tensorflow._plugin import SPEC
from fairlead_runtime_tensorflow.runtime import TensorflowRuntime

F = TypeVar("F", bound="Callable[..., Any]")

ROWS = np.array([[1.5, 2.0, -3.0], [0.0, 1.0, 2.0]], dtype=np.float32)
OFFSETS = np.array([0.5, -1.0], dtype=np.float32)


def function(*specs: Any) -> Callable[[F], F]:
    """Make a signature of a function: a decorator with the specs of its inputs."""
    decorate: Callable[[F], F] = tf.function(input_signature=list(specs), autograph=False)
    return decorate


class Affine(tf.Module):  # type: ignore[misc]  # tensorflow's types are not read
    """Two inputs and two outputs; and a second signature."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    @function(tf.TensorSpec([None, 3], tf.float32, name="x"), tf.TensorSpec([None], tf.float32, name="offset"))
    def affine(self, x: Any, offset: Any) -> dict[str, Any]:
        """``y`` and ``total``."""
        y = x @ self.weights + offset[:, None]
        return {"y": y, "total": tf.reduce_sum(y, axis=1)}

    @function(tf.TensorSpec([None, 3], tf.float32, name="x"))
    def double(self, x: Any) -> dict[str, Any]:
        """``doubled``."""
        return {"doubled": 2.0 * x}


def save(folder: Path, function: Any = None, **signatures: Any) -> Path:
    """Save functions as a SavedModel: one as the usual signature, or several by name."""
    module = tf.Module()
    module.functions = [each for each in (function, *signatures.values()) if each is not None]
    tf.saved_model.save(module, str(folder), signatures=signatures or function)
    return folder


def affine(folder: Path) -> Path:
    """`Affine`, with both signatures."""
    module = Affine()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.affine, "double": module.double})
    return folder


def lengths(folder: Path) -> Path:
    """Strings to numbers, and to the same bytes again."""

    @function(tf.TensorSpec([None], tf.string, name="text"))
    def measure(text: Any) -> dict[str, Any]:
        return {"length": tf.strings.length(text), "text_bytes": text}

    return save(folder, measure)


def mean_of_image(folder: Path) -> Path:
    """Encoded images to their mean: strings that are not any strings."""

    @function(tf.TensorSpec([None], tf.string, name="image_bytes"))
    def mean(image_bytes: Any) -> dict[str, Any]:
        def one(content: Any) -> Any:
            return tf.reduce_mean(tf.cast(tf.io.decode_png(content, channels=3), tf.float32))

        return {"mean": tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)}

    return save(folder, mean)


def reader(folder: Path) -> Path:
    """Names of files to what is in them, for every client."""

    @function(tf.TensorSpec([None], tf.string, name="path"))
    def read(path: Any) -> dict[str, Any]:
        return {"content": tf.map_fn(tf.io.read_file, path)}

    return save(folder, read)


def sequential(path: Path) -> Path:
    """A Keras model of one input and one output."""
    keras.utils.set_random_seed(1)
    keras.Sequential([keras.Input((3,), name="features"), keras.layers.Dense(2, name="scores")]).save(path)
    return path


def named(path: Path) -> Path:
    """A Keras model of two named inputs, one of them text, and two named outputs."""
    keras.utils.set_random_seed(1)
    numbers = keras.Input((3,), name="numbers")
    word = keras.Input((), name="word", dtype="string")
    place = keras.layers.StringLookup(vocabulary=["cat", "dog"])(word)
    score = keras.layers.Dense(1)(numbers)
    keras.Model({"numbers": numbers, "word": word}, {"score": score, "place": place}).save(path)
    return path


def load(path: Path, policy: str = "allow", **options: Any) -> Model:
    """Load as the server does."""
    complete = {setting.name: setting.default for setting in SPEC.settings} | options
    settings = LoadSettings(model_name="m", unpickling=UnpicklingPolicy.parse(policy), options=complete)
    return TensorflowRuntime().load(Artifact(path=path, uri=str(path)), settings)


def ask(model: Model, signature: str | None = None, **arrays: Any) -> dict[str, Any]:
    """What a model answers, as arrays by name."""
    inputs = [Tensor.from_numpy(name, np.asarray(array)) for name, array in arrays.items()]
    parameters: dict[str, Any] = {} if signature is None else {"signature_name": signature}
    answer = model.predict(InferRequest(model_name="m", inputs=inputs, parameters=parameters))
    return {tensor.name: tensor.data for tensor in answer.outputs}
