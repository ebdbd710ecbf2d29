"""What is lost when workers end or die: nothing that one took which ends, and nothing that waits to be accepted."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from fairlead_tests.waiting import eventually
from integration.counting import load
from integration.processes import ServerProcess, served

MODEL = """
import os
import numpy as np
from fairlead import CustomModel

class Echo(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        with (self.artifact / "calls").open("a") as calls:
            calls.write(f"{os.getpid()}\\n")
        return x
"""
ASK = ("/v1/models/echo:predict", '{"instances": [7]}')
ANSWER = '{"predictions":[7]}'
INFER = "/inference.GRPCInferenceService/ModelInfer"
SEVEN = struct.pack("<d", 7.0)
QUESTION = service_pb2.ModelInferRequest(
    model_name="echo",
    inputs=[service_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1])],
    raw_input_contents=[SEVEN],
).SerializeToString()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "echo.py"
    path.write_text(MODEL)
    return path


# Channels would otherwise share their connections, and none would be new.
OWN_CONNECTIONS = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(params=[1, 3])
def server(request: pytest.FixtureRequest, model: Path) -> Iterator[ServerProcess]:
    arguments = ["--workers", str(request.param), "--log-format", "text", "--max-batch-size", "1"]
    with served(model, arguments) as running:
        yield running


def workers(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_every_connection_that_was_accepted_gets_its_answer_when_the_server_ends(
    server: ServerProcess, model: Path
) -> None:
    with load(server.port, *ASK, kept=6, fresh=6) as counted:
        eventually(lambda: counted.answered > 200)
        assert server.end(signal.SIGTERM) == 0
        eventually(lambda: counted.refused == 12)
    assert set(counted.answers) <= {ANSWER, ""}
    calls = len(model.with_name("calls").read_text().splitlines())
    assert counted.answered == calls
    assert set(counted.outcomes) == {"200"}


def test_every_grpc_call_that_the_server_does_not_refuse_gets_its_answer_when_it_ends(
    server: ServerProcess, model: Path
) -> None:
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def ask(channel: grpc.Channel) -> bool:
        try:
            answer: bytes = channel.unary_unary(INFER)(QUESTION, timeout=60)
            outcome = "answered" if answer.endswith(SEVEN) else f"wrong: {answer!r}"
        except grpc.RpcError as error:
            outcome = error.code().name
        with lock:
            outcomes[outcome] += 1
        return outcome == "answered"

    def keep() -> None:
        with grpc.insecure_channel(server.grpc_address, OWN_CONNECTIONS) as channel:
            while ask(channel):
                pass

    def renew() -> None:
        answered = True
        while answered:
            with grpc.insecure_channel(server.grpc_address, OWN_CONNECTIONS) as channel:
                answered = ask(channel)

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(each) for each in (keep, renew) * 4]
        eventually(lambda: outcomes["answered"] > 200)
        assert server.end(signal.SIGTERM) == 0
        for client in clients:
            client.result(60)
    # A client is refused when it connects anew, and may ask elsewhere: nothing that it has sent was taken.
    assert outcomes["UNAVAILABLE"] == 8
    assert set(outcomes) == {"answered", "UNAVAILABLE"}
    assert outcomes["answered"] == len(model.with_name("calls").read_text().splitlines())


@pytest.mark.parametrize("server", [3], indirect=True)
def test_the_death_of_a_worker_costs_no_more_than_the_connections_that_it_had(server: ServerProcess) -> None:
    deaths = 0
    with load(server.port, *ASK, kept=6, fresh=6) as counted:
        for _ in range(4):
            reached = counted.answered
            eventually(lambda reached=reached: counted.answered > reached + 100)  # type: ignore[misc]  # bound now
            os.kill(workers(server)[0], signal.SIGKILL)
            deaths += 1
            eventually(lambda: sum(") is ready\n" in line for line in server.lines) == deaths)  # noqa: B023  # asked now
    lost = counted.outcomes.total() - counted.answered
    assert lost <= 12 * deaths
    resets = {"ConnectionResetError", "BrokenPipeError", "RemoteDisconnected", "IncompleteRead"}
    assert set(counted.outcomes) <= {"200", *resets}
    assert set(counted.answers) <= {ANSWER, ""}  # a client may see no answer, and never a wrong one
    assert counted.refused == 0


@pytest.mark.parametrize("server", [3], indirect=True)
def test_connections_that_no_worker_has_accepted_survive_the_death_of_any(server: ServerProcess) -> None:
    stopped = workers(server)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(50):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            stack.callback(connection.close)
            connection.request("POST", *ASK, {"content-type": "application/json"})
            waiting.append(connection)
        os.kill(stopped[0], signal.SIGKILL)
        os.kill(stopped[1], signal.SIGKILL)
        os.kill(stopped[2], signal.SIGCONT)
        assert {connection.getresponse().read().decode() for connection in waiting} == {ANSWER}


# -- the terminal ---------------------------------------------------------------------------------------

IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "fairlead.cli.main", *sys.argv[2:]])
"""


@contextlib.contextmanager
def in_a_terminal(disposition: str, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str], list[str]]]:
    """A server in a terminal of its own: the terminal's other end, the process, and what it has said."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, disposition, "serve", "--http-port", "0", *arguments]
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        lines: list[str] = []
        assert process.stderr is not None
        try:
            for line in process.stderr:
                lines.append(line)
                if "ready on" in line:
                    break
            yield ours, process, lines
        finally:
            if process.poll() is None:
                process.terminate()
            process.stderr.read()


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_terminal_that_is_closed_ends_the_server(model: Path, count: str) -> None:
    with in_a_terminal("SIG_DFL", str(model), "--workers", count) as (terminal, process, _):
        os.close(terminal)
        assert process.wait(60) == 0


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_server_under_nohup_outlives_its_terminal_and_restarts_on_request(model: Path, count: str) -> None:
    with in_a_terminal("SIG_IGN", str(model), "--workers", count, "--log-format", "text") as (terminal, process, _):
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert any("SIGHUP: " in line for line in iter(process.stderr.readline, ""))
        os.close(terminal)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(60) == 0
        assert "SIGHUP: " not in said.partition("SIGTERM")[2]
