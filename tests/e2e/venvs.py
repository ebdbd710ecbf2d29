"""Virtual environments for tests: made in a moment, and without a package index, over what is installed already."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["environ", "over_libraries", "over_workspace", "requirements"]

WORKSPACE: Final = Path(sysconfig.get_path("purelib"))
UV: Final = Path(sysconfig.get_path("scripts")) / "uv"

_OURS: Final = ("fairlead", "_editable_impl_", "__editable__")


def over_workspace(folder: Path) -> Path:
    """An environment that sees all that is installed here, the rooms of the workspace included; returns its Python."""
    python = _made(folder)
    (_site(folder) / "workspace.pth").write_text(f"import site; site.addsitedir({str(WORKSPACE)!r})\n")
    return python


def over_libraries(folder: Path, required_by: Sequence[str] | None = None) -> Path:
    """An environment that sees the libraries that are installed here, and none of the workspace's rooms.

    Args:
        folder: where it is made.
        required_by: distributions; it then sees those libraries alone that they require, as if these were installed.
    """
    python = _made(folder)
    libraries = folder / "libraries"
    libraries.mkdir()
    wanted = None if required_by is None else {entry for name in requirements(required_by) for entry in _entries(name)}
    for entry in WORKSPACE.iterdir():
        if not entry.name.startswith(_OURS) and entry.suffix != ".pth" and (wanted is None or entry.name in wanted):
            (libraries / entry.name).symlink_to(entry)
    (_site(folder) / "libraries.pth").write_text(f"{libraries}\n")
    return python


def requirements(names: Sequence[str]) -> set[str]:
    """All that an installer brings for these distributions, by what each one's metadata requires without extras."""
    found: set[str] = set()
    waiting = [(canonicalize_name(name), frozenset[str]()) for name in names]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for text in importlib.metadata.distribution(name).requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                each = (canonicalize_name(wanted.name), frozenset(wanted.extras))
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
    return found


def _entries(name: str) -> set[str]:
    """The names at the top of the folder of libraries that a distribution has put there."""
    return {file.parts[0] for file in importlib.metadata.distribution(name).files or () if file.parts[0] != ".."}


def environ(python: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a process that runs in an environment: this process's, without what would reach into it."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FAIRLEAD_", "PYTHON", "PYTEST_", "PIP_", "UV_", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join([str(python.parent), inherited.get("PATH", os.defpath)])
    return {**inherited, "PATH": path, "NO_PROXY": "*", "no_proxy": "*", **(variables or {})}


def _made(folder: Path) -> Path:
    subprocess.run([UV, "venv", "--quiet", "--no-project", "--python", sys.executable, folder], check=True)
    return folder / "bin" / "python"


def _site(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
