"""Packages for tests of environments: tiny ones that tests make themselves, and whether an index has others."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Final

__all__ = ["environ", "index_has", "source", "wheel"]

_UV: Final = Path(sysconfig.get_path("scripts")) / "uv"


def environ() -> dict[str, str]:
    """The user's variables without what pip is told: uv is to look where its own settings say."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}


def index_has(*requirements: str) -> bool:
    """Whether these packages can be had: the index, or a cache, has them."""
    command = [str(_UV), "pip", "install", "--dry-run", "--reinstall", "--no-deps", "--python", sys.executable]
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run([*command, *requirements], capture_output=True, timeout=60, check=False).returncode == 0
    return False


def wheel(folder: Path, name: str, version: str, *, code: str = "", requires: tuple[str, ...] = ()) -> Path:
    """A wheel of one module, named as its distribution."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": _metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{place},,\n" for place in (*files, f"{info}/RECORD")))
    return path


def source(folder: Path, name: str, version: str, *, setup: str) -> Path:
    """A source distribution, whose ``setup.py`` runs when somebody builds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for place, text in (("PKG-INFO", _metadata(name, version, ())), ("setup.py", setup)):
            member = tarfile.TarInfo(f"{name}-{version}/{place}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def _metadata(name: str, version: str, requires: tuple[str, ...]) -> str:
    lines = [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
