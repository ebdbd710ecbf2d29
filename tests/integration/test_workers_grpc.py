"""gRPC with several workers: one port, and a restart that no call notices, on channels that are kept and new ones."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import tritonclient.grpc as triton
from sklearn.dummy import DummyRegressor
from tritonclient.utils import InferenceServerException

from fairlead_tests.waiting import eventually
from integration.processes import ServerProcess, served

# Channels would otherwise share their connections, and none would be new.
OWN_CONNECTIONS = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    path = tmp_path / "model.joblib"
    joblib.dump(DummyRegressor(strategy="constant", constant=1.0).fit([[0.0]], [0.0]), path)
    with served(path, ["--workers", "2", "--log-format", "text"]) as running:
        yield running


def port_of(server: ServerProcess) -> int:
    found = re.search(r"gRPC on \S+:(\d+)\)", "".join(server.lines))
    assert found is not None
    return int(found[1])


def ask(client: triton.InferenceServerClient) -> str:
    tensor = triton.InferInput("input-0", [1, 1], "FP64")
    tensor.set_data_from_numpy(np.zeros((1, 1)))
    try:
        answer = client.infer("model", [tensor], client_timeout=60)
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return str(answer.as_numpy("output-0").tolist())


def connect(server: ServerProcess) -> contextlib.closing[triton.InferenceServerClient]:
    return contextlib.closing(
        triton.InferenceServerClient(f"127.0.0.1:{port_of(server)}", channel_args=OWN_CONNECTIONS)
    )


def test_all_workers_answer_on_one_port(server: ServerProcess) -> None:
    for _ in range(20):
        with connect(server) as client:
            assert ask(client) == "[1.0]"


def test_nobody_else_gets_the_port_while_the_server_lives(server: ServerProcess) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port_of(server)))


def test_no_call_fails_while_all_workers_are_replaced(server: ServerProcess) -> None:
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    stop = threading.Event()

    def count(outcome: str) -> None:
        with lock:
            outcomes[outcome] += 1

    def keep() -> None:
        with connect(server) as client:
            while not stop.is_set():
                count(ask(client))

    def renew() -> None:
        while not stop.is_set():
            with connect(server) as client:
                count(ask(client))

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(each) for each in (keep, renew) * 4]
        eventually(lambda: outcomes.total() > 100)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: any("restarted:" in line for line in server.lines), patience=120)
        reached = outcomes.total()
        eventually(lambda: outcomes.total() > reached + 100)
        stop.set()
        for client in clients:
            client.result(60)
    assert set(outcomes) == {"[1.0]"}
