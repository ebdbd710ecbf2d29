"""Metrics that several processes share, each written by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from pathlib import Path
from fairlead.engine.metrics import Metrics, Share

share = Share(Path(sys.argv[1]), int(sys.argv[2]))
metrics = Metrics(share)
model = metrics.of("iris")
model.ready.set(float(sys.argv[3]))
for _ in range(int(sys.argv[4])):
    model.count("v1", 200)
    model.predict.observe(0.25)
text, _ = metrics.expose(sys.argv[5])
sys.stdout.write(text.decode())
sys.stdout.flush()
if len(sys.argv) > 6:
    os.kill(os.getpid(), 9)
"""


def work(folder: Path, slot: int, *, ready: int, count: int, accept: str = "", die: bool = False) -> list[str]:
    """What a process shows after it has counted some requests."""
    arguments = [str(folder), str(slot), str(ready), str(count), accept, *(["die"] if die else [])]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == (-9 if die else 0)
    return done.stdout.splitlines()


REQUESTS = 'fairlead_requests_total{code="200",model_name="iris",protocol="v1"}'
READY = 'fairlead_model_ready{model_name="iris"}'


def test_every_process_shows_the_sums_over_all(tmp_path: Path) -> None:
    assert f"{REQUESTS} 3.0" in work(tmp_path, 0, ready=1, count=3)
    shown = work(tmp_path, 1, ready=1, count=4)
    assert f"{REQUESTS} 7.0" in shown
    assert 'request_predict_seconds_count{model_name="iris"} 7.0' in shown
    assert 'request_predict_seconds_sum{model_name="iris"} 1.75' in shown


def test_a_process_that_takes_a_slot_counts_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    work(tmp_path, 0, ready=1, count=3, die=True)
    files = set(tmp_path.iterdir())
    assert f"{REQUESTS} 5.0" in work(tmp_path, 0, ready=1, count=2)
    assert set(tmp_path.iterdir()) == files


def test_a_model_is_ready_while_any_process_answers(tmp_path: Path) -> None:
    work(tmp_path, 0, ready=1, count=0)
    assert f"{READY} 1.0" in work(tmp_path, 1, ready=0, count=0)


def test_readiness_of_a_process_that_has_died_is_forgotten_and_its_counts_are_not(tmp_path: Path) -> None:
    from fairlead.engine.metrics import Share

    work(tmp_path, 0, ready=1, count=3, die=True)
    Share(tmp_path, 0).forget()
    shown = work(tmp_path, 1, ready=0, count=0)
    assert f"{READY} 0.0" in shown
    assert f"{REQUESTS} 3.0" in shown


def test_metrics_of_a_single_process_are_left_out(tmp_path: Path) -> None:
    shown = work(tmp_path, 0, ready=1, count=0)
    assert not [line for line in shown if line.startswith(("process_", "python_gc_"))]
    assert any(line.startswith("python_info") for line in shown)


def test_shared_metrics_are_openmetrics_too(tmp_path: Path) -> None:
    shown = work(tmp_path, 0, ready=1, count=2, accept="application/openmetrics-text")
    assert f"{REQUESTS} 2.0" in shown
    assert shown[-1] == "# EOF"
