"""No hook without a kind, a page, a test and a user."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from architecture import workspace
from fairlead import hookspecs
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HOOKS = sorted(name for name, value in vars(hookspecs).items() if inspect.isfunction(value))

hooks = pytest.mark.parametrize("hook", HOOKS)


def _mentioned(hook: str, paths: Iterable[Path]) -> list[str]:
    pattern = re.compile(rf"\bdef {hook}\(")
    return [workspace.shown(path) for path in paths if pattern.search(path.read_text(encoding="utf-8"))]


def test_every_kind_has_a_hook_and_every_hook_a_kind() -> None:
    assert sorted(kind.hook for kind in Kind) == HOOKS
    assert set(HOOKS) < set(hookspecs.__all__)


@hooks
def test_a_hook_takes_no_arguments_and_has_a_docstring_that_names_its_group(hook: str) -> None:
    function = getattr(hookspecs, hook)
    (kind,) = (kind for kind in Kind if kind.hook == hook)
    assert not inspect.signature(function).parameters
    assert f"``{kind.group}``" in (function.__doc__ or "")


@hooks
def test_a_hook_has_a_heading_in_the_documentation(hook: str) -> None:
    page = (workspace.ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert re.search(rf"^#+ `{hook}`", page, re.MULTILINE)


@hooks
def test_a_hook_is_implemented_by_a_plugin_in_a_test(hook: str) -> None:
    assert _mentioned(hook, (workspace.ROOT / "core" / "tests").rglob("*.py"))


@hooks
def test_a_hook_has_a_user(hook: str) -> None:
    sources = [folder / "src" for folder in workspace.distribution_folders()]
    plugins = [path for source in sources for name in ("_plugin.py", "_plugin.py.tmpl") for path in source.rglob(name)]
    assert _mentioned(hook, plugins)
