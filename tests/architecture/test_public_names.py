"""What the packages promise: the names of ``fairlead``, the tree of errors, and how light they are to import."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fairlead
from architecture import workspace
from fairlead import errors

HEAVY = (
    "aiohttp",
    "fastapi",
    "grpc",
    "kopf",
    "kubernetes",
    "numpy",
    "orjson",
    "pandas",
    "pydantic",
    "rich",
    "sklearn",
    "starlette",
    "urllib3",
    "uvicorn",
    "yaml",
)

# -- the names of fairlead ------------------------------------------------------------------------------


def test_what_is_visible_is_what_is_promised() -> None:
    assert fairlead.__all__ == sorted(fairlead.__all__)
    assert dir(fairlead) == sorted([*fairlead.__all__, "__version__"])


@pytest.mark.parametrize("name", fairlead.__all__)
def test_a_public_name_resolves_to_what_its_module_defines(name: str) -> None:
    found = getattr(fairlead, name)
    home = importlib.import_module(f"fairlead.{fairlead._HOMES[name]}")
    assert found is getattr(home, name)
    assert getattr(found, "__name__", name) == name or name == "hookimpl"


def test_type_checkers_and_python_see_the_same_names() -> None:
    assert fairlead.__file__ is not None
    tree = ast.parse(Path(fairlead.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {name: f"fairlead.{home}" for name, home in fairlead._HOMES.items()}
    assert sorted(imported) == fairlead.__all__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fairlead' has no attribute 'no_such_name'"):
        _ = fairlead.no_such_name


# -- how light they are ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    [
        "fairlead",
        "fairlead.autoscaling.buckets",
        "fairlead.cli.main",
        "fairlead.cli.plugins",
        "fairlead.client",
        "fairlead.contracts",
        "fairlead.contracts.autoscaler",
        "fairlead.contracts.explainer",
        "fairlead.contracts.runtime",
        "fairlead.contracts.storage",
        "fairlead.contracts.unpickling",
        "fairlead.errors",
        "fairlead.hookspecs",
        "fairlead.plugins",
        "fairlead.settings",
        "fairlead_operator",
        "fairlead_operator.cli",
    ],
)
def test_importing_it_loads_no_library_that_it_does_not_need(module: str) -> None:
    loaded = _loaded_by(f"import {module}")
    assert [name for name in HEAVY if name in loaded] == []


def test_plugins_are_described_without_loading_a_library() -> None:
    loaded = _loaded_by(
        "from fairlead.plugins import Plugins; plugins = Plugins.discover(allow=None, strict=False);"
        "plugins.runtimes(), plugins.storage_providers(), plugins.explainers(), plugins.autoscalers()"
    )
    assert [name for name in HEAVY if name in loaded] == []


def test_a_server_starts_without_the_kinds_and_what_reads_manifests() -> None:
    loaded = _loaded_by("import fairlead.cli.serve")
    assert "fairlead.cli.serve" in loaded
    assert sorted({"fairlead.api", "pydantic", "yaml"} & loaded) == []


def _loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# -- modules --------------------------------------------------------------------------------------------


def _said_to_be_public(tree: ast.Module) -> set[str] | None:
    """What a module lists in ``__all__``; None where it has no such list, or makes it."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(value, ast.List | ast.Tuple):
            return set(ast.literal_eval(value))
    return None


def _bound(tree: ast.Module) -> set[str]:
    """The names that a module binds, wherever."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


@pytest.mark.parametrize("folder", workspace.distribution_folders(), ids=workspace.shown)
def test_what_a_module_says_is_public_is_there(folder: Path) -> None:
    wrong = {}
    for path in (folder / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if missing := (_said_to_be_public(tree) or set()) - _bound(tree):
            wrong[workspace.shown(path)] = missing
    assert wrong == {}


def test_every_module_of_the_operator_says_what_is_public() -> None:
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in (workspace.ROOT / "operator/src").rglob("*.py")
    }
    silent = [path for path, tree in trees.items() if len(tree.body) > 1 and _said_to_be_public(tree) is None]
    assert [workspace.shown(path) for path in silent] == []


# -- errors ---------------------------------------------------------------------------------------------


def _drawn() -> dict[str, str | None]:
    """The tree at the top of ``errors.py``: each class with its parent."""
    assert errors.__doc__ is not None
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+)  ", line)
        if match is not None:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            parents[match[2]] = above[depth - 1] if depth else None
    return parents


def _defined() -> dict[str, str | None]:
    return {
        name: value.__bases__[0].__name__ if value is not errors.FairleadError else None
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    assert _drawn() == _defined()


def test_every_error_is_public() -> None:
    assert errors.__all__ == sorted(_defined())


def test_errors_are_defined_nowhere_else() -> None:
    known = set(errors.__all__)
    strays = []
    for folder in workspace.distribution_folders():
        for path in (folder / "src").rglob("*.py"):
            if path.name == "errors.py" and path.parent.name == "fairlead":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
                if {base.removeprefix("errors.") for base in bases} & known:
                    strays.append(workspace.shown(path))
    assert strays == []
