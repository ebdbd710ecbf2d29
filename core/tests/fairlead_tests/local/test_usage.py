"""What processes use: real ones, with children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fairlead import Sample
from fairlead.local.usage import Meter, tree_usage, trees_usage
from fairlead_tests.waiting import eventually

MIB = 2**20

BURN = (
    "import sys, time\nwhile time.process_time() < {seconds}: pass\nprint('done', flush=True)\nsys.stdin.readline()\n"
)
HOLD = "import sys\nheld = b'x' * {size}\nprint('done', flush=True)\nsys.stdin.readline()\n"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {code!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("done", flush=True)
sys.stdin.readline()
child.communicate(b"\\n")
print("waited", flush=True)
sys.stdin.readline()
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has done what it is to do, and waits for a line."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            yield process
        finally:
            process.kill()


def usage(pid: int) -> tuple[float, int]:
    found = tree_usage(pid)
    assert found is not None
    return found


def test_the_time_of_the_cpu_and_the_memory_of_a_process_are_counted() -> None:
    with running(BURN.format(seconds=0.3)) as busy, running(HOLD.format(size=64 * MIB)) as large:
        assert 0.25 <= usage(busy.pid)[0] < 3.0
        assert 64 * MIB <= usage(large.pid)[1] < 128 * MIB


def test_children_count_as_long_as_they_run_and_their_time_when_they_have_ended() -> None:
    with running(PARENT.format(code=BURN.format(seconds=0.3))) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        before = usage(parent.pid)[0]
        assert before >= 0.25
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "waited\n"
        assert usage(parent.pid)[0] >= before


def test_the_memory_of_children_counts_and_shared_pages_count_once() -> None:
    forked = f"import os, signal, sys\nheld = b'x' * {64 * MIB}\nif not os.fork(): signal.pause()\n"
    with (
        running(PARENT.format(code=HOLD.format(size=64 * MIB))) as parent,
        running(forked + "print('done', flush=True)\nsys.stdin.readline()\n") as shared,
    ):
        assert 64 * MIB <= usage(parent.pid)[1] < 128 * MIB
        assert 64 * MIB <= usage(shared.pid)[1] < 128 * MIB
        (child,) = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == shared.pid]  # noqa: PTH208 -- names alone
        os.kill(child, signal.SIGKILL)


def parent_of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 -- a file of the system
            return int(file.read().rpartition(") ")[2].split()[1])
    except OSError:
        return None


def test_a_process_that_there_is_not_has_no_usage() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert tree_usage(process.pid) is None


def test_a_name_with_blanks_and_brackets_confuses_nobody() -> None:
    named = "import ctypes, sys\nctypes.CDLL(None).prctl(15, b') R 1 (', 0, 0, 0)\n"
    with running(f"{named}print('done', flush=True)\nsys.stdin.readline()\n") as odd:
        seconds, memory = usage(odd.pid)
        assert 0 <= seconds < 5
        assert memory > MIB


def test_many_are_looked_at_in_one_go() -> None:
    with running(HOLD.format(size=1)) as one, running(HOLD.format(size=1)) as other:
        found = trees_usage((one.pid, other.pid, 2**22 + 1))
        assert found.keys() == {one.pid, other.pid}
        assert trees_usage(()) == {}


def test_a_process_that_has_ended_and_is_not_waited_for_uses_no_memory() -> None:
    with running(HOLD.format(size=1)) as ended:
        ended.kill()
        eventually(lambda: usage(ended.pid)[1] == 0)


# -- measurements ---------------------------------------------------------------------------------------


def test_the_difference_of_seconds_is_cores() -> None:
    meter = Meter()
    assert meter.update(10.0, 5.0, 100) == {"memory": Sample(10.0, 100.0)}
    assert meter.update(12.0, 6.0, 200) == {"memory": Sample(12.0, 200.0), "cpu": Sample(12.0, 0.5, 2.0)}
    assert meter.samples() == {"memory": Sample(12.0, 200.0), "cpu": Sample(12.0, 0.5, 2.0)}


def test_what_is_read_more_often_is_averaged_over_the_interval() -> None:
    meter = Meter(interval=1.0)
    found = [meter.update(10.0 + number / 4, number / 4 * 0.8, number).get("cpu") for number in range(9)]
    assert found[:4] == [None] * 4
    assert [round(sample.value, 9) for sample in found[4:] if sample] == [0.8] * 5
    assert [sample.at for sample in found[4:] if sample] == [11.0, 11.0, 11.0, 11.0, 12.0]


@pytest.mark.parametrize(("at", "seconds"), [(9.0, 6.0), (12.0, 0.5)])
def test_after_another_process_or_a_jump_of_time_no_use_is_known(at: float, seconds: float) -> None:
    meter = Meter()
    meter.update(10.0, 5.0, 1)
    assert "cpu" in meter.update(11.0, 5.5, 1)
    assert meter.update(at, seconds, 7) == {"memory": Sample(at, 7.0)}
    assert meter.update(at + 1.0, seconds + 0.25, 7)["cpu"] == Sample(at + 1.0, 0.25, 1.0)
