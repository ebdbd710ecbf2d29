"""The packages that an artefact asks for: files of requirements, and what may stand in them.

What an artefact says is somebody's input. It may name packages and their versions, and cannot say where they come from:
options, addresses and paths are refused, so that nobody but the user decides which index or folder is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from fairlead import errors

__all__ = ["FILE", "MOST_BYTES", "MOST_LINES", "check", "read"]

FILE: Final = "requirements.txt"
"""The name that a file of requirements has by convention."""

MOST_BYTES: Final = 64 * 1024
"""The largest file that is read."""

MOST_LINES: Final = 500
"""The most requirements of one artefact."""

_LONGEST: Final = 1000
_SHOWN: Final = 80
_COMMENT: Final = re.compile(r"(?:^|\s+)#.*$")
_REMEDY: Final = "Write a package and its versions, such as scipy>=1.11, one to a line."


def read(path: Path) -> tuple[str, ...]:
    """The requirements of a file as pip reads it: one to a line, without comments and empty lines.

    Args:
        path: the file.

    Returns:
        The requirement specifiers, in the order of the file.

    Raises:
        ModelLoadError: the file cannot be read, is too large, or has something else in it; with the line's number.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise errors.ModelLoadError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MOST_BYTES:
        raise errors.ModelLoadError(f"{path} has more than {MOST_BYTES} bytes, which is too much for requirements.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.ModelLoadError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    lines = ((number, _COMMENT.sub("", line).strip()) for number, line in enumerate(text.splitlines(), 1))
    found = [(f"{path}:{number}", line) for number, line in lines if line]
    return tuple(str(each) for each in _checked(found))


def check(lines: Iterable[str], origin: str) -> tuple[Requirement, ...]:
    """Parse requirement specifiers, and refuse everything else that uv or pip would understand.

    Args:
        lines: the specifiers.
        origin: who says them, for messages.

    Raises:
        ModelLoadError: there are too many, or one is none.
    """
    return _checked([(origin, line) for line in lines])


def _checked(lines: list[tuple[str, str]]) -> tuple[Requirement, ...]:
    if len(lines) > MOST_LINES:
        raise errors.ModelLoadError(f"{lines[-1][0]}: there are {len(lines)} requirements, and at most {MOST_LINES}.")
    return tuple(_requirement(place, line) for place, line in lines)


def _requirement(place: str, line: str) -> Requirement:
    """One requirement.

    Raises:
        ModelLoadError: it is an option, names where the package comes from, or is none.
    """
    shown = repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
    if line.startswith("-") or re.search(r"\s--?[a-z]", line):
        raise errors.ModelLoadError(
            f"{place}: {shown} has an option of pip's, which an artefact may not give.",
            remedy=f"{_REMEDY} Where packages come from is said by uv's and pip's own settings.",
        )
    try:
        found = Requirement(line) if len(line) <= _LONGEST else None
    except InvalidRequirement as error:
        raise errors.ModelLoadError(
            f"{place}: {shown} is no requirement specifier: {str(error).splitlines()[0]}.", remedy=_REMEDY
        ) from error
    if found is None or found.url is not None:
        what = "is too long" if found is None else "says where the package comes from, which an artefact may not"
        raise errors.ModelLoadError(f"{place}: {shown} {what}.", remedy=_REMEDY)
    return found
