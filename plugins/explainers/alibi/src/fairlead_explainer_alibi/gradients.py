"""Integrated gradients: how much each element of the input adds to the prediction, by the gradients of the model."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Datatype, InferRequest, errors
from fairlead.runtimes.signature import Signature
from fairlead_explainer_alibi import network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fairlead import InferResponse, Predict

__all__ = ["Gradients"]

_TARGET: Final = "target"
_MEMORY: Final = 64 << 20
"""Bytes of the steps between the baselines and the rows, which Alibi holds all at once."""

_log = logging.getLogger("fairlead.models")


class Gradients:
    """Integrated gradients of a model of Keras.

    Args:
        path: the ``.keras`` archive of the model, which is the one that is explained.
        options: the settings of the plugin.

    Raises:
        ModelLoadError: the model cannot be explained here.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self._network = network.open_file(path)
        from alibi.explainers import IntegratedGradients

        # It warns of each request to a model of one number, which has no target.
        logging.getLogger("alibi.explainers.integrated_gradients").setLevel(logging.ERROR)
        self._steps, self._batch = int(options["n_steps"]), int(options["internal_batch_size"])
        self._explainer = IntegratedGradients(
            self._network.model,
            method=str(options["integration"]),
            n_steps=self._steps,
            internal_batch_size=self._batch,
        )
        self._signature = Signature(self._network.inputs)
        self._baseline = float(options["baseline"])
        self._output = str(options["output"])
        self._differs = False

    def explain(self, request: InferRequest, predict: Predict, check: Callable[[], None]) -> list[Any]:
        """The explanation of each row, as Alibi writes it in JSON for a batch of that row.

        Args:
            request: what is explained. Its parameter ``target`` is the index of the output.
            predict: asks the model once for all rows, where it has several outputs and the request names none.
            check: raises once nobody waits any more.

        Raises:
            InvalidInput: the inputs or the target do not fit the model.
            InferenceFailed: the model that was asked answers as another one would.
        """
        arrays = list(self._signature.read(request).values())
        count = _rows(arrays)
        asked = self._asked(request, count)
        target = asked if asked is not None else self._predicted(request, predict, count)
        # A model of one number has nothing to choose from; told of a target, Alibi 0.9.4 gets the sign of deltas wrong.
        targets = None if self._network.classes == 1 else target
        found: list[Any] = []
        largest = max(1, sum(array[0].nbytes for array in arrays)) * self._steps
        rows = max(1, min(self._batch, _MEMORY // largest))
        for start in range(0, count, rows):
            check()
            part = slice(start, start + rows)
            found += self._explained([array[part] for array in arrays], None if targets is None else targets[part])
        if asked is None and targets is not None:
            self._compare(request.model_name, found, targets)
        return found

    def _explained(self, arrays: list[NDArray[Any]], targets: NDArray[np.int64] | None) -> list[Any]:
        from alibi.api.interfaces import Explanation

        several = len(arrays) > 1
        with np.errstate(over="ignore", invalid="ignore"):  # what is no finite number is null in the answer
            whole = self._explainer.explain(
                arrays if several else arrays[0],
                baselines=[self._baseline] * len(arrays) if several else self._baseline,
                target=targets,
            )
        found = []
        for place in range(len(arrays[0])):
            data = {name: _of_row(value, place) for name, value in whole.data.items()}
            found.append(json.loads(Explanation(meta=whole.meta, data=data).to_json()))
        return found

    def _asked(self, request: InferRequest, count: int) -> NDArray[np.int64] | None:
        """The output that the request names, for each row; None where it names none.

        Raises:
            InvalidInput: there is no such output.
        """
        asked = request.parameters.get(_TARGET)
        if asked is None:
            return None
        index = int(asked) if isinstance(asked, str) and asked.isdecimal() else asked
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < self._network.classes:
            raise errors.InvalidInput(
                f"The parameter target is {asked!r}, and the model has the outputs 0 to {self._network.classes - 1}."
            )
        return np.full(count, index, np.int64)

    def _predicted(self, request: InferRequest, predict: Predict, count: int) -> NDArray[np.int64]:
        """The class that the model predicts for each row.

        Raises:
            InferenceFailed: it answers otherwise than the model whose gradients are computed.
        """
        classes = self._network.classes
        if classes == 1:
            return np.zeros(count, np.int64)
        answer = _answer(predict(dataclasses.replace(request, outputs=(), payload=None)), self._output)
        if answer.shape != (count, classes):
            raise errors.InferenceFailed(
                f"The model answered with shape {list(answer.shape)}, and the one whose gradients are computed answers "
                f"with [{count}, {classes}].",
                remedy="Explain a model by its own .keras file, or name the output by the parameter target.",
            )
        if not np.isfinite(answer).all():
            raise errors.InferenceFailed("The model answers NaN or infinity, and no class is the largest.")
        return np.asarray(np.argmax(answer, axis=1), np.int64)

    def _compare(self, name: str, found: list[Any], targets: NDArray[np.int64]) -> None:
        """Tell once where the model that was asked and the one whose gradients are computed predict another class."""
        here = [int(np.argmax(each["data"]["predictions"][0])) for each in found]
        if not self._differs and here != targets.tolist():
            self._differs = True
            _log.warning(
                "model %s: it and the .keras file of its explainer predict different classes for one row; "
                "the explanations are those of the file",
                name,
            )


def _rows(arrays: list[NDArray[Any]]) -> int:
    """How many rows there are.

    Raises:
        InvalidInput: none, or not as many in each input; or a number that is none.
    """
    counts = {len(array) for array in arrays}
    if len(counts) != 1 or counts == {0}:
        raise errors.InvalidInput("There are no rows to explain, or not as many in each input.")
    if not all(np.isfinite(array).all() for array in arrays):
        raise errors.InvalidInput("A row has a missing or infinite value, and gradients need a number everywhere.")
    return counts.pop()


def _answer(response: InferResponse, output: str) -> NDArray[Any]:
    if not response.outputs:
        raise errors.InferenceFailed("The model answers with no tensors, and gradients need one number for each class.")
    tensor = response.output(output) if output else response.outputs[0]
    if tensor.datatype is Datatype.BYTES:
        raise errors.InferenceFailed(
            f"The model answers with text in {tensor.name!r}, and gradients need one number for each class.",
            remedy="Name another output by the setting output, or what is explained by the parameter target.",
        )
    return tensor.data


def _of_row(value: Any, place: int) -> Any:
    """What an explanation of several rows says of one: an array, a list of arrays, or what is of no row."""
    if isinstance(value, list):
        return [_of_row(each, place) for each in value]
    return value[place : place + 1] if isinstance(value, np.ndarray) else value
