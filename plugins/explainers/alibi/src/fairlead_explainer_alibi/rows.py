"""What is explained: a request as rows of a table or as texts, and the same as requests to the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows", "Texts"]

_ROWS_AND_COLUMNS: Final = 2
_NARROW: Final = (Datatype.FP16, Datatype.BF16, Datatype.FP32)


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a request.

    Attributes:
        values: FP64 of shape [rows, features]; a category is its place among the names.
        names: the names of the features.
        categories: the names of categories, by the place of the feature.
        request: the request.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    categories: Mapping[int, Sequence[str]]
    request: InferRequest

    @classmethod
    def of(cls, request: InferRequest, names: Sequence[str], categories: Mapping[int, Sequence[str]]) -> Rows:
        """Read the rows: one tensor of all features, or one for each, by name and in any order.

        A feature of categories may come as text where it has a tensor of its own.

        Raises:
            InvalidInput: it holds something else, other features, a category that is not known, or a missing value.
        """
        if not request.inputs:
            raise errors.InvalidInput("The request holds no rows to explain.")
        if len(request.inputs) > 1 or request.columns:
            values = _columns(request.inputs, names, categories)
        else:
            (tensor,) = request.inputs
            if tensor.datatype is Datatype.BYTES:
                raise errors.InvalidInput(
                    f"The input {tensor.name!r} holds text.",
                    remedy="Send rows of numbers, or every feature as an input of its own.",
                )
            values = np.asarray(tensor.data, np.float64)
        if values.ndim != _ROWS_AND_COLUMNS or values.shape[1] != len(names):
            raise errors.InvalidInput(
                f"Expected rows of {len(names)} features ({', '.join(names)}), got shape {list(values.shape)}."
            )
        if not values.size:
            raise errors.InvalidInput("There are no rows to explain.")
        if not np.isfinite(values).all():
            raise errors.InvalidInput("A row has a missing or infinite value, and anchors need a number everywhere.")
        return cls(values, tuple(names), categories, request)

    def asking(self, samples: NDArray[np.float64]) -> InferRequest:
        """A request for the predictions of other rows, in the form of the one that is explained."""
        given = self.request.inputs
        if len(given) > 1 or self.request.columns:
            sent = {tensor.name: tensor.datatype for tensor in given}
            inputs = [self._column(place, samples[:, place], sent[name]) for place, name in enumerate(self.names)]
        else:
            inputs = [_numbers(given[0].name, samples, given[0].datatype)]
        return dataclasses.replace(self.request, inputs=inputs, outputs=(), payload=None)

    def _column(self, place: int, samples: NDArray[np.float64], sent: Datatype) -> Tensor:
        name = self.names[place]
        if sent is not Datatype.BYTES:
            return _numbers(name, samples, sent)
        texts = np.array(self.categories[place], dtype=object)[samples.astype(np.intp)]
        return Tensor.from_numpy(name, texts, Datatype.BYTES)


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a request.

    Attributes:
        values: the texts.
        request: the request.
    """

    values: tuple[str, ...]
    request: InferRequest

    @classmethod
    def of(cls, request: InferRequest) -> Texts:
        """Read the texts: one tensor of strings.

        Raises:
            InvalidInput: it holds something else, or a text without words.
        """
        if len(request.inputs) != 1 or request.inputs[0].datatype is not Datatype.BYTES:
            raise errors.InvalidInput("Expected one input of texts to explain.")
        (tensor,) = request.inputs
        if tensor.data.ndim not in (1, _ROWS_AND_COLUMNS) or tensor.data.size != len(tensor.data):
            raise errors.InvalidInput(f"Expected one text in each row, got shape {list(tensor.shape)}.")
        values = tuple(str(each) for each in tensor.as_strings().ravel())
        if not values or not all(each.strip() for each in values):
            raise errors.InvalidInput("There is no text to explain, or one of them is empty.")
        return cls(values, request)

    def asking(self, samples: Sequence[str]) -> InferRequest:
        """A request for the predictions of other texts, in the form of the one that is explained."""
        given = self.request.inputs[0]
        shape = (len(samples), *(1 for _ in given.shape[1:]))
        tensor = Tensor.from_numpy(given.name, np.array(samples, dtype=object).reshape(shape), Datatype.BYTES)
        return dataclasses.replace(self.request, inputs=[tensor], outputs=(), payload=None)


def _columns(
    tensors: Sequence[Tensor], names: Sequence[str], categories: Mapping[int, Sequence[str]]
) -> NDArray[np.float64]:
    columns = {tensor.name: tensor for tensor in tensors}
    missing = [name for name in names if name not in columns]
    unknown = [name for name in columns if name not in names]
    if missing or unknown:
        wrong = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r} that is none of them"
        raise errors.InvalidInput(f"The features are {', '.join(map(repr, names))}, and the request {wrong}.")
    found = [_values(columns[name], categories.get(place)) for place, name in enumerate(names)]
    if len({len(column) for column in found}) > 1:
        raise errors.InvalidInput("The columns of the request differ in their lengths.")
    return np.column_stack(found)


def _values(tensor: Tensor, known: Sequence[str] | None) -> NDArray[np.float64]:
    """One column as numbers."""
    if tensor.data.ndim not in (1, 2) or tensor.data.size != len(tensor.data):
        raise errors.InvalidInput(f"The column {tensor.name!r} has more than one value for each row.")
    if tensor.datatype is not Datatype.BYTES:
        return np.asarray(tensor.data, np.float64).ravel()
    if known is None:
        raise errors.InvalidInput(f"The column {tensor.name!r} holds text, and the feature is a number.")
    codes = {name: code for code, name in enumerate(known)}
    texts = [str(each) for each in tensor.as_strings().ravel()]
    unknown = next((text for text in texts if text not in codes), None)
    if unknown is not None:
        raise errors.InvalidInput(
            f"The column {tensor.name!r} has {unknown!r}, which is none of its categories: {', '.join(known)}."
        )
    return np.array([codes[text] for text in texts], np.float64)


def _numbers(name: str, samples: NDArray[np.float64], sent: Datatype) -> Tensor:
    """Numbers in the kind that the client sent, where these are of that kind."""
    if sent.numpy.kind in "iu" and samples.ndim == 1 and (samples == np.floor(samples)).all():
        return Tensor.from_numpy(name, samples.astype(np.int64))
    return Tensor.from_numpy(name, samples.astype(np.float32 if sent in _NARROW else np.float64))
