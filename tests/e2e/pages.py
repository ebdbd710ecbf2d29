"""How the project's pages are read: their fenced blocks, and the commands in those that show a terminal.

========  ==============================================================================================
language  what a test does with the block
========  ==============================================================================================
console   runs the lines that begin with ``$``, and compares what they print with the lines below them
json      parses it
python    runs it in a Python process of its own
text      nothing: it is output or an illustration
toml      parses it
yaml      parses it
========  ==============================================================================================

A block that begins with ``# file: NAME`` is written to that file in place of being run. ``...`` stands for any text in
a line, and on a line of its own for any lines. A command that ends in ``&`` is a server: it runs until ``kill %1``,
or to the end of the page. A block ``console fails`` shows commands of which the last does not succeed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["LANGUAGES", "Block", "Command", "blocks", "commands", "matches", "prose"]

LANGUAGES: Final = ("console", "json", "python", "text", "toml", "yaml")

_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_FILE: Final = re.compile(r"# file: (\S+)\n")
_ANYTHING: Final = "..."


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: the page that it is on.
        line: the number of its first line, below the fence.
        language: the first word behind the fence.
        options: the other words there.
        text: what it holds.
    """

    page: Path
    line: int
    language: str
    options: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is to be written to."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def place(self) -> str:
        """Where it is, as editors understand it."""
        return f"{self.page}:{self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """A command that a page shows, with what it prints.

    Attributes:
        text: the command; may have several lines.
        output: the lines below it; none when the page does not show what it prints.
        place: where it is.
    """

    text: str
    output: tuple[str, ...]
    place: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, *options = match["info"].split() or [""]
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(page, line, language, tuple(options), match["text"]))
    return found


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(block: Block) -> Iterator[Command]:
    r"""The commands of a console block; one that ends in ``\`` goes on in the next line.

    Raises:
        ValueError: the block begins with something else.
    """
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        raise ValueError(f"{block.place}: a console block begins with a command: $ ...")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = lines[start:end]
        length = 1 + next(number for number, line in enumerate(shown) if not line.endswith("\\"))
        text = "\n".join(shown[:length]).removeprefix("$ ")
        yield Command(text, tuple(shown[length:]), f"{block.page}:{block.line + start}")


def matches(expected: Sequence[str], printed: str) -> bool:
    """Whether a command printed what the page shows; space at the ends does not count."""
    shown = "\n".join(expected).strip("\n").splitlines()
    pattern = "".join(
        r"(?:.*\n)*?"
        if line.strip() == _ANYTHING
        else ".*?".join(re.escape(part) for part in line.rstrip().split(_ANYTHING)) + "\n"
        for line in shown
    )
    trimmed = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, trimmed + "\n" if trimmed else "") is not None
