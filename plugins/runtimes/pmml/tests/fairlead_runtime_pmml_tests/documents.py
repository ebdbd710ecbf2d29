"""The documents that the tests serve."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["REGRESSION", "TREE", "with_version"]

_FOLDER: Final = Path(__file__).with_name("artifacts")
TREE: Final = _FOLDER / "tree.pmml"
"""A tree of two numbers, with a class, its probabilities and the node as output fields."""
REGRESSION: Final = _FOLDER / "regression.pmml"
"""A regression of an integer, which has a range and a value in place of a missing one, and of a category."""


def with_version(path: Path, version: str) -> str:
    """The text of a document of another version of PMML."""
    return path.read_text().replace("PMML-4_4", f"PMML-{version.replace('.', '_')}").replace('"4.4"', f'"{version}"')
