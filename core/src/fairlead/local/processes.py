"""Processes told apart beyond their numbers, which the system gives to others once they have ended; and their end.

A number together with the moment of birth names one process for as long as the machine runs. The command line is no
part of it where the moment is exact, since a process may become another program and stay the same process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Identity", "end", "identify", "marked"]

_PROC: Final = Path("/proc")
_PS_COLUMNS: Final = ("pid", "ppid", "pgid", "state", "lstart", "command")
_PAUSE: Final = 0.02
_SURE: Final = 5.0
"""Seconds within which a process that was killed is gone; one that waits for a dead disk may stay."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """One process.

    Attributes:
        pid: its number.
        birth: when it began, and what the number is to be understood in: the start of the machine, and the container.
        what: what it is, for messages.
    """

    pid: int
    birth: str
    what: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid})" if self.what else f"process {self.pid}"

    @property
    def alive(self) -> bool:
        """Whether it has not ended; another process of its number does not count."""
        found = _look(self.pid)
        return found is not None and found.birth == self.birth

    def document(self) -> dict[str, Any]:
        """It as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, document: Any) -> Self | None:
        """It from plain data; None where that is something else."""
        match document:
            case {"pid": int(pid), "birth": str(birth)} if pid > 1:
                return cls(pid, birth, str(document.get("what", "")))
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """What the system says of a process that has not ended."""

    pid: int
    parent: int
    group: int
    birth: str


def identify(pid: int, what: str = "") -> Identity | None:
    """The identity of a process that runs now; None where there is none of this number.

    Args:
        pid: its number.
        what: what it is, for messages.
    """
    found = _look(pid)
    return None if found is None else Identity(pid, found.birth, what)


def marked(variable: str, value: str) -> list[Identity]:
    """The processes of this user that have a variable of this value in their environment, without this one.

    Those that this process descends from are left out, too. Only Linux tells the environment of processes.
    """
    wanted = f"{variable}={value}".encode()
    mine = _ancestors(os.getpid())
    found = []
    for look in _all():
        if look.pid in mine:
            continue
        with contextlib.suppress(OSError):
            if wanted in (_PROC / str(look.pid) / "environ").read_bytes().split(b"\0"):
                found.append(Identity(look.pid, look.birth, _command(look.pid)))
    return found


def end(
    processes: Collection[Identity], patience: float, sleep: Callable[[float], None] = time.sleep
) -> list[Identity]:
    """End processes and the groups that they lead: SIGTERM first, and SIGKILL to those that have not ended in time.

    A group is left alone where the process that leads it is not one of these any more.

    Args:
        processes: those to end; those that have ended already are left out.
        patience: seconds between the signals; 0 for SIGKILL at once.
        sleep: waits for so many seconds.

    Returns:
        Those that were told to end, without the other members of their groups.
    """
    leaders = [each for each in processes if each.alive]
    members = _Members(leaders)
    if patience > 0:
        members.send(signal.SIGTERM)
        _wait(members, patience, sleep)
    if members.left():
        members.send(signal.SIGKILL)
        _wait(members, _SURE, sleep)
    return leaders


class _Members:
    """Processes and the members of the groups that they lead, those included that are made meanwhile."""

    def __init__(self, leaders: Collection[Identity]) -> None:
        self._known = set(leaders)

    def left(self) -> set[Identity]:
        """Those that have not ended."""
        looks = {look.pid: look for look in _all()}
        alive = {each for each in self._known if each.pid in looks and looks[each.pid].birth == each.birth}
        # A number is not given to another while a group has it, so a group that one of these is in is theirs.
        groups = {looks[each.pid].group for each in alive} & {each.pid for each in self._known}
        found = {Identity(look.pid, look.birth) for look in looks.values() if look.group in groups}
        self._known |= found
        return alive | found

    def send(self, number: signal.Signals) -> None:
        """Send each of them a signal."""
        for each in self.left():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each.pid, number)


def _wait(members: _Members, patience: float, sleep: Callable[[float], None]) -> None:
    deadline = time.monotonic() + patience
    while members.left() and time.monotonic() < deadline:
        sleep(_PAUSE)


# -- what the system says ------------------------------------------------------------------------------------


def _all() -> Iterator[_Look]:
    if sys.platform == "linux":
        for folder in _PROC.iterdir():
            if folder.name.isdigit() and (found := _look(int(folder.name))) is not None:
                yield found
    else:
        yield from _listed("-ax")


def _look(pid: int) -> _Look | None:
    if sys.platform != "linux":
        return next(_listed("-p", str(pid)), None)
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name of the program stands in brackets and may hold anything; see proc_pid_stat(5).
    state, parent, group, *rest = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return _Look(pid, int(parent), int(group), f"{_namespace()}/{rest[16]}")


def _listed(*which: str) -> Iterator[_Look]:
    """What ps says; its moment of birth is a second, and the command line has to tell what is born within one."""
    done = subprocess.run(
        ["ps", *which, *(word for name in _PS_COLUMNS for word in ("-o", f"{name}="))],  # noqa: S607  # its place differs
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    for line in done.stdout.splitlines():
        pid, parent, group, state, *rest = line.split()
        if not state.startswith("Z"):
            birth = " ".join(rest[:5]) + " " + hashlib.sha256(" ".join(rest[5:]).encode()).hexdigest()[:16]
            yield _Look(int(pid), int(parent), int(group), birth)


def _namespace() -> str:
    """What numbers of processes and their births are relative to: the start of the machine, and the container."""
    global _known_namespace  # noqa: PLW0603  # neither changes while this process lives
    if _known_namespace is None:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        _known_namespace = f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    return _known_namespace


_known_namespace: str | None = None


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        look = _look(pid)
        pid = 0 if look is None else look.parent
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        return Path(os.fsdecode(words[0])).name
    return ""
