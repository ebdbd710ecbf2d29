"""Rows that are explained: a request as a matrix of numbers, and other rows as requests of the same form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows"]

_ROWS_AND_COLUMNS: Final = 2
_NARROW: Final = (Datatype.FP16, Datatype.BF16, Datatype.FP32)


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a request.

    Attributes:
        values: FP64 of shape [rows, features]; a category is its place among the names.
        names: the names of the features; empty where nobody names them.
        categories: the names of categories, by the place of the feature.
        request: the request.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    categories: Mapping[int, Sequence[str]]
    request: InferRequest

    @classmethod
    def of(
        cls,
        request: InferRequest,
        names: Sequence[str] = (),
        *,
        width: int | None = None,
        categories: Mapping[int, Sequence[str]] | None = None,
    ) -> Rows:
        """Read the rows: one tensor of all features, or one for each, by name and in any order.

        Args:
            request: the request.
            names: the names of the features, in the model's order; empty where they are not known: those of the
                columns of the request, in their order.
            width: how many features there are, where their names are not known; None for any number.
            categories: the names of categories, by the place of the feature: such a feature may come as text, where it
                has a tensor of its own.

        Raises:
            InvalidInput: it holds something else, other features, or a category that is not known.
        """
        width, categories = len(names) or width, categories or {}
        if not request.inputs:
            raise errors.InvalidInput("The request holds no rows of numbers to explain.")
        if len(request.inputs) > 1 or request.columns:
            values, names = _columns(request.inputs, names, categories)
        else:
            values = _matrix(request.inputs[0])
        if values.ndim != _ROWS_AND_COLUMNS or values.shape[1] != (width or values.shape[1]):
            named = f" ({', '.join(names)})" if names else ""
            raise errors.InvalidInput(
                f"Expected rows of {width or 'several'} features to explain{named}, got shape {list(values.shape)}."
            )
        if not values.size:
            raise errors.InvalidInput("There are no rows to explain.")
        return cls(values, tuple(names), categories, request)

    def asking(self, samples: NDArray[Any], parameters: Mapping[str, Any] | None = None) -> InferRequest:
        """A request for the predictions of other rows, in the form of the one that is explained.

        Args:
            samples: the rows, of shape [rows, features].
            parameters: parameters on top of the client's own.
        """
        given = self.request.inputs
        if len(given) > 1 or self.request.columns:
            sent = {tensor.name: tensor.datatype for tensor in given}
            inputs = [self._column(place, samples[:, place], sent[name]) for place, name in enumerate(self.names)]
        else:
            inputs = [_numbers(given[0].name, samples, given[0].datatype)]
        merged = {**self.request.parameters, **(parameters or {})}
        return dataclasses.replace(self.request, inputs=inputs, outputs=(), parameters=merged, payload=None)

    def _column(self, place: int, samples: NDArray[Any], sent: Datatype) -> Tensor:
        name = self.names[place]
        if sent is not Datatype.BYTES:
            return _numbers(name, samples, sent)
        texts = np.array(self.categories[place], dtype=object)[samples.astype(np.intp)]
        return Tensor.from_numpy(name, texts, Datatype.BYTES)


def _matrix(tensor: Tensor) -> NDArray[np.float64]:
    if tensor.datatype is Datatype.BYTES:
        raise errors.InvalidInput(
            f"The input {tensor.name!r} holds text.",
            remedy="Send rows of numbers, or every feature as an input of its own.",
        )
    return np.asarray(tensor.data, np.float64)


def _columns(
    tensors: Sequence[Tensor], names: Sequence[str], categories: Mapping[int, Sequence[str]]
) -> tuple[NDArray[np.float64], Sequence[str]]:
    columns = {tensor.name: tensor for tensor in tensors}
    if len(columns) < len(tensors):
        raise errors.InvalidInput("Two inputs of the request have the same name.")
    names = names or tuple(columns)
    missing = [name for name in names if name not in columns]
    unknown = [name for name in columns if name not in names]
    if missing or unknown:
        wrong = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r} that is none of them"
        raise errors.InvalidInput(f"The features are {', '.join(map(repr, names))}, and the request {wrong}.")
    found = [_values(columns[name], categories.get(place)) for place, name in enumerate(names)]
    if len({len(column) for column in found}) > 1:
        raise errors.InvalidInput("The columns of the request differ in their lengths.")
    return np.column_stack(found), names


def _values(tensor: Tensor, known: Sequence[str] | None) -> NDArray[np.float64]:
    """One column as numbers."""
    if tensor.data.ndim not in (1, _ROWS_AND_COLUMNS) or tensor.data.size != len(tensor.data):
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


def _numbers(name: str, samples: NDArray[Any], sent: Datatype) -> Tensor:
    """Numbers in the precision that the client sent; a column of integers as such, where all of these are some."""
    if sent.numpy.kind in "iu" and samples.ndim == 1:
        with np.errstate(invalid="ignore"):  # what does not fit is seen below
            whole = samples.astype(sent.numpy)
        if np.array_equal(whole, samples):
            return Tensor.from_numpy(name, whole, sent)
    return Tensor.from_numpy(name, samples.astype(np.float32 if sent in _NARROW else np.float64))
