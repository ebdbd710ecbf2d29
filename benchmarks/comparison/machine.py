"""Which core does what, and what a server's processes use."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "Cores",
    "Memory",
    "Watch",
    "cores",
    "memory",
    "model",
    "on_core",
    "prioritise",
    "processes",
    "settled",
    "use",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers and the core of the load; the same one on a machine that has only one."""

    server: int
    load: int


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What a server's processes hold, in MiB; PSS counts shared pages once, RSS once for each process."""

    pss: float
    rss: float
    processes: int


def cores() -> Cores:
    """The first two cores that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[min(1, len(usable) - 1)])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in the block runs on this core, and so does all that it starts itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def prioritise(session: int) -> None:
    """Give a session the niceness of this process among all sessions.

    Linux may schedule sessions as groups, in which a niceness counts among the processes of the same session only.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):  # a kernel without such groups
        if niceness:
            Path(f"/proc/{session}/autogroup").write_text(str(niceness), encoding="ascii")


def model() -> str:
    """The name of the processor, as the kernel knows it."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "unknown processor"


def use(core: int) -> None:
    """Run here from now on, and allow as many open files as may be."""
    os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def processes(session: int) -> list[int]:
    """The processes of a session: a server, which was started in one of its own, and all that it started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if int(_fields(path)[3]) == session:
                found.append(int(path.name))
    return found


def memory(session: int) -> Memory:
    """What a session's processes hold now."""
    pss, rss, count = 0, 0, 0
    for pid in processes(session):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            found = {name: int(size) for name, size in re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE)}
            pss, rss, count = pss + found["Pss"], rss + found["Rss"], count + 1
    return Memory(pss / 1024, rss / 1024, count)


def settled(session: int, patience: float = 60.0) -> bool:
    """Wait until a session's processes compute nothing; returns whether they did within the patience, in seconds.

    A server may still work on requests of clients that have gone, and would do so in the time of the next one.
    """
    end = time.monotonic() + patience
    before = _ticks(session)
    while time.monotonic() < end:
        time.sleep(0.25)
        now = _ticks(session)
        if now - before <= 1:
            return True
        before = now
    return False


class Watch:
    """How much of a core is used by anything but a session's processes, from here on."""

    def __init__(self, core: int, session: int) -> None:
        self._core = core
        self._session = session
        self._before = self._now()

    def others(self) -> float:
        """The share of the core's time since then that others had, from 0 to 1; what the kernel did is nobody's."""
        all_time, busy, own = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return max(0.0, (busy - own) / max(1, all_time))

    def _now(self) -> tuple[int, int, int]:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        fields = next(line.split()[1:] for line in lines if line.startswith(f"cpu{self._core} "))
        times = [int(each) for each in fields[:8]]
        user, nice, system, _idle, _waiting, _hard, _soft, stolen = times
        return sum(times), user + nice + system + stolen, _ticks(self._session)


def _ticks(session: int) -> int:
    """The processor time that a session's processes have used."""
    spent = 0
    for pid in processes(session):
        with contextlib.suppress(OSError):
            fields = _fields(Path("/proc", str(pid)))
            spent += int(fields[11]) + int(fields[12])
    return spent


def _fields(process: Path) -> list[str]:
    """The fields of a process's ``stat`` behind its name, which may hold spaces; the first one is its state."""
    return (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
