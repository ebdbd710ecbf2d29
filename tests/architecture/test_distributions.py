"""What every distribution of the workspace has, and what a plugin's must be called."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from architecture import workspace
from fairlead.cli import scaffold

if TYPE_CHECKING:
    from pathlib import Path

distributions = pytest.mark.parametrize("folder", workspace.distribution_folders(), ids=workspace.shown)
plugins = pytest.mark.parametrize("folder", workspace.plugin_folders(), ids=workspace.shown)


def import_name(folder: Path) -> str:
    name: str = workspace.project(folder)["name"]
    return name.replace("-", "_")


@distributions
def test_versions_move_in_lockstep(folder: Path) -> None:
    assert workspace.project(folder)["version"] == workspace.project(workspace.ROOT / "core")["version"]


@distributions
def test_a_distribution_declares_its_license_python_and_readme(folder: Path) -> None:
    project = workspace.project(folder)
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert project["description"]
    assert project["readme"] == "README.md"


@distributions
def test_a_distribution_has_one_typed_package_below_src(folder: Path) -> None:
    packages = [path.name for path in (folder / "src").iterdir() if (path / "__init__.py").exists()]
    assert packages == [import_name(folder)]
    assert (folder / "src" / packages[0] / "py.typed").exists()


@distributions
def test_a_distribution_has_a_readme_that_is_named_for_it(folder: Path) -> None:
    first, *rest = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert first == f"# {workspace.project(folder)['name']}"
    assert "".join(rest).strip()


@distributions
def test_the_tests_of_a_distribution_are_in_a_package_that_is_named_for_it(folder: Path) -> None:
    assert (folder / "tests" / f"{import_name(folder)}_tests" / "__init__.py").exists()


def test_the_operator_declares_every_library_that_it_imports() -> None:
    folder = workspace.ROOT / "operator"
    declared = {re.split(r"[^\w.-]", each)[0] for each in workspace.project(folder)["dependencies"]}
    owners = metadata.packages_distributions()
    undeclared = set()
    for path in (folder / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for library in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {import_name(folder)}:
                if not declared & {owner.lower().replace("_", "-") for owner in owners.get(library, [library])}:
                    undeclared.add(library)
    assert undeclared == set()


@plugins
def test_a_plugin_is_named_for_its_kind_and_its_folder(folder: Path) -> None:
    kind = workspace.KIND_FOLDERS[folder.parent.name]
    assert workspace.project(folder)["name"] == kind.distribution(folder.name)


@plugins
def test_a_plugin_has_one_entry_point_in_the_group_of_its_kind(folder: Path) -> None:
    kind = workspace.KIND_FOLDERS[folder.parent.name]
    assert workspace.project(folder)["entry-points"] == {
        kind.group: {folder.name: f"{import_name(folder)}._plugin"},
    }
    assert (folder / "src" / import_name(folder) / "_plugin.py").exists()


@plugins
def test_a_plugin_declares_the_versions_of_the_core_that_it_works_with(folder: Path) -> None:
    project = workspace.project(folder)
    assert f"fairlead{scaffold.core_range(project['version'])}" in project["dependencies"]
