"""Log lines as a process writes them."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import logging
from fairlead.cli import logs
logs.configure({format!r}, "info")
log = logging.getLogger("fairlead.test")
log.debug("not shown")
log.info("model %s is ready", "iris", extra={{"model": "iris"}})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def logged(log_format: str) -> list[str]:
    command = [sys.executable, "-c", CODE.format(format=log_format)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_json_lines_carry_level_logger_message_and_what_the_call_added() -> None:
    first, second = map(json.loads, logged("json"))
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "logger": "fairlead.test", "message": "model iris is ready", "model": "iris"}
    assert "ZeroDivisionError" in second["traceback"]


def test_text_lines_are_for_people() -> None:
    assert logged("text")[0] == "INFO    model iris is ready"


def test_away_from_a_terminal_the_default_is_json() -> None:
    assert json.loads(logged("auto")[0])["message"] == "model iris is ready"
