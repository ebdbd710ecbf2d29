"""A look at a document before a JVM is asked: it is XML, it is PMML, and it has no document type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from xml.parsers import expat

from fairlead import errors

__all__ = ["check"]

_CHUNK: Final = 1 << 20
_ROOT: Final = "PMML"


def check(path: Path) -> None:
    """Read a document through, keeping nothing of it.

    Raises:
        ModelLoadError: it is empty, breaks off, is no XML, no PMML, or has a document type, whose entities could name
            other files.
    """
    if path.stat().st_size == 0:
        raise errors.ModelLoadError(f"{path.name} is empty.", remedy="Save the model again, or copy the file again.")
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = _root(path, parser)
    parser.StartDoctypeDeclHandler = _refuse(path)
    with path.open("rb") as file:
        try:
            while piece := file.read(_CHUNK):
                parser.Parse(piece)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise errors.ModelLoadError(
                f"{path.name} is no whole document of XML: {error}.", remedy="Check that the file is whole."
            ) from error


def _root(path: Path, parser: expat.XMLParserType) -> Callable[[str, dict[str, str]], None]:
    def start(name: str, _attributes: dict[str, str]) -> None:
        parser.StartElementHandler = None
        if name.rpartition("}")[2] != _ROOT:
            raise errors.ModelLoadError(
                f"{path.name} is a document of {name.rpartition('}')[2]!r}, and not of PMML.",
                remedy="Export the model as PMML 3 or 4.",
            )

    return start


def _refuse(path: Path) -> Callable[[str, str | None, str | None, bool], None]:
    def doctype(*_declaration: object) -> None:
        raise errors.ModelLoadError(
            f"{path.name} has a document type (DOCTYPE), whose entities could name other files.",
            remedy="Remove it: PMML needs none.",
        )

    return doctype
