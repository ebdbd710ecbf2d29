"""The two files of a model: the program, and its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fairlead import Artifact, errors

__all__ = ["Files", "find", "recognises", "recorded"]

PROGRAM: Final = "*.pdmodel"
"""A program in the old form, a message of protobuf."""
JSON_PROGRAM: Final = "*.json"
"""A program in the form of PaddlePaddle 3."""
PARAMETERS: Final = "*.pdiparams"

_HEAD: Final = 4096
_MAGIC: Final = (b'"base_code"', b'"pir"')
_BLOCKS: Final = b"\x0a"  # the key of the first field of ProgramDesc
_FIRST_VERSION: Final = bytes(4)  # of the encoding of a tensor
_VERSION_FIELD: Final = 4  # of ProgramDesc in framework.proto; a message with the number as field 1
_MILLION, _THOUSAND = 1_000_000, 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """The files of a model.

    Attributes:
        program: the program.
        parameters: its parameters.
    """

    program: Path
    parameters: Path


def find(artifact: Artifact) -> Files:
    """The files of an artefact: one program, one file of parameters.

    A ``.pdmodel`` is preferred to a ``.json``. Of an artefact that is a single file, the other one lies beside it
    under the same name.

    Raises:
        ArtifactMissing: one of them is missing.
        ArtifactAmbiguous: there are several.
    """
    if artifact.path.is_file():
        return _beside(artifact)
    old = artifact.matching((PROGRAM,))
    program = artifact.only((PROGRAM,)) if old else artifact.only((JSON_PROGRAM, PROGRAM))
    return Files(program, artifact.only((PARAMETERS,)))


def recognises(artifact: Artifact) -> bool:
    """Whether a file begins as the programs and the parameters of PaddlePaddle do."""
    try:
        return any(_begins(path) for path in artifact.matching((PROGRAM, JSON_PROGRAM, PARAMETERS)))
    except OSError:
        return False


def recorded(artifact: Artifact) -> Mapping[str, str]:
    """The version that saved a ``.pdmodel``, by distribution; a ``.json`` records none."""
    try:
        program = find(artifact).program
        number = _version(program.read_bytes()) if program.suffix == ".pdmodel" else 0
    except (errors.ModelLoadError, OSError, ValueError, IndexError):
        return {}  # the load says what is wrong
    if not number:
        return {}
    return {"paddlepaddle": f"{number // _MILLION}.{number // _THOUSAND % _THOUSAND}.{number % _THOUSAND}"}


def _beside(artifact: Artifact) -> Files:
    path = artifact.path
    if path.suffix != ".pdiparams":
        found = Files(path, path.with_suffix(".pdiparams"))
    else:
        old = path.with_suffix(".pdmodel")
        found = Files(old if old.exists() else path.with_suffix(".json"), path)
    for each in (found.program, found.parameters):
        if not each.is_file():
            raise errors.ArtifactMissing(
                f"{path.name} is one of the two files of a PaddlePaddle model, and {each.name} is not beside it.",
                remedy="Give the folder that holds both files.",
            )
    return found


def _begins(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if path.suffix == ".json":
        return all(each in head for each in _MAGIC)
    return head.startswith(_BLOCKS if path.suffix == ".pdmodel" else _FIRST_VERSION)


def _version(content: bytes) -> int:
    """The number of the version in a program; 0 where it holds none."""
    for field, value in _fields(content):
        if field == _VERSION_FIELD and isinstance(value, bytes):
            return next((number for inner, number in _fields(value) if inner == 1 and isinstance(number, int)), 0)
    return 0


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message of protobuf: numbers and strings, which are all that these messages hold.

    Raises:
        ValueError: it holds something else.
        IndexError: it is not whole.
    """
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        value, place = _varint(content, place)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:  # a string, whose length comes first
            yield key >> 3, content[place : place + value]
            place += value
        else:
            raise ValueError("no program")


def _varint(content: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # the highest bit says that the number goes on
            return number, place
