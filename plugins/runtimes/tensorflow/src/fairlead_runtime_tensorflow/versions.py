"""The versions that saved a model, read without TensorFlow: from the start of a SavedModel, or a Keras archive.

A SavedModel is a message ``SavedModel``: its field 2 is a ``MetaGraphDef``, whose field 1 is a ``MetaInfoDef``, whose
field 5 is the version of TensorFlow (tensorflow/core/protobuf, saved_model.proto and meta_graph.proto).
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fairlead import errors
from fairlead_runtime_tensorflow import layout

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["of_keras", "of_saved_model", "recorded"]

_TO_VERSION: Final = (2, 1, 5)
_MOST_FIELDS: Final = 64
"""Fields that are looked at on each level; the one that is looked for is among the first."""
_LONGEST_VERSION: Final = 64
_MOST_METADATA: Final = 1 << 16
_VERSION: Final = re.compile(r"\d+(\.\d+)+[0-9A-Za-z.+-]*")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def recorded(artifact: Artifact) -> Mapping[str, str]:
    """The versions that an artefact was saved with, by distribution; nothing where it does not say."""
    try:
        found = layout.find(artifact)
    except errors.FairleadError:
        return {}
    version = of_keras(found.path) if found.is_keras else of_saved_model(found.graph)
    return {} if version is None else {"keras" if found.is_keras else "tensorflow": version}


def of_saved_model(path: Path) -> str | None:
    """The version of TensorFlow that saved a graph; None where it is damaged, or does not say."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        end = path.stat().st_size
        for number in _TO_VERSION:
            end = _enter(file, number, end)
        if end - file.tell() <= _LONGEST_VERSION:
            return _version(file.read(end - file.tell()).decode("utf-8"))
    return None


def of_keras(path: Path) -> str | None:
    """The version of Keras that saved an archive; None where it is damaged, or does not say."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as file:
            document = json.loads(file.read(_MOST_METADATA))
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile):
        return None
    return _version(document.get("keras_version")) if isinstance(document, dict) else None


def _version(text: object) -> str | None:
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else None


def _enter(file: IO[bytes], wanted: int, end: int) -> int:
    """Go to the start of a field of a message that ends there; returns where the field ends.

    Raises:
        ValueError: it has no such field, or is no message.
    """
    for _ in range(_MOST_FIELDS):
        number, kind = divmod(_varint(file), 8)
        if kind == _BYTES:
            length = _varint(file)
            if file.tell() + length > end:
                raise ValueError("a field is longer than its message")
            if number == wanted:
                return file.tell() + length
            file.seek(length, 1)
        elif kind == _VARINT:
            _varint(file)
        elif kind in (_FIXED32, _FIXED64):
            file.seek(4 if kind == _FIXED32 else 8, 1)
        else:
            raise ValueError(f"there is no field of type {kind}")
        if file.tell() >= end:
            break
    raise ValueError(f"there is no field {wanted}")


def _varint(file: IO[bytes]) -> int:
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends in a number")
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise ValueError("a number has more than 64 bits")
