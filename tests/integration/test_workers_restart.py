"""SIGHUP: every worker is replaced by one that has loaded the models anew, and nobody who asks notices."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import joblib
import pytest
from sklearn.dummy import DummyRegressor

from fairlead_tests.waiting import eventually
from integration.counting import Counted, load
from integration.processes import ServerProcess, served

MODEL = """
import os
import numpy as np
from fairlead import CustomModel

class Constant(CustomModel):
    def load(self) -> None:
        with (self.artifact / "loads").open("a") as loads:
            loads.write(f"{os.getpid()}\\n")
        self.wait_at("loading")

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.wait_at("predicting")
        return np.full(len(x), 1.0)

    def wait_at(self, gate: str) -> None:
        if (self.artifact / gate).exists():
            (self.artifact / gate).read_text()  # a named pipe: waits until the test writes to it
"""
TWO = ("--workers", "2", "--log-format", "text")
ASK = ("/v1/models/model:predict", '{"instances": [[0.0]]}')


class Kind:
    """A model whose every answer is the number that was saved.

    Attributes:
        name: how its workers are made.
        path: what is served.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.path = folder / ("model.joblib" if name == "shared" else "model.py")

    def save(self, value: float) -> None:
        if self.name == "shared":
            new = self.path.with_suffix(".new")
            joblib.dump(DummyRegressor(strategy="constant", constant=value).fit([[0.0]], [0.0]), new)
            new.replace(self.path)
        else:
            self.path.write_text(MODEL.replace("1.0", str(value)))

    def spoil(self) -> None:
        self.path.write_text("raise RuntimeError('this model is broken')")


@pytest.fixture(params=["shared", "apart"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    folder = tmp_path / "models"
    folder.mkdir()
    made = Kind(request.param, folder)
    made.save(1.0)
    return made


@pytest.fixture
def apart(tmp_path: Path) -> Kind:
    folder = tmp_path / "models"
    folder.mkdir()
    made = Kind("apart", folder)
    made.save(1.0)
    return made


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    path = tmp_path / "temporary"
    path.mkdir()
    return path


@contextlib.contextmanager
def serving(kind: Kind, temporary: Path, *arguments: str) -> Iterator[ServerProcess]:
    with served(kind.path, [*TWO, "--name", "model", *arguments], {"TMPDIR": str(temporary)}) as running:
        yield running
    assert list(temporary.iterdir()) == []


@pytest.fixture
def server(kind: Kind, temporary: Path) -> Iterator[ServerProcess]:
    with serving(kind, temporary) as running:
        yield running


def said(server: ServerProcess, text: str) -> int:
    return sum(text in line for line in server.lines)


def restart(server: ServerProcess, times: int = 1) -> None:
    before = said(server, "restarted:")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: said(server, "restarted:") == before + times)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= {int(child), *descendants(int(child))}
    return found


def running(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                alive.add(pid)
    return alive


def ask(server: ServerProcess) -> float:
    response = httpx.post(f"{server.url}{ASK[0]}", content=ASK[1], timeout=60, trust_env=False)
    assert response.status_code == 200
    return float(response.json()["predictions"][0])


def requests_of(metrics: str) -> float:
    return sum(float(count) for count in re.findall(r"^fairlead_requests_total{.*} (.+)$", metrics, re.MULTILINE))


# -- nobody notices -------------------------------------------------------------------------------------


def test_no_request_fails_while_all_workers_are_replaced_again_and_again(server: ServerProcess) -> None:
    before = descendants(server.process.pid)
    with load(server.port, *ASK) as counted:
        eventually(lambda: counted.answered > 50)
        for _ in range(2):
            restart(server)
        reached = counted.answered
        eventually(lambda: counted.answered > reached + 50)
    assert only_answers(counted)
    assert not running(before)


def only_answers(counted: Counted) -> bool:
    assert dict(counted.outcomes) == {"200": counted.answered}
    return counted.refused == 0


def test_what_is_saved_since_is_served_and_no_answer_is_a_mixture(server: ServerProcess, kind: Kind) -> None:
    with load(server.port, *ASK) as counted:
        eventually(lambda: counted.answered > 50)
        kind.save(2.0)
        restart(server)
        assert {ask(server) for _ in range(50)} == {2.0}
    assert only_answers(counted)
    assert set(counted.answers) == {'{"predictions":[1.0]}', '{"predictions":[2.0]}'}


def test_a_request_in_flight_is_answered_by_the_worker_that_took_it(apart: Kind, temporary: Path) -> None:
    gate = apart.path.with_name("predicting")
    with serving(apart, temporary) as server, ThreadPoolExecutor() as pool:
        os.mkfifo(gate)
        asked = pool.submit(ask, server)
        writing = os.open(gate, os.O_WRONLY)  # returns once a model is asked
        gate.unlink()
        apart.save(2.0)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: said(server, "is ready; process"))
        assert not asked.done()
        os.close(writing)
        assert asked.result(60) == 1.0
        eventually(lambda: said(server, "restarted:"))


def test_a_client_whose_connection_idles_finds_it_closed_and_not_reset(server: ServerProcess) -> None:
    assert server.client.get("/v2/health/ready").status_code == 200
    restart(server)
    assert server.client.get("/v2/health/ready").status_code == 200  # on another connection


def test_metrics_go_on_counting_and_their_files_do_not_pile_up(server: ServerProcess, temporary: Path) -> None:
    def files() -> int:
        return len(list(temporary.glob("*/counter_*.db")))

    def shown() -> set[float]:
        return {requests_of(server.client.get("/metrics").text) for _ in range(10)}

    for times in range(1, 4):
        for _ in range(20):
            ask(server)
        restart(server)
        assert shown() == {20 * times}  # those of workers that have ended, too
        assert 'fairlead_model_ready{model_name="model"} 1.0' in server.client.get("/metrics").text
    assert files() <= 5  # two workers, one that comes before another goes, and two templates, which count nothing


# -- it does not work -----------------------------------------------------------------------------------


def test_a_model_that_is_broken_stops_the_restart_and_the_workers_that_are_there_go_on(
    server: ServerProcess, kind: Kind
) -> None:
    before = descendants(server.process.pid)
    kind.spoil()
    with load(server.port, *ASK) as counted:
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: said(server, "the restart stops, and all workers go on answering"))
        eventually(lambda: descendants(server.process.pid) == before)
        reached = counted.answered
        eventually(lambda: counted.answered > reached + 50)
    assert only_answers(counted)
    assert set(counted.answers) == {'{"predictions":[1.0]}'}
    assert said(server, "ended with status 1 before it was ready; no worker was replaced")
    kind.save(2.0)
    restart(server)
    assert ask(server) == 2.0


