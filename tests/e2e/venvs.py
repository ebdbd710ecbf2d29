"""Virtual environments for tests: made in a moment, and without a package index, over what is installed already."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["environ", "over_libraries", "over_workspace"]

WORKSPACE: Final = Path(sysconfig.get_path("purelib"))
UV: Final = Path(sysconfig.get_path("scripts")) / "uv"

_OURS: Final = ("fairlead", "_editable_impl_", "__editable__")


def over_workspace(folder: Path) -> Path:
    """An environment that sees all that is installed here, the rooms of the workspace included; returns its Python."""
    python = _made(folder)
    (_site(folder) / "workspace.pth").write_text(f"import site; site.addsitedir({str(WORKSPACE)!r})\n")
    return python


def over_libraries(folder: Path) -> Path:
    """An environment that sees the libraries that are installed here, and none of the workspace's rooms."""
    python = _made(folder)
    libraries = folder / "libraries"
    libraries.mkdir()
    for entry in WORKSPACE.iterdir():
        if not entry.name.startswith(_OURS) and entry.suffix != ".pth":
            (libraries / entry.name).symlink_to(entry)
    (_site(folder) / "libraries.pth").write_text(f"{libraries}\n")
    return python


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
