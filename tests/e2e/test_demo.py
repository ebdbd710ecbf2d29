"""The demo: what `make demo` runs takes a service from its first answer to a canary, its promotion, zero and back."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from architecture import workspace
from e2e import pages


@pytest.fixture(scope="module")
def printed() -> str:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=workspace.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def quiet(printed: str) -> str:
    """What it prints without what the platform does, which comes whenever a thread gets to it."""
    return "".join(line for line in printed.splitlines(keepends=True) if not line.startswith("  | "))


def test_make_demo_runs_the_example() -> None:
    makefile = (workspace.ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: .+ ## .*\n\t@\$\(BIN\)/python examples/demo\.py$", makefile, re.MULTILINE)


def test_the_service_answers_over_every_protocol(printed: str) -> None:
    v1, v2, grpc, *_ = [json.loads(line) for line in re.findall(r"^  < (.+)$", printed, re.MULTILINE)]
    assert v1 == {"predictions": [1, 0]}
    assert v2["id"] == "demo"
    assert [output["data"] for output in v2["outputs"]] == [[1, 0]]
    assert grpc == {"output-0": [1, 0]}


def test_a_canary_gets_its_share_and_then_everything(printed: str) -> None:
    split, promoted = re.findall(r"^100 requests: (.+)$", printed, re.MULTILINE)
    shares = {name: int(number) for number, name in re.findall(r"(\d+) answered by (\w+)\.joblib", split)}
    assert sum(shares.values()) == 100
    # Four standard deviations of a binomial distribution: one run in 16 000 is outside by chance.
    assert abs(shares["names"] - 20) <= 4 * (100 * 0.2 * 0.8) ** 0.5
    assert promoted == "100 answered by names.joblib"


def test_a_request_brings_the_service_back_from_zero(printed: str) -> None:
    assert "goes from 1 to 0 replicas" in printed
    assert "goes from 0 to 1 replica" in printed[printed.index("goes from 1 to 0 replicas") :]
    answers = re.findall(r"^The (first|second) answer, after [\d.]+ s:\n(?:  \|.*\n)*  < (.+)$", printed, re.MULTILINE)
    assert [(which, json.loads(answer)) for which, answer in answers] == [
        ("first", {"predictions": ["versicolor", "setosa"]}),
        ("second", {"predictions": ["versicolor", "setosa"]}),
    ]


def test_the_platform_ends_in_order(printed: str) -> None:
    assert quiet(printed).endswith("  The platform default has ended.\n")


def test_the_readme_shows_what_the_demo_prints(printed: str) -> None:
    (shown,) = [
        block.text.removeprefix("$ make demo\n")
        for block in pages.blocks(workspace.ROOT / "README.md")
        if block.text.startswith("$ make demo\n")
    ]
    assert pages.matches(shown.splitlines(), quiet(printed))
