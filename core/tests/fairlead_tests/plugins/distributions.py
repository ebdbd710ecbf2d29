"""Real installed distributions: a package and its metadata in a folder that is on ``sys.path``."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_COUNT = itertools.count()

RUNTIME = """
from fairlead import ModelFormat, RuntimeSpec, hookimpl

@hookimpl
def fairlead_runtimes():
    formats = (ModelFormat({name!r}),)
    return [RuntimeSpec(name={name!r}, formats=formats, factory="{package}.work:Work", artifacts=("*.x",))]
"""

WORK = """
from fairlead import Runtime

class Work(Runtime):
    def load(self, artifact, settings):
        raise NotImplementedError
"""

EXPLAINER = """
from fairlead import ExplainerSpec, hookimpl

@hookimpl
def fairlead_explainers():
    return [ExplainerSpec(name={name!r}, explains=("tabular",), factory="{package}.work:Work")]
"""


class Site:
    """A folder of installed distributions, first on ``sys.path`` for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: list[str] = []

    def install(
        self,
        name: str,
        *,
        plugin: str | None = RUNTIME,
        work: str = WORK,
        group: str = "fairlead.runtimes",
        distribution: str | None = None,
        requires: tuple[str, ...] = (),
        entry_points: str | None = None,
        metadata: str | None = None,
        version: str = "1.2.3",
    ) -> str:
        """Install one distribution with one plugin, and return the name of its module.

        ``plugin`` is the text of ``_plugin.py``, in which ``{name}`` and ``{package}`` are filled in; None for a
        distribution whose package is missing.
        """
        package = f"planted_{next(_COUNT)}_{name.replace('-', '_')}"
        distribution = distribution or f"fairlead-runtime-{name}"
        if plugin is not None:
            (self.folder / package).mkdir()
            (self.folder / package / "__init__.py").write_text("")
            filled = plugin.replace("{name!r}", repr(name)).replace("{package}", package)
            (self.folder / package / "_plugin.py").write_text(filled)
            (self.folder / package / "work.py").write_text(work)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Requires-Dist: {requirement}" for requirement in requires]
        if metadata is None:
            metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}", *lines, ""])
        (info / "METADATA").write_text(metadata)
        if entry_points is None:
            entry_points = f"[{group}]\n{name} = {package}._plugin\n"
        (info / "entry_points.txt").write_text(entry_points.replace("{package}", package))
        self.packages.append(package)
        importlib.invalidate_caches()
        return f"{package}._plugin"

    def environment(self, **variables: str) -> Mapping[str, str]:
        """The environment of a child process that sees these distributions."""
        return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self.folder), **variables}

    def forget(self) -> None:
        """Drop what the tests imported."""
        for module in [each for each in sys.modules if each.partition(".")[0] in self.packages]:
            del sys.modules[module]


def is_imported(module: str) -> bool:
    """Whether a module, or the package that it is in, is imported."""
    return module in sys.modules or module.partition(".")[0] in sys.modules


def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty site that is on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)
