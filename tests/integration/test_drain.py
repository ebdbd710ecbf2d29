"""SIGTERM under load: readiness fails first, what is in flight is answered, and the process ends in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fairlead_tests.waiting import eventually
from integration.processes import ServerProcess, served

MODEL = """
import numpy as np
from fairlead import CustomModel

class Gated(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        with (self.artifact / "calls").open("a") as calls:
            calls.write("called\\n")
        if (self.artifact / "gate").exists():
            (self.artifact / "gate").read_text()  # a named pipe: waits until the test writes to it
        return x
"""
MIXED = """
import numpy as np
from fairlead import CustomModel

class Mixed(CustomModel):
    async def predict(self, x: np.ndarray) -> np.ndarray:
        return x

    def postprocess(self, x: np.ndarray) -> np.ndarray:
        (self.artifact / "calls").touch()
        (self.artifact / "gate").read_text()  # a named pipe that nobody writes to
        return x
"""
BODY = {"instances": [[1, 2]]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "gated.py"
    path.write_text(MODEL)
    return path


def ask(server: ServerProcess) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/models/gated:predict", json=BODY, timeout=60, trust_env=False)


def is_refused(asked: Future[httpx.Response]) -> bool:
    """Whether a request was told that the server ends, and to go elsewhere."""
    answer = asked.result(30)
    return (answer.status_code, answer.headers["connection"]) == (503, "close")


def readiness(server: ServerProcess) -> int:
    try:
        return httpx.get(f"{server.url}/v2/health/ready", timeout=60, trust_env=False).status_code
    except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        return 0


def test_what_is_in_flight_is_answered_and_the_exit_status_is_zero(model: Path) -> None:
    gate = model.with_name("gate")
    os.mkfifo(gate)
    with served(model) as server, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: readiness(server) != 200)
        gate.write_text("go")
        assert asked.result(30).json() == {"predictions": [[1, 2]]}
        assert server.process.wait(30) == 0


def test_readiness_fails_first_and_requests_are_accepted_during_the_delay(model: Path) -> None:
    with served(model, ["--drain-delay", "600"]) as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: readiness(server) == 503)
        assert server.client.get("/v2/health/live").status_code == 200
        assert ask(server).status_code == 200
        assert server.end(signal.SIGTERM) == 0


def test_no_accepted_request_is_lost_when_the_server_stops_under_load(model: Path) -> None:
    outcomes: Counter[str] = Counter()
    lock, stop = threading.Lock(), threading.Event()

    def count(outcome: str) -> None:
        with lock:
            outcomes[outcome] += 1

    def load(server: ServerProcess) -> None:
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            while not stop.is_set():
                try:
                    count(str(client.post("/v1/models/gated:predict", json=BODY).status_code))
                except httpx.ConnectError:
                    count("refused")  # never accepted: a balancer sends it elsewhere
                    return
                except (httpx.RemoteProtocolError, httpx.ReadError):
                    count("closed")  # never accepted either: closed as the request was on its way
                    return

    with served(model, ["--drain-delay", "0.5"]) as server, ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(load, server) for _ in range(8)]
        eventually(lambda: outcomes["200"] > 200)
        answered = outcomes["200"]
        assert server.end(signal.SIGTERM) == 0
        stop.set()
        for worker in workers:
            worker.result(30)
    assert outcomes["200"] > answered
    assert set(outcomes) <= {"200", "refused", "closed"}
    # Whatever reached the model was answered: what was closed had not been accepted.
    assert model.with_name("calls").read_text().count("called") == outcomes["200"]


def test_a_second_signal_ends_a_server_whose_model_hangs(model: Path) -> None:
    os.mkfifo(model.with_name("gate"))
    with served(model) as server, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: readiness(server) != 200)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        assert is_refused(asked)


def test_a_model_that_hangs_does_not_keep_a_server_past_its_drain_timeout(model: Path) -> None:
    os.mkfifo(model.with_name("gate"))
    with served(model, ["--drain-timeout", "1"]) as server, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(model.with_name("calls").exists)
        assert server.end(signal.SIGTERM) in (0, 1)
        assert is_refused(asked)


def test_a_plain_hook_that_hangs_beside_an_async_one_does_not_keep_the_server(tmp_path: Path) -> None:
    path = tmp_path / "gated.py"
    path.write_text(MIXED)
    os.mkfifo(path.with_name("gate"))
    with served(path, ["--drain-timeout", "1"]) as server, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, server)
        eventually(path.with_name("calls").exists)
        assert server.end(signal.SIGTERM) in (0, 1)
        assert is_refused(asked)


def test_a_download_that_stalls_does_not_keep_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as source:
        uri = f"http://127.0.0.1:{source.getsockname()[1]}/model.joblib"
        command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--http-port", "0", uri]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                connection, _ = source.accept()
                with connection:
                    connection.recv(1024)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(20) == 0
            finally:
                process.kill()
