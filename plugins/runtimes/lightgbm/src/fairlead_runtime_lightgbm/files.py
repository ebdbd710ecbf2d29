"""LightGBM's files, as far as a look at their bytes tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.runtimes import estimators
from fairlead_runtime_lightgbm._plugin import LIBRARY, SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["is_dump", "is_model", "is_pickle", "recognises"]

_LOOK: Final = 256
_DUMP: Final = re.compile(rb'\s*\{\s*"name"\s*:\s*"tree"')


def is_pickle(path: Path) -> bool:
    """Whether a file's name says that it holds a pickled object."""
    return path.suffix.lower() in estimators.PICKLES


def is_dump(path: Path) -> bool:
    """Whether a file holds the JSON of ``Booster.dump_model``, which shows a model and cannot be loaded."""
    return _DUMP.match(_start(path)) is not None


def is_model(path: Path) -> bool:
    """Whether a file comes from LightGBM; what it cannot load again counts."""
    if is_pickle(path):
        return estimators.top_package(path) == LIBRARY.module
    start = _start(path)
    return start.split(b"\n", 1)[0].rstrip(b"\r") == b"tree" or _DUMP.match(start) is not None


def recognises(artifact: Artifact) -> bool:
    """Whether a file of an artefact comes from LightGBM."""
    return any(is_model(path) for path in artifact.matching(SPEC.artifacts))


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LOOK)
