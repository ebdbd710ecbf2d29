"""Several server processes on one port: who answers, what happens when one dies, and how they all end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fairlead_tests.waiting import eventually
from integration.processes import ServerProcess, served

MODEL = """
import os
import numpy as np
from fairlead import CustomModel

class Pid(CustomModel):
    def load(self) -> None:
        self.wait_at("loading")

    def predict(self, x: np.ndarray) -> np.ndarray:
        with (self.artifact / "calls").open("a") as calls:
            calls.write(f"{os.getpid()}\\n")
        self.wait_at("predicting")
        return np.full(len(x), os.getpid())

    def wait_at(self, gate: str) -> None:
        if (self.artifact / gate).exists():
            (self.artifact / gate).read_text()  # a named pipe: waits until the test writes to it
"""
BODY = {"instances": [1]}
TWO = ("--workers", "2", "--log-format", "json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "pid.py"
    path.parent.mkdir()
    path.write_text(MODEL)
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    path = tmp_path / "temporary"
    path.mkdir()
    return path


@pytest.fixture
def server(model: Path, temporary: Path) -> Iterator[ServerProcess]:
    with served(model, TWO, {"TMPDIR": str(temporary)}) as running:
        yield running
    assert list(temporary.iterdir()) == []


def ask(server: ServerProcess) -> int:
    """The process that answers on a connection of its own."""
    response = httpx.post(f"{server.url}/v1/models/pid:predict", json=BODY, timeout=60, trust_env=False)
    assert response.status_code == 200
    return int(response.json()["predictions"][0])


def workers(server: ServerProcess) -> set[int]:
    """The supervisor's children."""
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def gone(pids: set[int]) -> bool:
    """Whether none of them runs; one that nobody has reaped yet does not."""
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return False
    return True


def answered(server: ServerProcess) -> float:
    """How many requests have been answered, as whichever worker a new connection meets says it."""
    text = httpx.get(f"{server.url}/metrics", timeout=60, trust_env=False).text
    return sum(float(count) for count in re.findall(r"^fairlead_requests_total{.*} (.+)$", text, re.MULTILINE))


def failing(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--http-port", "0", "--log-format", "text"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def without_address(text: str) -> list[str]:
    return [line for line in text.splitlines() if "listening on" not in line and "in each worker" not in line]


# -- answering ------------------------------------------------------------------------------------------


def test_every_worker_answers_and_the_log_says_ready_once(server: ServerProcess) -> None:
    found = workers(server)
    assert len(found) == 2
    asked: set[int] = set()
    while asked != found:
        asked.add(ask(server))
    ready = [line["message"] for line in server.logged() if "ready on" in str(line["message"])]
    assert ready == [f"ready on {server.url}: pid (2 workers, gRPC on {server.grpc_address})"]


def test_metrics_are_those_of_all_workers_whichever_is_asked_and_a_death_takes_none_away(
    server: ServerProcess, model: Path
) -> None:
    def counted_everywhere() -> bool:
        calls = len(model.with_name("calls").read_text().splitlines())
        return {answered(server) for _ in range(20)} == {calls}

    def ask_every_worker() -> None:
        asked: set[int] = set()
        while not asked >= workers(server):
            asked.add(ask(server))

    ask_every_worker()
    eventually(counted_everywhere)
    victim = min(workers(server))
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(workers(server) - {victim}) == 2)
    ask_every_worker()
    eventually(counted_everywhere)


def test_a_model_is_ready_in_the_metrics_while_any_worker_answers(server: ServerProcess) -> None:
    victim = workers(server).pop()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in workers(server))
    assert 'fairlead_model_ready{model_name="pid"} 1.0' in server.client.get("/metrics").text


def test_models_are_not_loaded_or_unloaded_in_one_worker_of_several(server: ServerProcess) -> None:
    for verb in ("load", "unload"):
        response = server.client.post(f"/v2/repository/models/pid/{verb}")
        assert response.status_code == 501
        assert "--workers 1" in response.json()["error"]
    assert server.client.post("/v2/repository/index").json()[0]["state"] == "READY"


# -- starting -------------------------------------------------------------------------------------------


def test_a_server_whose_first_worker_loads_is_alive_and_not_ready(model: Path) -> None:
    gate = model.with_name("loading")
    os.mkfifo(gate)
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(model), "--http-port", "0", *TWO]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"listening on (\S+:\d+)", process.stderr.readline())
        assert found is not None
        writing = os.open(gate, os.O_WRONLY)  # returns once the first worker loads its model
        gate.unlink()
        with httpx.Client(base_url=f"http://{found[1]}", timeout=60, trust_env=False) as client:
            assert client.get("/v2/health/live").json() == {"live": True}
            assert client.get("/").json() == {"status": "alive"}
            refused = [client.get("/v2/health/ready"), client.post("/v1/models/m:predict", content=b" " * 1_000_000)]
            assert [each.status_code for each in refused] == [503, 503]
            assert all(each.headers["retry-after"] == "1" and each.json()["error"] for each in refused)
            os.close(writing)
            eventually(lambda: client.get("/v2/health/ready").status_code == 200)
        process.terminate()
        process.stderr.read()
        assert process.wait(60) == 0


