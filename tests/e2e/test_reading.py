"""How pages are read: a rule that holds too little would let a wrong page pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import pages
from e2e.terminal import Terminal

PAGE = """\
# A page

```python
# file: folder/one.py
x = 1
```

Prose with `code`.

```console fails
$ first \\
    --more
printed

$ second &
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def write(page: Path, block: str) -> pages.Block:
    page.write_text(block)
    return pages.blocks(page)[0]


def test_blocks_have_a_language_options_a_file_and_a_line(page: Path) -> None:
    first, second = pages.blocks(page)
    assert (first.language, first.options, first.file, first.line) == ("python", (), "folder/one.py", 4)
    assert (second.language, second.options, second.file, second.line) == ("console", ("fails",), None, 11)
    assert "Prose with `code`." in pages.prose(page)
    assert "x = 1" not in pages.prose(page)


def test_commands_go_on_after_a_backslash_and_have_what_they_print(page: Path) -> None:
    first, second = pages.commands(pages.blocks(page)[1])
    assert first == pages.Command("first \\\n    --more", ("printed", ""), f"{page}:11")
    assert second == pages.Command("second &", (), f"{page}:15")


def test_a_console_block_begins_with_a_command(page: Path) -> None:
    block = write(page, "```console\nls\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:2: a console block begins with a command"):
        list(pages.commands(block))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a", "b"], "a\nb\n", True),
        (["a", "b"], "a\nc\n", False),
        (["a"], "a\nb\n", False),
        (["a", "b"], "a\n", False),
        (["a", ""], "\na  \n\n", True),
        (["a ... c"], "a b c\n", True),
        (["a ... c"], "a b d\n", False),
        (["a ... c"], "a b\nc\n", False),
        (["...", "c"], "a\nb\nc\n", True),
        (["...", "c"], "c\n", True),
        (["a", "...", "c"], "a\nb\nd\n", False),
        (["(.*)"], "anything\n", False),
    ],
)
def test_what_is_printed_is_compared_line_by_line(expected: list[str], printed: str, same: bool) -> None:
    assert pages.matches(expected, printed) is same


@pytest.mark.parametrize(
    "block",
    [
        "```python\nassert False\n```\n",
        "```python\nimport warnings\nwarnings.warn('old')\n```\n",
        "```console\n$ false\n```\n",
        "```console fails\n$ true\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ make test\n```\n",
        "```console\n$ fairlead serve no-such-file &\n```\n",
    ],
)
def test_a_page_that_is_wrong_fails(page: Path, tmp_path: Path, block: str) -> None:
    written = write(page, block)
    folder = tmp_path / "terminal"
    folder.mkdir()
    with Terminal(folder) as terminal, pytest.raises(AssertionError, match=r"page\.md:2"):
        terminal.run(written)


def test_a_terminal_stays_in_the_folder_that_a_command_went_to(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    with Terminal(tmp_path) as terminal:
        terminal.run(write(page, "```text\n# file: there/note.txt\nport 8080\n```\n"))
        terminal.run(write(page, "```console\n$ cd there\n$ ls\nnote.txt\n$ grep -c 80'80' note.txt || true\n0\n```\n"))
