"""A process that logs never waits for whoever reads its standard error, and says what it could not write."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PRELUDE = """
import logging, os, sys
from fairlead.cli import logs
writer = logs.configure("json", "info")
log = logging.getLogger("fairlead.test")
"""

MANY = """
dropped = []
writer.report_drops(dropped.append)
for number in range(20_000):
    log.info("%d %s", number, "x" * 1000)
print(len(dropped), flush=True)
input()
"""


def process(code: str, **streams: Any) -> subprocess.Popen[str]:
    kinds: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", PRELUDE + code], text=True, **(kinds | streams))


def test_a_process_whose_lines_nobody_reads_goes_on_and_counts_them() -> None:
    with process(f"writer.PATIENCE = 60.0{MANY}") as running:  # with the reader of this test, which may be late
        assert running.stdout is not None
        dropped = int(running.stdout.readline())  # it has logged 20 MB into a pipe that holds 64 KiB
        assert 10_000 < dropped < 20_000
        _, shown = running.communicate("\n")
    lines = [json.loads(line) for line in shown.splitlines()]
    told = [line["message"] for line in lines if "were dropped" in line["message"]]
    assert told == [f"{dropped} log lines were dropped: standard error was not read in time"]
    assert len(lines) == 20_000 - dropped + 1
    assert running.returncode == 0


def test_a_process_that_nobody_reads_still_ends() -> None:
    with process(MANY) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        running.stdout.readline()
        running.stdin.write("\n")
        running.stdin.flush()
        assert running.wait(60) == 0


def test_a_process_whose_reader_has_gone_goes_on_and_counts_what_is_lost() -> None:
    code = """
input()
log.info("nobody reads this")
logs.flush()
print(writer.dropped)
"""
    with process(code) as running:
        assert running.stderr is not None
        running.stderr.close()
        running.stderr = None
        assert running.communicate("\n")[0] == "1\n"
    assert running.returncode == 0


def test_a_process_without_standard_error_logs_nothing_and_goes_on() -> None:
    command = f"exec {sys.executable} -c '{PRELUDE}\nlog.error(1)\nprint(writer)' 2>&-".replace('"', '\\"')
    command = command.replace('\\"', '"')
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_what_is_logged_just_before_the_end_is_seen() -> None:
    with process('log.error("it cannot start")\nsys.exit(3)') as running:
        _, shown = running.communicate()
    assert json.loads(shown)["message"] == "it cannot start"
    assert running.returncode == 3


def test_what_is_printed_after_a_flush_comes_after_what_was_logged() -> None:
    code = 'for n in range(100): log.info(n)\nlogs.flush()\nprint("end", file=sys.stderr)'
    with process(code) as running:
        shown = running.communicate()[1].splitlines()
    assert len(shown) == 101
    assert shown[-1] == "end"


def test_a_forked_process_logs_as_its_parent_does_and_each_line_is_written_once() -> None:
    code = """
log.info("before")
pid = os.fork()
log.info("child" if pid == 0 else "parent")
if pid:
    os.waitpid(pid, 0)
"""
    with process(code) as running:
        shown = running.communicate()[1].splitlines()
    assert sorted(json.loads(line)["message"] for line in shown) == ["before", "child", "parent"]


def test_a_line_that_cannot_be_formatted_is_told_and_the_next_ones_are_written() -> None:
    with process('log.info("%d", "no number")\nlog.info("next")') as running:
        shown = running.communicate()[1]
    assert "cannot be formatted" in shown
    assert json.loads(shown.splitlines()[-1])["message"] == "next"
