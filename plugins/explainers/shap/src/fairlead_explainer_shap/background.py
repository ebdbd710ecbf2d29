"""The reference data: rows of numbers that a prediction is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairlead import Artifact, errors
from fairlead.runtimes import reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Background", "read"]


@dataclasses.dataclass(frozen=True, slots=True)
class Background:
    """Reference data.

    Attributes:
        values: FP64 of shape [rows, features].
        names: the names of the features; empty where the file has none.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...] = ()

    def ordered(self, names: Sequence[str]) -> Background:
        """The same data with its features in this order; as it is where it has no names.

        Raises:
            ModelLoadError: it has another number of features, or other ones.
        """
        if self.values.shape[1] != len(names):
            raise errors.ModelLoadError(
                f"The reference data has {self.values.shape[1]} features, and the model {len(names)}.",
                remedy="Give the explainer data as the model takes it, without the target.",
            )
        if not self.names:
            return self
        missing = [name for name in names if name not in self.names]
        if missing:
            raise errors.ModelLoadError(
                f"The reference data has no column {missing[0]!r} (it has {', '.join(map(repr, self.names))}).",
                remedy="Name the columns as the model does.",
            )
        return Background(self.values[:, [self.names.index(name) for name in names]], tuple(names))

    def drawn(self, count: int, seed: int) -> NDArray[np.float64]:
        """At most so many rows, the same ones for the same seed."""
        rows = len(self.values)
        if rows <= count:
            return self.values
        chosen = np.random.default_rng(seed).choice(rows, count, replace=False)
        return self.values[np.sort(chosen)]


def read(artifact: Artifact) -> Background:
    """Read reference data from the one file that holds it; see `fairlead.runtimes.reference`.

    Raises:
        ModelLoadError: there is no such file, or more than one, or it holds no rows of numbers.
    """
    found = reference.read(artifact)
    return Background(found.matrix(), found.names)
