"""The demo: what `make demo` runs trains a model, serves it, and gets the answers that belong to the two flowers."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from architecture import workspace


@pytest.fixture(scope="module")
def printed() -> str:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=workspace.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_make_demo_runs_the_example() -> None:
    makefile = (workspace.ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: install .*\n\t@\$\(BIN\)/python examples/demo\.py$", makefile, re.MULTILINE)


def test_the_model_answers_over_both_protocols(printed: str) -> None:
    answers = [json.loads(line) for line in re.findall(r"^  < (.+)$", printed, re.MULTILINE)]
    metadata, v1, v2 = answers
    assert metadata["platform"] == "sklearn"
    assert v1 == {"predictions": [1, 0]}
    assert v2["id"] == "demo"
    assert [output["data"] for output in v2["outputs"]] == [[1, 0]]


def test_the_server_says_where_it_is_ready_and_stops_in_order(printed: str) -> None:
    assert re.search(r"ready on http://127\.0\.0\.1:\d+: iris \(gRPC on 127\.0\.0\.1:\d+\)$", printed, re.MULTILINE)
    assert printed.endswith("INFO    SIGTERM: draining\n  INFO    model iris is unloaded\n")
