"""Environments of their own for packages whose requirements differ from ours; made once, and kept in build/."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["environment"]

ROOT: Final = Path(__file__).resolve().parents[2]

_TOLD: Final = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX"}
"""What uv does not read from pip's configuration, and the variables that tell it."""


def environment(name: str, constraints: Path, rooms: Sequence[str] = ()) -> Path:
    """The Python of an environment with exactly what a constraints file pins, or with rooms of this repository.

    Args:
        name: the environment's name.
        constraints: a file of ``package==version`` lines; a change of it makes the environment anew.
        rooms: folders of packages of ours; they and what they require are installed, in the pinned versions, and
            nothing else.
    """
    read = [constraints, *(ROOT / room / "pyproject.toml" for room in rooms)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in read)).hexdigest()[:12]
    wanted: list[str | Path] = ["--constraint" if rooms else "--requirement", constraints]
    for room in rooms:
        wanted += ["--editable", ROOT / room]
    folder = ROOT / "build" / "environments" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = folder / "complete"
        if not complete.exists():
            uv = Path(sys.prefix) / "bin" / "uv"
            environ = {**os.environ, **_indexes()}
            subprocess.run(
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True, env=environ
            )
            install: list[str | Path] = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
            subprocess.run([*install, *wanted], check=True, env=environ)
            complete.touch()
    return python


@functools.cache
def _indexes() -> Mapping[str, str]:
    """Where pip is told to find packages, in uv's words."""
    told = {}
    for key, variable in _TOLD.items():
        command = [sys.executable, "-m", "pip", "config", "get", f"global.{key}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if found and variable not in os.environ:
            told[variable] = found
    return told
