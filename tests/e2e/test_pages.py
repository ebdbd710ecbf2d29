"""Pages: what they show works, their data parses, and their links lead somewhere."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml

from architecture import workspace
from e2e import clusters, pages, tables
from e2e.terminal import Terminal

PAGES: Final = workspace.markdown_files()
PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}

every_page = pytest.mark.parametrize("page", PAGES, ids=workspace.shown)
every_page_that_runs = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.language in ("python", "console") for block in pages.blocks(page))],
    ids=workspace.shown,
)


@every_page
def test_every_block_has_a_language_that_is_tested(page: Path) -> None:
    read = pages.blocks(page)
    assert [block.place for block in read if block.language not in pages.LANGUAGES] == []
    fences = re.findall(r"^\s*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(read), f"{page}: a fence is indented, open or of another kind, and would not be read"


@every_page
def test_data_in_a_page_parses(page: Path) -> None:
    for block in pages.blocks(page):
        if block.language in PARSERS:
            try:
                PARSERS[block.language](block.text)
            except (ValueError, yaml.YAMLError) as error:
                pytest.fail(f"{block.place}: {error}")


@every_page
def test_links_lead_to_files_and_to_headings(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", pages.prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if "://" in link or (target.exists() and (not anchor or anchor in _anchors(target))):
            continue
        broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    docs = workspace.ROOT / "docs"
    listed = re.findall(r"\]\(([^)#:\s]+\.md)", (docs / "README.md").read_text(encoding="utf-8"))
    below = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert sorted(name for name in listed if not name.startswith("..")) == sorted(set(below) - {"README.md"})


@every_page_that_runs
def test_a_page_works_as_it_says(page: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("pages ask servers with curl, which is not installed")
    if page.parent.name == "pmml" and shutil.which("java") is None:
        pytest.skip("there is no Java; on Debian and Ubuntu: apt-get install default-jre-headless")
    if missing := _needed(page) - _installed():
        pytest.skip(f"it shows {', '.join(sorted(missing))}, which `make install` has left out")
    with clusters.beside(page, tmp_path) as variables, Terminal(tmp_path, variables) as terminal:
        for block in pages.blocks(page):
            terminal.run(block)


@every_page_that_runs
def test_python_files_in_a_page_compile(page: Path) -> None:
    for block in pages.blocks(page):
        if block.language == "python" and block.file is not None:
            ast.parse(block.text, filename=block.place)


def test_tables_say_what_the_code_says() -> None:
    for page in tables.PAGES:
        assert page.read_text(encoding="utf-8") == tables.rewritten(page), "run: python tests/e2e/tables.py"


def _needed(page: Path) -> set[str]:
    """The plugins that a page shows, of those that need torch, which not every machine has."""
    text = page.read_text(encoding="utf-8")
    shown = {"fairlead-runtime-torch": "--format torch", "fairlead-explainer-captum": "--explainer captum"}
    own = {workspace.project(folder)["name"] for folder in workspace.plugin_folders() if folder == page.parent}
    return own | {name for name, words in shown.items() if words in text}


def _installed() -> set[str]:
    """The distributions of this environment."""
    return {found.name for found in importlib.metadata.distributions()}


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", pages.prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