def test_a_worker_that_dies_after_a_restart_that_stopped_is_replaced_from_the_template_that_was_there(
    tmp_path: Path, temporary: Path
) -> None:
    kind = Kind("shared", tmp_path)
    kind.save(1.0)
    with serving(kind, temporary) as server:
        kind.spoil()
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: said(server, "the restart stops"))
        template = descendants(server.process.pid) - workers(server)
        victim = min(workers(server))
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: said(server, "is ready\n") and len(workers(server) - {victim}) == 2)
        assert descendants(server.process.pid) - workers(server) == template
        assert {ask(server) for _ in range(20)} == {1.0}


def workers(server: ServerProcess) -> set[int]:
    """The processes that have no children."""
    return {pid for pid in running(descendants(server.process.pid)) if not descendants(pid)}


# -- several signals ------------------------------------------------------------------------------------


def test_a_signal_during_a_restart_is_remembered_and_several_are_one(apart: Kind, temporary: Path) -> None:
    gate = apart.path.with_name("loading")
    with serving(apart, temporary) as server:
        os.mkfifo(gate)
        server.process.send_signal(signal.SIGHUP)
        writing = os.open(gate, os.O_WRONLY)  # returns once the first new worker loads its model
        gate.unlink()
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
        os.close(writing)
        eventually(lambda: said(server, "restarted:") == 2)
        assert said(server, "SIGHUP: 2 workers are replaced") == 2
        assert len(workers(server)) == 2


def test_sigterm_during_a_restart_ends_all_workers_old_and_new(apart: Kind, temporary: Path) -> None:
    gate = apart.path.with_name("loading")
    with serving(apart, temporary) as server:
        os.mkfifo(gate)
        server.process.send_signal(signal.SIGHUP)
        writing = os.open(gate, os.O_WRONLY)
        gate.unlink()
        left = descendants(server.process.pid)
        assert len(left) == 3
        assert server.end(signal.SIGTERM) == 0
        assert not running(left)
        os.close(writing)


def test_a_hangup_that_reaches_the_workers_too_kills_none(server: ServerProcess) -> None:
    before = workers(server)
    for pid in descendants(server.process.pid):
        os.kill(pid, signal.SIGHUP)
    restart(server)
    assert said(server, "another is started") == 0
    assert not running(before)


# -- one process ----------------------------------------------------------------------------------------


def test_a_single_process_loads_its_models_anew_and_no_request_fails(kind: Kind) -> None:
    with served(kind.path, ["--name", "model", "--log-format", "text"]) as server:
        with load(server.port, *ASK) as counted:
            eventually(lambda: counted.answered > 50)
            kind.save(2.0)
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: said(server, "loaded anew: 1 model, 0 failed"))
            assert ask(server) == 2.0
            kind.spoil()
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: said(server, "loaded anew: 0 models, 1 failed"))
            assert ask(server) == 2.0
        assert only_answers(counted)
        assert said(server, "model model goes on answering as it was loaded before")
        assert server.end() == 0
