"""What the compared servers compute, each in the same few lines of numpy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ARRAYS", "PRODUCTS", "cost", "echo", "folder", "mean", "names", "products"]

PRODUCTS: Final = "COMPARE_PRODUCTS"
"""The variable that says how many matrix products a row costs."""

_MATRIX: Final = np.full((128, 128), 1 / 128)


def folder() -> Path:
    """Where this server's models are."""
    return Path(os.environ["COMPARE_FOLDER"])


def names() -> tuple[str, ...]:
    """The names of the models that this server is to serve."""
    return tuple(os.environ["COMPARE_MODELS"].split(","))


def mean(x: NDArray[Any]) -> NDArray[Any]:
    """One number out of a large tensor."""
    return np.array([x.mean()], np.float32)


def echo(x: NDArray[Any]) -> NDArray[Any]:
    """A large tensor back as it came."""
    return x


def cost(x: NDArray[Any]) -> NDArray[Any]:
    """A known amount of work for each row, one row after another.

    The products release the interpreter's lock, as the libraries do that models are made with. Rows that come
    together are not cheaper than rows that come alone.
    """
    times = int(os.environ[PRODUCTS])
    return np.array([_multiplied(times) for _ in x], np.float64)


def _multiplied(times: int) -> float:
    product = _MATRIX
    for _ in range(times):
        product = product @ _MATRIX
    return float(product[0, 0])


def products(seconds: float) -> int:
    """How many products take this long here, one core to itself."""
    _multiplied(100)
    spent = []
    for _ in range(20):
        began = time.thread_time()
        _multiplied(20)
        spent.append((time.thread_time() - began) / 20)
    return max(1, round(seconds / sorted(spent)[len(spent) // 2]))


ARRAYS: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {"mean": mean, "echo": echo, "cost": cost}
"""The models that are functions of one array, by name."""
