"""Runtimes that others publish as images, each in a file of this package."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["manifests", "texts"]


def texts() -> dict[str, str]:
    """The files as they are written, by the name of the runtime, in the order of their names."""
    folder = importlib.resources.files(__package__) / "images"
    found = {each.name: each for each in folder.iterdir() if each.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): found[name].read_text(encoding="utf-8") for name in sorted(found)}


def manifests() -> list[Manifest]:
    """The ClusterServingRuntimes that the files hold."""
    return [yaml.safe_load(text) for text in texts().values()]
