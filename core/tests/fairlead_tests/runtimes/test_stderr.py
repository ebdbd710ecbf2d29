"""What native code prints becomes log lines, and nothing else is touched, kept or lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

_BEGIN: Final = """
import logging, os, signal, subprocess, sys, threading
from fairlead.runtimes import stderr
logging.basicConfig(level="DEBUG", format="%(levelname)s|%(name)s|%(message)s", stream=sys.stdout)
log = logging.getLogger("fairlead.runtimes.mine")
def say(text):
    os.write(2, text.encode())
"""
_ABSL: Final = "I0000 00:00:1795280647.608408   23728 port.cc:153] "
_GLOG: Final = "W0521 17:02:03.123456   312 memory.cc:9] "


def run(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _BEGIN + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload, no-any-return]  # of any options


def test_lines_of_native_code_are_logged_at_their_levels_and_others_appear_as_they_are() -> None:
    done = run(f"""
with stderr.taken(log):
    say("{_ABSL}oneDNN is on.\\n")
    say("other\\n{_GLOG}memory is short\\n")
    say("half")
    say(" a line\\nand no end")
say("!\\n")
""")
    assert done.returncode == 0
    assert done.stderr == "other\nhalf a line\nand no end!\n"
    lines = ["INFO|fairlead.runtimes.mine|oneDNN is on.", "WARNING|fairlead.runtimes.mine|memory is short"]
    assert done.stdout.splitlines() == lines


def test_lines_that_stand_beside_those_are_logged_too() -> None:
    done = run(f"""
with stderr.taken(log):
    say("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
    say("{_ABSL}This binary is optimized.\\nTo enable the following instructions: AVX2, rebuild.\\n")
""")
    assert done.stderr == ""
    assert [line.partition("|")[0] for line in done.stdout.splitlines()] == ["DEBUG", "INFO", "INFO"]


def test_what_is_logged_within_the_block_goes_on_to_standard_error_at_once() -> None:
    done = run("""
logging.getLogger().handlers[0].setStream(sys.stderr)
with stderr.taken(log):
    for number in range(5000):
        log.info("%d %s", number, "x" * 100)
""")
    assert [int(line.split("|")[2].split()[0]) for line in done.stderr.splitlines()] == [*range(5000)]


def test_nothing_is_lost_when_the_process_dies_within_the_block() -> None:
    done = run(f"""
with stderr.taken(log):
    say("{_ABSL}before\\nF0000 00:00:1.2 1 guard.cc:1] the end is near\\n")
    os.kill(os.getpid(), signal.SIGKILL)
""")
    assert done.returncode < 0
    assert set(done.stderr.splitlines()) == {f"{_ABSL}before", "F0000 00:00:1.2 1 guard.cc:1] the end is near"}


def test_an_error_within_the_block_puts_standard_error_back() -> None:
    done = run(f"""
try:
    with stderr.taken(log):
        say("{_ABSL}before\\n")
        raise ImportError("no")
except ImportError as error:
    say(f"after {{error}}\\n")
""")
    assert done.stderr == "after no\n"
    assert done.stdout == "INFO|fairlead.runtimes.mine|before\n"


def test_blocks_may_overlap_and_nest() -> None:
    done = run(f"""
def work():
    for _ in range(3):
        with stderr.taken(log), stderr.taken(log):
            say("{_ABSL}line\\n")
            say("other\\n")
threads = [threading.Thread(target=work) for _ in range(4)]
before = os.fstat(2).st_ino
for thread in threads: thread.start()
for thread in threads: thread.join()
assert os.fstat(2).st_ino == before
""")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["other"] * 12
    assert done.stdout.splitlines() == ["INFO|fairlead.runtimes.mine|line"] * 12


def test_a_program_that_is_started_within_the_block_and_lives_on_is_not_waited_for() -> None:
    done = run(f"""
with stderr.taken(log):
    say("{_ABSL}line\\n")
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(); print('child', file=sys.stderr)"],
                             stdin=subprocess.PIPE)
say("after\\n")
child.communicate()
""")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == "after"
    assert set(done.stderr.splitlines()) == {"after", "child", f"{_ABSL}line"}


def test_without_standard_error_or_another_process_the_block_runs_all_the_same() -> None:
    def close() -> None:
        os.close(2)

    assert run("with stderr.taken(log):\n    print('done')\n", preexec_fn=close).stdout == "done\n"
    done = run(f"""
sys.executable = "/nowhere"
with stderr.taken(log):
    say("{_ABSL}line\\n")
""")
    assert done.returncode == 0
    assert done.stderr == f"{_ABSL}line\n"
