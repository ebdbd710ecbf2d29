"""Which containers run: a file in the folder of each replica, by which what a killed platform left is removed.

A container outlives the command that runs it where that is killed, and no signal of the system reaches it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["forget", "note", "sweep"]

_FILE: Final = "container.json"
_PATIENCE: Final = 30.0


def note(folder: Path, engine: str, name: str) -> None:
    """Write down a container before it is run.

    Args:
        folder: the folder of its replica.
        engine: the program that runs it, such as ``/usr/bin/podman``.
        name: its name.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps({"engine": engine, "name": name}), encoding="utf-8")


def forget(folder: Path) -> None:
    """Forget the container of a replica, now that it is removed."""
    with contextlib.suppress(OSError):
        (folder / _FILE).unlink(missing_ok=True)


def sweep(replicas: Path) -> list[str]:
    """Remove the containers that were written down, while no platform runs.

    Args:
        replicas: the folder with the folders of replicas, by namespace.

    Returns:
        The names of those that were removed; one that was gone already is not among them.
    """
    removed = []
    for path in sorted(replicas.glob(f"*/*/{_FILE}")):
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            match json.loads(path.read_bytes()):
                case {"engine": str(engine), "name": str(name)}:
                    command = [engine, "rm", "--force", name]
                    done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE)
                    if done.returncode == 0:
                        removed.append(name)
    return removed
