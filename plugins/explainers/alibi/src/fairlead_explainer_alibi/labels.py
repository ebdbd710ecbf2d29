"""What the model predicts, as one label for each row: anchors explain which class a row belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from fairlead import Datatype, InferResponse, errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Labels", "of_response"]

Ask: TypeAlias = "Callable[[Any], NDArray[Any]]"

_EITHER: Final = 0.5
_ROWS_AND_CLASSES: Final = 2


class Labels:
    """The model as Alibi asks it; it can be asked while an explanation is made.

    Alibi tries the model as soon as it is told of it, to see whether it answers labels or probabilities. Then nobody
    is there to ask yet, and any label will do.
    """

    def __init__(self) -> None:
        self._ask: Ask | None = None

    def __call__(self, samples: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
        """One label for each row or text."""
        return np.zeros(len(samples), np.int64) if self._ask is None else self._ask(samples)

    @contextmanager
    def asked_of(self, ask: Ask) -> Iterator[None]:
        """Let it be asked until the block ends."""
        self._ask = ask
        try:
            yield
        finally:
            self._ask = None


def of_response(response: InferResponse, output: str, count: int) -> NDArray[Any]:
    """The labels that an answer holds.

    Text and whole numbers are labels. Of several numbers for each row the largest is the label, by its place. One
    number between 0 and 1 is the probability of the label 1.

    Args:
        response: the model's answer.
        output: the name of the output that is meant; empty for the first.
        count: the rows that were asked for.

    Raises:
        InvalidInput: the model answers with numbers that are neither labels nor probabilities.
        InferenceFailed: it answers with no tensors, or for other rows.
    """
    if not response.outputs:
        raise errors.InferenceFailed("The model answers with no tensors, and anchors need labels or probabilities.")
    tensor = response.output(output) if output else response.outputs[0]
    data: NDArray[Any] = tensor.as_strings() if tensor.datatype is Datatype.BYTES else np.asarray(tensor.data)
    if len(data.shape) == 0 or len(data) != count:
        raise errors.InferenceFailed(
            f"The model answered with shape {list(data.shape)}, and was asked for {count} rows."
        )
    data = data.reshape(count, -1)
    if data.shape[1] > 1:
        if data.dtype.kind not in "fiub":
            raise errors.InferenceFailed(f"The model answers with several texts for each row in {tensor.name!r}.")
        return np.asarray(np.argmax(data, axis=1))
    data = data[:, 0]
    if data.dtype.kind == "f":
        return _of_numbers(data, tensor.name)
    return np.array([str(each) for each in data]) if data.dtype.kind in "OUS" else data.astype(np.int64)


def _of_numbers(data: NDArray[Any], name: str) -> NDArray[np.int64]:
    if (data == np.floor(data)).all():
        return data.astype(np.int64)
    if ((data >= 0) & (data <= 1)).all():
        return (data > _EITHER).astype(np.int64)
    raise errors.InvalidInput(
        f"The model answers with numbers in {name!r} that are neither labels nor probabilities, such as {data[0]:g}. "
        "Anchors explain classifiers.",
        remedy="Explain a regression by another explainer, such as shap.",
    )
