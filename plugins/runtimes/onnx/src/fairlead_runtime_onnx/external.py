"""Weights that a model keeps in other files: none may lie outside of the artefact.

A name in the file decides what the server opens and what its answers are computed from, so that every one is looked at
before onnxruntime opens the model.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_runtime_onnx import graph

if TYPE_CHECKING:
    from fairlead_runtime_onnx.wire import Buffer

__all__ = ["check"]

_IN_MEMORY: Final = "_ORT_MEM_ADDR_"
"""How onnxruntime marks an address of its own memory in place of a file."""

_SAVE: Final = "Save the model again with its external data in files beside it, and give the folder that holds them."


def check(path: Path, data: Buffer, folder: Path | None) -> None:
    """Refuse a model that names a file outside of its artefact, or one that is not there.

    Args:
        path: the model's file.
        data: its content.
        folder: the artefact; None where the file is the artefact. Such a model may use the files beside it whose names
            begin as its own does (``model.onnx.data``, ``model_weights.bin`` of ``model.onnx``), and no others.

    Raises:
        ModelLoadError: it does.
        ValueError: the content is no model.
    """
    for location in sorted(graph.external_locations(data)):
        _check(path, os.fsdecode(location), folder)


def _check(path: Path, location: str, folder: Path | None) -> None:
    named = f"{path.name} keeps data in the file {location!r}"
    if not location.isprintable() or _IN_MEMORY in location:
        raise errors.ModelLoadError(f"{named}, which is no name of a file.", remedy=_SAVE)
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    if ".." in parts or PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor:
        raise errors.ModelLoadError(f"{named}; a path out of the model's own folder is refused.", remedy=_SAVE)
    target = (path.parent / location).resolve()
    if folder is None and not (target.parent == path.parent.resolve() and target.name.startswith(path.stem)):
        raise errors.ModelLoadError(
            f"{named}, and the artefact is {path.name} alone.", remedy="Give the folder that holds both."
        )
    if folder is not None and not target.is_relative_to(folder.resolve()):
        raise errors.ModelLoadError(f"{named}, a link to outside of the artefact, which is refused.", remedy=_SAVE)
    if not target.is_file():
        raise errors.ModelLoadError(
            f"{named}, which is not there, or is no file.", remedy="Copy the model again, with all of its files."
        )
