"""The comparison benchmark, in its shortest form, and what its figures rest on."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparison.calls import CALLS, WrongAnswer, framed
from comparison.load import summed_up
from comparison.machine import processes
from comparison.openloop import Plan

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
COMPARE = [sys.executable, str(BENCHMARKS / "compare.py")]
SHORTEST = ["--servers", "fairlead,floor", "--only", "binary-in", "--rounds", "1", "--seconds", "1"]

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")


@needs_wrk
def test_fairlead_and_the_floor_are_compared_in_one_run(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [*COMPARE, *SHORTEST, "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    [cell] = json.loads(figures.read_text())["cells"]
    assert (cell["workload"], cell["concurrency"]) == ("binary-in", 8)
    for name in ("fairlead", "floor"):
        [sample] = cell["servers"][name]["samples"]
        assert sample["rate"] > 0
        assert sample["failed"] == 0
    assert cell["servers"]["fairlead"]["ratio"] == 1.0
    ratios = next(line for line in done.stdout.splitlines() if line.startswith("V2 binary"))
    assert ratios.split()[-3:-1] == ["8", "1.00"]
    assert "floor: round 1 of 1" in done.stderr


@needs_wrk
def test_a_run_that_is_interrupted_ends_the_servers_that_it_started() -> None:
    command = [*COMPARE, *SHORTEST, "--seconds", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "round 1 of 1" in line:
                break
        servers = _children(run.pid)
        run.send_signal(signal.SIGTERM)
        printed, said = run.communicate(timeout=60)
    assert len(servers) >= 2
    assert run.returncode == 130
    assert "Interrupted" in said
    assert "fairlead: fairlead serve" in printed
    assert [pid for server in servers for pid in processes(server)] == []


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--only", "v3"], "unknown: v3; known are v1, v2,"),
        (["--servers", "kserve,torchserve"], "unknown: torchserve; known are fairlead, kserve,"),
        (["--rounds", "0"], "'0' is not a positive whole number"),
    ],
)
def test_an_argument_that_means_nothing_is_refused_with_what_there_is(arguments: list[str], text: str) -> None:
    done = subprocess.run([*COMPARE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert text in done.stderr


# -- what the figures rest on ---------------------------------------------------------------------------


def test_an_answer_with_other_values_is_no_answer() -> None:
    call = CALLS["v2"]()
    call.check(b'{"outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[1]}]}', {})
    with pytest.raises(WrongAnswer, match=r"it answers \[2\], not \[1\]"):
        call.check(b'{"outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[2]}]}', {})
    with pytest.raises(WrongAnswer, match="cannot be read"):
        call.check(b'{"error":"no"}', {})


def test_binary_answers_are_read_by_the_length_of_their_json() -> None:
    call = CALLS["binary-in"]()
    head = b'{"outputs":[{"name":"y","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}'
    call.check(head + call.expected.astype("<f4").tobytes(), {"inference-header-content-length": str(len(head))})


def test_calls_of_grpc_that_fail_have_no_message_and_are_counted_by_that() -> None:
    printed = (
        "requests: 100 total, 108 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n"
        "traffic: 9.09KB (9312) total, 1.95KB (2000) headers (space savings 80.00%), 5.86KB (6000) data\n"
    )
    log = "".join(f"1700000000\t200\t{1000 + number}\n" for number in range(100))
    whole = summed_up(printed, log, answer=55, seconds=2, concurrency=8)
    assert (whole.failed, whole.rate, whole.p50) == (0, 50.0, 1.05)
    halved = summed_up(printed.replace("(6000) data", "(3000) data"), log, 55, 2, 8)
    assert halved.failed == 100 - 8 - 50


class _Full(http.server.BaseHTTPRequestHandler):
    """Answers every second request on a connection with 429."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked += 1
        self.send_response(200 if self.asked % 2 else 429)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that the base class has
        """Be quiet."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1000  # a client that was busy makes up for it at once


@contextlib.contextmanager
def _full() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Full) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _sent(plan: Plan) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "comparison.openloop", json.dumps(dataclasses.asdict(plan))]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout)["outcomes"]
    return found


def _plan(port: int, patience: float = 30.0, connections: int = 1000) -> Plan:
    return Plan(port, "/", {}, "{}", rate=200, seconds=0.5, patience=patience, connections=connections)


def test_the_open_loop_counts_every_arrival_once_and_by_its_status() -> None:
    with _full() as port:
        found = _sent(_plan(port))
    assert set(found) == {"200", "429"}
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        refused = _sent(_plan(deaf.getsockname()[1]))
    assert set(refused) == {"refused"}
    assert refused["refused"]["count"] == sum(each["count"] for each in found.values())


def test_the_open_loop_gives_up_what_is_not_answered_and_says_what_it_could_not_send() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        found = _sent(_plan(silent.getsockname()[1], patience=4.0, connections=3))
    assert found["timeout"]["count"] == 3
    assert set(found) == {"timeout", "unsent"}


def test_a_message_of_grpc_is_framed_with_its_length() -> None:
    assert framed(b"abc") == b"\x00\x00\x00\x00\x03abc"


def test_typed_and_raw_messages_hold_the_same_tensor() -> None:
    from tritonclient.grpc import service_pb2

    parse = service_pb2.ModelInferRequest.FromString
    raw, typed = (parse(CALLS[name]().body) for name in ("grpc-raw", "grpc-typed"))
    values = np.frombuffer(raw.raw_input_contents[0], "<f4")
    np.testing.assert_array_equal(values, np.array(typed.inputs[0].contents.fp32_contents, np.float32))
    assert list(raw.inputs[0].shape) == list(typed.inputs[0].shape) == [1, 3, 224, 224]
