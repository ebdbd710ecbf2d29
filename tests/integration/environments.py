"""Environments of their own for clients whose requirements differ from ours; made once, and kept in build/."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

__all__ = ["environment"]

ROOT = Path(__file__).parents[2]


def environment(name: str, constraints: Path) -> Path:
    """The Python of an environment with exactly what a constraints file pins.

    Args:
        name: the environment's name.
        constraints: a file of ``package==version`` lines; a change of it makes the environment anew.
    """
    digest = hashlib.sha256(constraints.read_bytes()).hexdigest()[:12]
    folder = ROOT / "build" / "environments" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = folder / "complete"
        if not complete.exists():
            uv = Path(sys.prefix) / "bin" / "uv"
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            subprocess.run(
                [uv, "pip", "install", "--quiet", "--python", python, "--requirement", constraints], check=True
            )
            complete.touch()
    return python
