"""What is explained: a request as rows of a table without gaps or as texts, and texts as requests to the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, errors
from fairlead.runtimes.rows import Rows

__all__ = ["Texts", "rows_of"]

_ROWS_AND_COLUMNS: Final = 2


def rows_of(request: InferRequest, names: Sequence[str], categories: Mapping[int, Sequence[str]]) -> Rows:
    """Read the rows of a request; a feature of categories may come as text where it has a tensor of its own.

    Raises:
        InvalidInput: it holds something else, other features, a category that is not known, or a missing value.
    """
    rows = Rows.of(request, names, categories=categories)
    if not np.isfinite(rows.values).all():
        raise errors.InvalidInput("A row has a missing or infinite value, and anchors need a number everywhere.")
    return rows


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
