"""Models that are loaded once for all workers: which are, who forks, and what happens when one of them dies."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from fairlead_tests.waiting import eventually
from integration.processes import ServerProcess, served

THREE = ("--workers", "3", "--log-format", "text")
CLASSIFIERS = {
    "boosting": HistGradientBoostingClassifier(max_iter=20),  # OpenMP when it answers
    "forest": RandomForestClassifier(10, n_jobs=-1),  # threads of Python's when it answers
    "neighbours": KNeighborsClassifier(n_jobs=2),  # OpenMP, and BLAS within
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    x = random.random((2000, 8))
    for name, classifier in CLASSIFIERS.items():
        (folder / name).mkdir()
        joblib.dump(classifier.fit(x, x[:, 0] > 0.5), folder / name / "model.joblib")
    return folder


@pytest.fixture
def server(models: Path) -> Iterator[ServerProcess]:
    with served(models, THREE) as running:
        yield running


def children(pid: int) -> set[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


def template_of(server: ServerProcess) -> int:
    (template,) = children(server.process.pid)
    return template


def said(server: ServerProcess, text: str) -> int:
    return sum(text in line for line in server.lines)


def ask(server: ServerProcess, name: str, rows: int = 500) -> int:
    """How many answers a worker gives on a new connection."""
    x = np.full((rows, 8), 0.9).tolist()
    answer = httpx.post(f"{server.url}/v1/models/{name}:predict", json={"instances": x}, timeout=60, trust_env=False)
    assert answer.status_code == 200
    assert set(answer.json()["predictions"]) == {True}
    return len(answer.json()["predictions"])


def test_models_are_loaded_once_and_every_worker_answers_with_them_also_in_many_threads(server: ServerProcess) -> None:
    assert said(server, "loaded once for all workers: boosting, forest, neighbours") == 1
    assert len(children(template_of(server))) == 3
    for name in CLASSIFIERS:
        assert {ask(server, name) for _ in range(20)} == {500}


def test_workers_hold_most_of_their_memory_together(server: ServerProcess) -> None:
    for pid in children(template_of(server)):
        found = dict(re.findall(r"^(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
        assert int(found["Pss"]) < int(found["Rss"]) / 2


def test_a_worker_that_dies_is_forked_again_and_nothing_is_loaded(server: ServerProcess, models: Path) -> None:
    template = template_of(server)
    before = children(template)
    kept = {path: path.read_bytes() for path in models.glob("*/model.joblib")}
    for path in kept:
        path.write_bytes(b"this is no model")
    try:
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(children(template) - {min(before)}) == 3)
        eventually(lambda: said(server, ") is ready\n"))
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert said(server, f"(process {min(before)}) was killed by SIGKILL; another is started") == 1
    assert said(server, "loaded once") == 1
    assert {ask(server, "boosting") for _ in range(20)} == {500}


def test_a_template_that_dies_leaves_its_workers_alone_and_another_is_started_for_the_next(
    server: ServerProcess,
) -> None:
    template = template_of(server)
    before = children(template)
    os.kill(template, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{template}").exists())
    assert ask(server, "forest") == 500
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: said(server, ") is ready\n"))
    assert said(server, f"the template of the workers (process {template}) was killed by SIGKILL; another one is")
    assert said(server, "loaded once") == 2
    assert template_of(server) != template
    left = before - {min(before)}
    assert server.end() == 0
    eventually(lambda: not any(Path(f"/proc/{pid}/task/{pid}/status").exists() for pid in left))


def test_the_template_ends_when_the_supervisor_is_killed(server: ServerProcess) -> None:
    template = template_of(server)
    left = {template, *children(template)}
    server.end(signal.SIGKILL)
    eventually(lambda: not any(runs(pid) for pid in left))


def runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_sharing_can_be_turned_off(models: Path) -> None:
    with served(models, [*THREE, "--share-models", "off"]) as server:
        assert len(children(server.process.pid)) == 3
        assert said(server, "loaded once") == 0


def test_a_runtime_that_promises_nothing_loads_in_each_worker_and_the_log_says_why(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from fairlead import CustomModel\n\n\nclass Own(CustomModel):\n    def predict(self, x):\n        return x\n"
    )
    with served(path, THREE) as server:
        assert len(children(server.process.pid)) == 3
        assert said(server, "model own is loaded in each worker: runtime python does not declare") == 1


def test_a_load_that_leaves_a_thread_is_noticed_and_nothing_is_forked(tmp_path: Path) -> None:
    (tmp_path / "threading_estimator.py").write_text(
        "import threading\n"
        "from sklearn.dummy import DummyRegressor\n\n\n"
        "class Threaded(DummyRegressor):\n"
        "    def __setstate__(self, state):\n"
        "        super().__setstate__(state)\n"
        "        threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    script = (
        "import joblib, threading_estimator as made; "
        "joblib.dump(made.Threaded(strategy='mean').fit([[0.0]], [1.0]), 'model.joblib')"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environ = {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, **environ}, check=True)
    with served(tmp_path / "model.joblib", THREE, environ) as server:
        assert said(server, "model left 2 threads running, and only a process with one can be forked") == 1
        assert len(children(server.process.pid)) == 3
        answer = server.client.post("/v1/models/model:predict", json={"instances": [[0.0]]})
        assert answer.json() == {"predictions": [1.0]}


def test_a_model_that_does_not_answer_its_sample_ends_the_server_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"this is no model")
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(tmp_path / "model.joblib"), "--http-port", "0"]
    done = subprocess.run([*command, *THREE], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "loaded once" not in done.stderr
