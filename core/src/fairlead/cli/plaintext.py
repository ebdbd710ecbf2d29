"""Text from logs and manifests that is made fit for a terminal, and columns of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["clean", "columns", "indented", "line"]

_ESCAPE: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-_])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """A text without what moves the cursor, changes colours, or turns the direction of writing."""
    return _CONTROL.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def line(text: str) -> str:
    """A text as one clean line: its first, with ``...`` where there are more."""
    first, *others = clean(text).strip().split("\n") or [""]
    return f"{' '.join(first.split())} ..." if others else " ".join(first.split())


def indented(text: str, by: int) -> list[str]:
    """The lines of a text, clean and indented, without empty ones around them."""
    lines = clean(text).expandtabs(4).strip("\n").rstrip().split("\n")
    return [f"{' ' * by}{each.rstrip()}".rstrip() for each in lines]


def columns(rows: Sequence[Sequence[str]], by: int) -> list[str]:
    """Rows of equal length as indented lines in columns, two spaces between them; every cell is one line."""
    table = [[line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        (" " * by + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in table
    ]
