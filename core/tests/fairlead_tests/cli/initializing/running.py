"""The program of an init container as a process, and what is expected of a run."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["COMMAND", "Initializer", "Ran", "archive", "fetched", "refused"]

COMMAND = (sys.executable, "-m", "fairlead.cli.initializer")


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a run ended: its status, its last line, all of its lines, and the message for Kubernetes."""

    status: int
    last: str
    said: str
    message: str


class Initializer:
    """Runs the program with an environment that has nothing of this process but what Python needs."""

    def __init__(self, folder: Path) -> None:
        self.message = folder / "termination-log"
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "FAIRLEAD_TERMINATION_MESSAGE": str(self.message),
            "FAIRLEAD_STORAGE_RETRIES": "0",
        }

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        self.message.write_text("")
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env={**self.environ, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            umask=0o077,
        )

    def __call__(self, *arguments: object, **variables: str) -> Ran:
        with self.start(*arguments, **variables) as process:
            _, said = process.communicate(timeout=60)
        assert "Traceback" not in said
        return Ran(process.returncode, said.splitlines()[-1] if said else "", said, self.message.read_text())


def fetched(ran: Ran) -> None:
    assert ran.status == 0, ran.said
    assert ran.message == ""


def refused(ran: Ran, *parts: str, status: int = 2) -> None:
    assert ran.status == status, ran.said
    assert ran.last == f"error: {ran.message}"
    assert all(part in ran.message for part in parts), ran.message


def archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
