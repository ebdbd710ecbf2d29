"""``fairlead autoscale simulate``, with the strategies that are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli import main

SCRIPT = Path(sys.executable).with_name("fairlead")

Simulate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Simulate:
    for variable in ("FAIRLEAD_PLUGINS", "FAIRLEAD_PLUGINS_STRICT", "FAIRLEAD_DEBUG"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(["autoscale", "simulate", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


STEP = ("--pattern", "step", "--rate", "20", "--duration", "120", "--concurrency", "2")


def rows(output: str) -> dict[str, list[str]]:
    table = output.split("\n\n")[1]
    return {line[:17].strip(): line[17:].split() for line in table.splitlines()}


def test_strategies_are_compared_in_a_table(simulate: Simulate) -> None:
    status, output, _ = simulate("--strategy", "kpa", "--strategy", "hpa", *STEP)
    assert status == 0
    assert output.startswith("step, 20/s: 1,320 requests in 120 s. 1 to any number of pods; each takes 2 at once")
    table = rows(output)
    assert table[""] == ["kpa", "hpa"]
    assert table["Requests"] == ["1,320", "1,320"]
    assert table["Refused"] == ["0", "0"]
    assert "A clairvoyant who lets no request wait needs " in output


def test_every_installed_strategy_takes_part_when_none_is_named(simulate: Simulate) -> None:
    _, output, _ = simulate(*STEP)
    assert {"hpa", "kpa"} <= {*rows(output)[""]}


def test_json_has_every_figure_and_every_change(simulate: Simulate) -> None:
    status, output, _ = simulate("--strategy", "hpa", "--json", "--objective", "0.5", *STEP)
    assert status == 0
    found: dict[str, Any] = json.loads(output)
    assert found["trace"] == {"name": "step, 20/s", "requests": 1320, "duration": 120.0}
    (judged,) = found["strategies"]
    assert judged["answered"] + judged["refused"] + judged["unfinished"] == judged["requests"] == 1320
    assert judged["pod_seconds"] >= judged["optimum"] > 0
    assert judged["changes"][0].keys() == {"at", "replicas", "reason"}


def test_the_same_seed_prints_the_same(simulate: Simulate) -> None:
    arguments = ("--strategy", "kpa", "--pattern", "poisson", "--rate", "30", "--service-spread", "lognormal", "--json")
    assert simulate(*arguments, "--seed", "5") == simulate(*arguments, "--seed", "5")
    assert simulate(*arguments, "--seed", "5") != simulate(*arguments, "--seed", "6")


def test_settings_reach_the_strategy(simulate: Simulate) -> None:
    behavior = '{"scaleUp": {"selectPolicy": "Disabled"}}'
    _, output, _ = simulate("--strategy", "hpa", "--behavior", behavior, "--target", "0.5", "--json", *STEP)
    assert json.loads(output)["strategies"][0]["changes"] == []
    status, _, said = simulate("--strategy", "hpa", "--annotation", "hpa.autoscaling/speed=9", *STEP)
    assert status == 2
    assert "There is no annotation hpa.autoscaling/speed." in said


def test_cpu_is_held_in_percent(simulate: Simulate) -> None:
    _, output, _ = simulate("--strategy", "hpa", "--metric", "cpu", "--target", "60", "--json", *STEP)
    reasons = [change["reason"] for change in json.loads(output)["strategies"][0]["changes"]]
    assert "% on average, 60% for each" in reasons[0]


def test_a_trace_is_replayed_from_a_file(simulate: Simulate, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("at,service_time\n1,0.5\n2,0.5\n2.25,0.5\n")
    _, output, _ = simulate("--strategy", "hpa", "--trace", str(path), "--json")
    judged = json.loads(output)["strategies"][0]
    assert (judged["answered"], judged["latency_p99"], judged["unfinished"]) == (3, 0.75, 0)


def test_a_table_on_a_terminal_is_drawn_and_the_bar_is_gone() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [str(SCRIPT), "autoscale", "simulate", "--strategy", "hpa", *STEP]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert running.returncode == 0
    assert "─".encode() in shown
    assert b"Simulating hpa" in shown
    assert b"\x1b[2K" in shown  # the line of the bar is cleared
    assert b"Oscillations" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


# -- plots ----------------------------------------------------------------------------------------------


def test_a_plot_is_one_file_without_scripts_and_without_addresses(simulate: Simulate, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    status, output, _ = simulate("--plot", str(path), *STEP)
    assert status == 0
    assert f"Wrote {path}." in output
    text = path.read_text()
    assert "<script" not in text
    assert "src=" not in text
    assert "href=" not in text
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"') + text.count("http-equiv")
    drawing = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    titles = [title.text for title in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert {"requests per second", "hpa, ready", "hpa, wanted", "kpa, ready", "kpa"} <= {*titles}
    assert "changes of the number of replicas" in text


def test_what_a_file_is_called_is_no_markup_in_the_plot(simulate: Simulate, tmp_path: Path) -> None:
    trace, path = tmp_path / "a<b>&c.csv", tmp_path / "run.html"
    trace.write_text("at\n1\n2\n")
    assert simulate("--strategy", "hpa", "--trace", str(trace), "--plot", str(path))[0] == 0
    assert "a<b>" not in path.read_text()
    assert "a&lt;b&gt;&amp;c.csv" in path.read_text()


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is not None, reason="matplotlib is installed")
def test_a_plot_as_png_without_matplotlib_says_what_to_install(simulate: Simulate, tmp_path: Path) -> None:
    status, _, said = simulate("--plot", str(tmp_path / "run.png"), *STEP)
    assert status == 2
    assert "pip install matplotlib" in said


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_plot_as_png_is_drawn_by_matplotlib(simulate: Simulate, tmp_path: Path) -> None:
    path = tmp_path / "run.png"
    assert simulate("--plot", str(path), *STEP)[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")


# -- mistakes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of the arguments --trace --pattern is required"),
        (("--pattern", "stepp"), "Did you mean step?"),
        (("--pattern", "step", "--rate", "-5"), "argument --rate: '-5' is not a number above 0"),
        (("--pattern", "step", "--rate", "nan"), "argument --rate: 'nan' is not a number above 0"),
        (("--pattern", "step", "--start-time", "-1"), "argument --start-time: '-1' is not a number from 0"),
        (("--pattern", "step", "--max-replicas", "x"), "argument --max-replicas: 'x' is not a whole number"),
        (("--pattern", "step", "--annotation", "x"), "argument --annotation: 'x' is not of the form NAME=VALUE"),
        (("--pattern", "step", "--behavior", "{"), "argument --behavior: '{' is no JSON"),
        (("--pattern", "step", "--behavior", "[]"), "argument --behavior: '[]' is no JSON object"),
        (("--pattern", "step", "--concurrency", "0"), "A concurrency of 0 is not possible"),
        (("--pattern", "step", "--min-replicas", "5", "--max-replicas", "2"), "are not between 5 and 2"),
        (("--pattern", "step", "--strategy", "hpb"), "Did you mean hpa?"),
        (("--pattern", "step", "--strategy", "kpa", "--metric", "cpu"), "does not take the metric cpu"),
        (("--pattern", "step", "--plot", "run.svg"), "A plot is a file that ends in .html or .png"),
        (("--pattern", "step", "--plot", "no/where/run.html"), "There is no folder no/where"),
        (("--trace", "nothing.csv"), "nothing.csv cannot be read: No such file"),
        (("--trace", "nothing.csv", "--rate", "5"), "--rate is of a pattern"),
    ],
)
def test_a_mistake_is_refused_with_what_to_do(simulate: Simulate, arguments: tuple[str, ...], said: str) -> None:
    status, output, printed = simulate(*arguments)
    assert status != 0
    assert output == ""
    assert said in printed
    assert "Traceback" not in printed


def test_a_malformed_trace_is_refused_with_its_line(simulate: Simulate, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("at\n1\nsoon\n")
    status, _, said = simulate("--trace", str(path))
    assert (status, f"{path}, line 3: 'soon' is not a number of seconds" in said) == (2, True)
    path.write_bytes(b"at\n\xff\xfe\n")
    assert "is no text in UTF-8" in simulate("--trace", str(path))[2]
