from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from fairlead.storage.progress import BarProgress, LineProgress, automatic

MIB = 1024 * 1024


def test_lines_come_every_tenth() -> None:
    out = io.StringIO()
    with LineProgress(out, clock=lambda: 0.0).transfer("model", total=100 * MIB) as advance:
        for _ in range(100):
            advance(MIB)
    lines = out.getvalue().splitlines()
    assert lines[0] == "model: downloading 100.0 MiB"
    assert lines[1] == "model: 10.0 MiB of 100.0 MiB (10 %)"
    assert lines[-1] == "model: fetched 100.0 MiB"
    assert len(lines) == 12


def test_lines_come_every_five_seconds_when_it_is_slow_or_the_length_is_unknown() -> None:
    out, now = io.StringIO(), [0.0]
    with LineProgress(out, clock=lambda: now[0]).transfer("model", total=None) as advance:
        for _ in range(10):
            now[0] += 1
            advance(512)
    assert out.getvalue().splitlines() == [
        "model: downloading",
        "model: 2.5 KiB",
        "model: 5.0 KiB",
        "model: fetched 5.0 KiB",
    ]


def test_a_resumed_transfer_says_what_is_there() -> None:
    out = io.StringIO()
    with LineProgress(out).transfer("model", total=4 * MIB, done=MIB):
        pass
    assert out.getvalue().startswith("model: 1.0 MiB of 4.0 MiB (25 %)\n")


def test_without_a_terminal_lines_are_chosen() -> None:
    assert isinstance(automatic(), LineProgress)


def drawn_on_a_terminal(script: str, columns: int) -> str:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, "-c", script], stderr=follower, env=environment) as process:
        os.close(follower)
        drawn = b""
        while True:  # as it draws: a terminal holds some thousand bytes that nobody reads, and then who draws waits
            try:
                piece = os.read(leader, 4096)
            except OSError:  # Linux says so when the other end is closed and all is read
                break
            drawn += piece
        os.close(leader)
    assert process.returncode == 0
    return drawn.decode()


def lines_of(drawn: str) -> list[str]:
    return [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)) if line.strip()]


def test_on_a_terminal_a_bar_is_drawn() -> None:
    script = (
        "from fairlead.storage.progress import automatic\n"
        "with automatic().transfer('model [v1]', total=100) as advance: advance(100)"
    )
    drawn = drawn_on_a_terminal(script, 100)
    assert "model [v1]" in drawn
    assert "━" in drawn


def test_a_bar_fits_into_eighty_columns_and_counts_in_binary_units() -> None:
    uri = "https://models.example.com/teams/fraud/a-model-with-quite-a-long-name-v17.joblib"
    script = (
        "import time\n"
        "from fairlead.storage.progress import automatic\n"
        f"with automatic().transfer({uri!r}, total=1000 << 20) as advance:\n"
        "    for _ in range(4):\n"
        "        advance(200 << 20)\n"
        "        time.sleep(0.15)\n"  # the speed is known after two moments
    )
    lines = lines_of(drawn_on_a_terminal(script, 80))
    assert lines
    assert all(line.startswith("a-model-with-q…me-v17.joblib ") for line in lines)
    assert max(map(len, lines)) <= 80
    assert "800.0/1000.0 MiB" in lines[-1].replace(",", "")
    assert re.search(r" [0-9.]+ [MG]iB/s ", lines[-1])


def test_what_is_logged_while_a_bar_is_drawn_has_lines_of_its_own() -> None:
    script = (
        "import logging\n"
        "from fairlead.storage.progress import automatic\n"
        "logging.basicConfig(format='%(levelname)s %(message)s')\n"
        "with automatic().transfer('http://host/model.bin', total=100) as advance:\n"
        "    advance(50)\n"
        "    logging.warning('trying again')\n"
        "logging.warning('after it')\n"
    )
    lines = lines_of(drawn_on_a_terminal(script, 80))
    assert "WARNING trying again" in [line.strip() for line in lines]
    assert lines[-1].strip() == "WARNING after it"


def test_bars_of_several_threads_share_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress, both, failures = BarProgress(), threading.Barrier(2), []

    def fetch(name: str) -> None:
        try:
            with progress.transfer(name, total=10) as advance:
                both.wait(10)
                advance(10)
        except Exception as error:  # noqa: BLE001  # told to the test below
            failures.append(error)

    threads = [threading.Thread(target=fetch, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert "a" in capsys.readouterr().err


def test_a_server_writes_its_lines_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), automatic(logging.getLogger("test")).transfer("model", total=MIB) as advance:
        advance(MIB)
    assert [record.getMessage() for record in caplog.records] == [
        "model: downloading 1.0 MiB",
        "model: 1.0 MiB of 1.0 MiB (100 %)",
        "model: fetched 1.0 MiB",
    ]
