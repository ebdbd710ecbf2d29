"""Pages: their Python compiles, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from architecture import workspace

if TYPE_CHECKING:
    from pathlib import Path

pages = pytest.mark.parametrize("page", workspace.markdown_files(), ids=workspace.shown)

_BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pages
def test_python_in_a_page_compiles(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))
        try:
            ast.parse("\n" * line + block[1])
        except SyntaxError as error:
            pytest.fail(f"{workspace.shown(page)}, line {error.lineno}: {error.msg}")


@pages
def test_links_to_files_lead_to_files(page: Path) -> None:
    prose = _FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in _LINK.findall(prose) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []
