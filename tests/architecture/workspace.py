"""The folders of the workspace, as the tests of its architecture see them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fairlead.plugins import Kind

ROOT: Final = Path(__file__).resolve().parents[2]

KIND_FOLDERS: Final = {
    "runtimes": Kind.RUNTIME,
    "storage": Kind.STORAGE,
    "explainers": Kind.EXPLAINER,
    "autoscalers": Kind.AUTOSCALER,
}

_ROOMS: Final = ("core", "operator", "plugins", "tests", "benchmarks", "examples")


def python_files() -> Iterator[Path]:
    """Every Python file that people write."""
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not {"_pb", "build", "dist", ".venv"} & set(path.relative_to(ROOT).parts):
                yield path


def plugin_folders() -> list[Path]:
    """The folder of every first-party plugin."""
    return sorted(path.parent for path in (ROOT / "plugins").glob("*/*/pyproject.toml"))


def distribution_folders() -> list[Path]:
    """The folder of everything that is published."""
    rooms = [ROOT / "core", ROOT / "operator"]
    return [*(room for room in rooms if (room / "pyproject.toml").exists()), *plugin_folders()]


def project(folder: Path) -> dict[str, Any]:
    """The ``[project]`` table of a distribution."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def markdown_files() -> list[Path]:
    """Every page that people read."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    pages += [folder / "README.md" for folder in distribution_folders()]
    pages += [page for room in ("benchmarks", "examples", "operator") for page in (ROOT / room).rglob("*.md")]
    return sorted({page for page in pages if page.exists()})


def shown(path: Path) -> str:
    """The path as a test's name has it."""
    return str(path.relative_to(ROOT))