def test_a_worker_takes_no_request_before_its_models_are_ready(server: ServerProcess, model: Path) -> None:
    victim, survivor = workers(server)
    gate = model.with_name("loading")
    os.mkfifo(gate)
    os.kill(victim, signal.SIGKILL)
    writing = os.open(gate, os.O_WRONLY)  # returns once the new worker loads its model
    gate.unlink()
    assert {ask(server) for _ in range(50)} == {survivor}
    os.close(writing)
    eventually(lambda: ask(server) not in (victim, survivor))


def test_a_model_that_does_not_load_ends_the_server_and_is_told_once(model: Path) -> None:
    model.write_text("raise RuntimeError('this model is broken')")
    alone, several = failing(str(model)), failing(str(model), "--workers", "3")
    assert alone.returncode == several.returncode == 1
    assert "this model is broken" in alone.stderr
    assert without_address(several.stderr) == without_address(alone.stderr)


def test_an_argument_that_is_wrong_ends_the_server_and_is_told_once(model: Path) -> None:
    several = failing(str(model), "--workers", "3", "--set", "nothing")
    assert several.returncode == 2
    assert several.stderr.count("--set 'nothing' has no value") == 1


def test_a_worker_that_is_killed_as_it_starts_ends_the_server(model: Path) -> None:
    model.write_text(MODEL.replace('self.wait_at("loading")', "os.kill(os.getpid(), 9)"))
    done = failing(str(model), "--workers", "2")
    assert done.returncode == 1
    assert re.search(r"worker 0 \(process \d+\) was killed by SIGKILL before it was ready\.", done.stderr)


def test_a_server_without_workers_is_refused(model: Path) -> None:
    done = failing(str(model), "--workers", "0")
    assert done.returncode == 2
    assert "at least 1 process" in done.stderr


# -- dying ----------------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_replaced_and_requests_are_answered_all_the_while(server: ServerProcess) -> None:
    before = workers(server)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in workers(server))
    eventually(lambda: ask(server) not in before)
    assert len(workers(server)) == 2
    messages = [str(line["message"]) for line in server.logged()]
    assert any(f"(process {victim}) was killed by SIGKILL; another is started" in text for text in messages)


def test_a_worker_whose_model_no_longer_loads_is_tried_again(server: ServerProcess, model: Path) -> None:
    victim, survivor = workers(server)
    model.write_text("raise RuntimeError('this model is broken')")
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: sum("ended with status 1; another is started" in line for line in server.lines) >= 2)
    assert ask(server) == survivor
    model.write_text(MODEL)
    eventually(lambda: ask(server) not in (victim, survivor))


def test_a_supervisor_that_is_killed_leaves_nothing_behind(model: Path, temporary: Path) -> None:
    gate = model.with_name("predicting")
    os.mkfifo(gate)
    with served(model, TWO, {"TMPDIR": str(temporary)}) as server, ThreadPoolExecutor() as pool:
        left = workers(server)
        asked = pool.submit(ask, server)
        calls = model.with_name("calls")
        eventually(lambda: calls.exists() and calls.read_text().endswith("\n"))
        server.end(signal.SIGKILL)
        idle = left - {int(calls.read_text())}
        eventually(lambda: gone(idle))
        assert list(temporary.iterdir()) != []  # the other one still needs it
        gate.write_text("go")
        assert asked.result(60) in left
        eventually(lambda: gone(left))
        assert list(temporary.iterdir()) == []


# -- ending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_before_the_server_ends(
    server: ServerProcess, model: Path, number: signal.Signals
) -> None:
    gate = model.with_name("predicting")
    os.mkfifo(gate)
    left = workers(server)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(number)
        eventually(lambda: refuses(server))
        gate.write_text("go")
        assert asked.result(60) in left
        assert server.process.wait(60) == 0
    assert gone(left)


def refuses(server: ServerProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_no_request_that_reached_a_model_is_lost_when_the_server_stops_under_load(
    server: ServerProcess, model: Path
) -> None:
    outcomes: Counter[int] = Counter()
    lock = threading.Lock()

    def load() -> None:
        client = httpx.Client(base_url=server.url, timeout=30, trust_env=False)
        # A connection that is refused, or closed before it has an answer, ends the loop.
        with client, contextlib.suppress(httpx.NetworkError, httpx.RemoteProtocolError):
            while True:
                status = client.post("/v1/models/pid:predict", json=BODY).status_code
                with lock:
                    outcomes[status] += 1

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(load) for _ in range(8)]
        eventually(lambda: outcomes[200] > 200)
        assert server.end(signal.SIGTERM) == 0
        for client in clients:
            client.result(30)
    assert set(outcomes) == {200}
    assert outcomes[200] == len(model.with_name("calls").read_text().splitlines())


def test_a_second_signal_ends_every_worker_at_once(server: ServerProcess, model: Path) -> None:
    os.mkfifo(model.with_name("predicting"))
    left = workers(server)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses(server))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert isinstance(asked.exception(60), httpx.NetworkError | httpx.RemoteProtocolError)
    assert gone(left)


def test_a_worker_that_does_not_end_is_killed(model: Path) -> None:
    with served(model, [*TWO, "--drain-timeout", "1"]) as server:
        left = workers(server)
        os.kill(min(left), signal.SIGSTOP)
        assert server.end() == 0
        assert gone(left)
    assert any("has not ended, and is killed after 6 seconds" in line for line in server.lines)


def test_the_terminal_reaches_the_supervisor_alone(server: ServerProcess) -> None:
    assert all(os.getsid(pid) == pid for pid in workers(server))
