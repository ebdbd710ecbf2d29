"""XGBoost's files, as far as a look at their bytes tells: whether one is a model, and which version saved it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fairlead.runtimes import estimators, pickles
from fairlead_runtime_xgboost._plugin import LIBRARY, SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["is_model", "is_pickle", "needed", "recognises", "recorded", "saved_with"]

_LOOK: Final = 4096
_CHUNK: Final = 1 << 20
_START: Final = re.compile(rb'\s*\{\s*("learner"|"version"|[iUIlL]\x00*\x07(learner|version))')
_OLD: Final = b"binf"
"""The start of the binary format that XGBoost wrote before version 2.1, and no longer reads."""

_NUMBER: Final = rb"[iU](?s:.)|I(?s:..)"
# {"version": [3, 2, 0]}, in JSON or in UBJSON, where a marker says how many bytes each number has.
_JSON: Final = rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]'
_UBJSON: Final = rb"\x07version\[#[iUIlL]\x00*\x03(" + _NUMBER + rb")(" + _NUMBER + rb")(" + _NUMBER + rb")"
_RECORD: Final = re.compile(_JSON + rb"|" + _UBJSON)


def is_pickle(path: Path) -> bool:
    """Whether a file's name says that it holds a pickled object."""
    return path.suffix.lower() in estimators.PICKLES


def is_model(path: Path) -> bool:
    """Whether a file is a model of XGBoost; the versions that are no longer read count."""
    if is_pickle(path):
        return estimators.top_package(path) == LIBRARY.module
    with path.open("rb") as file:
        start = file.read(_LOOK)
    return _START.match(start) is not None or start.startswith(_OLD)


def recognises(artifact: Artifact) -> bool:
    """Whether a file of an artefact is a model of XGBoost."""
    return any(is_model(path) for path in artifact.matching(SPEC.artifacts))


def saved_with(artifact: Artifact) -> Mapping[str, str]:
    """The version of XGBoost that an artefact was saved with, by distribution name; see `recorded`.

    Empty where it is not known, or where the artefact does not hold exactly one model file.
    """
    path = _model(artifact)
    version = None if path is None else recorded(path)
    return {} if version is None else {LIBRARY.distribution: version}


def needed(artifact: Artifact) -> Mapping[str, str]:
    """As `saved_with`, and empty for a model file of an older version: XGBoost goes on reading its own formats.

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
    """The version that a model names, for example ``3.2.0``; None when it names none.

    Of JSON and UBJSON only the start and the end are read, where XGBoost writes it; a pickle is searched whole, and
    nothing of it runs.
    """
    try:
        with path.open("rb") as file:
            return _scanned(pickles.expanded(file)) if is_pickle(path) else _at_ends(file)
    except (OSError, EOFError, ValueError):
        return None  # it is damaged, and the error of the load says so


def _at_ends(file: IO[bytes]) -> str | None:
    start = file.read(_LOOK)
    file.seek(max(0, file.seek(0, 2) - _LOOK))
    end = file.read()
    return _version(_RECORD.search(end)) or _version(_RECORD.search(start))


def _scanned(stream: IO[bytes]) -> str | None:
    window = b""
    while piece := stream.read(_CHUNK):
        window = window[-128:] + piece
        if found := _version(_RECORD.search(window)):
            return found
    return None


def _version(found: re.Match[bytes] | None) -> str | None:
    if found is None:
        return None
    if found[1] is not None:
        return ".".join(number.decode() for number in found.groups()[:3])
    return ".".join(str(int.from_bytes(number[1:], "big")) for number in found.groups()[3:])


def _model(artifact: Artifact) -> Path | None:
    """The one model file of an artefact; None where there is none, or several."""
    found = artifact.matching(SPEC.artifacts)
    if len(found) > 1:
        found = tuple(path for path in found if is_model(path))
    return found[0] if len(found) == 1 else None
