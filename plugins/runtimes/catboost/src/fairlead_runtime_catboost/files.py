"""CatBoost's files, as far as a look at their bytes tells: whether one is a model, and which version saved it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.runtimes import estimators, pickles
from fairlead_runtime_catboost._plugin import LIBRARY, SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["check", "format_of", "is_model", "is_pickle", "needed", "recognises", "recorded", "saved_with"]

_LOOK: Final = 256
_BINARY: Final = b"CBM1"
_JSON: Final = re.compile(rb'\s*\{\s*"(ctr_data|features_info|model_info|oblivious_trees|scale_and_bias|trees)"')
_PARTS: Final = ("features_info", "model_info", "scale_and_bias")
"""What every model in JSON has, beside its trees."""
_RELEASE: Final = b"CatBoost release"
"""A model holds the note of the commit that its library was built from, which ends in these words and the version."""


def is_pickle(path: Path) -> bool:
    """Whether a file's name says that it holds a pickled object."""
    return path.suffix.lower() in estimators.PICKLES


def format_of(path: Path) -> str | None:
    """The format of a model as CatBoost calls it: ``cbm`` or ``json``; None for another file."""
    with path.open("rb") as file:
        start = file.read(_LOOK)
    if start.startswith(_BINARY):
        return "cbm"
    return "json" if _JSON.match(start) else None


def is_model(path: Path) -> bool:
    """Whether a file is a model of CatBoost."""
    if is_pickle(path):
        return estimators.top_package(path) == LIBRARY.module
    return format_of(path) is not None


def recognises(artifact: Artifact) -> bool:
    """Whether a file of an artefact is a model of CatBoost."""
    return any(is_model(path) for path in artifact.matching(SPEC.artifacts))


def check(path: Path, format_name: str) -> None:
    """See that a model is whole.

    CatBoost reads a JSON up to where it breaks off, and predicts with the trees that it has found; over a binary model
    that breaks off it may end the process.

    Args:
        path: the file.
        format_name: its format, as `format_of` tells it.

    Raises:
        ValueError: it is cut off, or a part of it is missing.
    """
    with path.open("rb") as file:
        if format_name == "cbm":
            size = len(_BINARY) + 4 + int.from_bytes(file.read(8)[len(_BINARY) :], "little")
            if path.stat().st_size < size:
                raise ValueError(f"it announces {size} bytes or more, and has {path.stat().st_size}")
            return
        parts = json.load(file)
    missing = [name for name in _PARTS if name not in parts]
    if missing or not (parts.get("oblivious_trees") or parts.get("trees")):
        raise ValueError(f"it has no {', '.join(missing) or 'trees'}")


def saved_with(artifact: Artifact) -> Mapping[str, str]:
    """The version of CatBoost that an artefact was saved with, by distribution name; see `recorded`.

    Empty where it is not known, or where the artefact does not hold exactly one model file.
    """
    path = _model(artifact)
    version = None if path is None else recorded(path)
    return {} if version is None else {LIBRARY.distribution: version}


def needed(artifact: Artifact) -> Mapping[str, str]:
    """As `saved_with`, and empty for a model file of an older version: CatBoost goes on reading its own formats.

    A pickle holds the library's objects as they were, so that it needs the version that it was saved with.
    """
    path = _model(artifact)
    is_read = path is not None and not is_pickle(path)
    return {
        name: version
        for name, version in saved_with(artifact).items()
        if not is_read or estimators.is_newer(version, LIBRARY)
    }


def recorded(path: Path) -> str | None:
    """The version that a model names, for example ``1.2.10``; None for a build that was no release."""
    return pickles.recorded(path, _RELEASE)


def _model(artifact: Artifact) -> Path | None:
    """The one model file of an artefact; None where there is none, or several."""
    found = artifact.matching(SPEC.artifacts)
    if len(found) > 1:
        found = tuple(path for path in found if is_model(path))
    return found[0] if len(found) == 1 else None
