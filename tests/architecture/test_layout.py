"""Where things are: guards against layouts that were seen to break imports or to lose tests."""

from __future__ import annotations

import operator
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from architecture import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_MODULE = 500


def test_folders_that_hold_rooms_are_no_packages() -> None:
    holders = [
        workspace.ROOT / name for name in ("core", "operator", "plugins", "tests", "tests/support", "benchmarks")
    ]
    holders += [folder for kind in (workspace.ROOT / "plugins").glob("*/") for folder in (kind, *kind.glob("*/"))]
    holders += [folder for room in workspace.distribution_folders() for folder in (room / "src", room / "tests")]
    assert [workspace.shown(folder) for folder in holders if (folder / "__init__.py").exists()] == []


def test_operator_is_the_module_of_the_standard_library() -> None:
    assert operator.__file__ is not None
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert operator.add(1, 2) == 3


def test_pytest_imports_tests_in_its_default_mode(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("importmode") == "prepend"


def _test_folders() -> Iterator[Path]:
    yield from {path.parent for path in workspace.python_files() if path.name.startswith(("test_", "conftest"))}


def _outermost_package(folder: Path) -> Path:
    while (folder.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


def test_every_folder_of_tests_is_a_package() -> None:
    assert [workspace.shown(folder) for folder in _test_folders() if not (folder / "__init__.py").exists()] == []


def test_packages_of_tests_and_what_they_share_have_names_of_their_own() -> None:
    shared = [path.parent for path in (workspace.ROOT / "tests" / "support").glob("*/__init__.py")]
    packages = sorted({_outermost_package(folder) for folder in (*_test_folders(), *shared)})
    names = [package.name for package in packages]
    assert len(names) == len(set(names)), names
    assert not set(names) & set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", list(workspace.python_files()), ids=workspace.shown)
def test_modules_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{workspace.shown(path)} has {lines} lines: split it by what it does"


def test_lock_files_are_not_tracked() -> None:
    """They would hold the host names of whichever package index resolved them."""
    if not (workspace.ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "uv.lock", "**/uv.lock", "package-lock.json", "**/package-lock.json"],
        cwd=workspace.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ""
