"""Connections that do what no good client does, and those of clients that only look strange."""

from __future__ import annotations

import http.client
import io
import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_tests.models import ECHO, write

SLOW = """
    import time
    from fairlead import CustomModel, InferRequest, InferResponse

    class Slow(CustomModel):
        def predict(self, request: InferRequest) -> InferResponse:
            time.sleep(float(request.parameters.get("seconds", 0)))
            return InferResponse(model_name="", outputs=request.inputs)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("models")
    models = {"echo": write(folder, ECHO, "echo.py"), "slow": write(folder, SLOW, "slow.py")}
    with running_server(models, header_timeout=0.5, body_timeout=0.5, timeout_keep_alive=1) as running:
        yield running


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that gives its clients time, for tests that send one thing after another."""
    path = write(tmp_path_factory.mktemp("models"), ECHO, "echo.py")
    with running_server({"echo": path}, timeout_keep_alive=60) as running:
        yield running


def infer(model: str = "echo", *lines: str, seconds: float = 0) -> bytes:
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
    body = json.dumps({"inputs": [tensor], "parameters": {"seconds": seconds}}).encode()
    head = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


class _Answers(io.BufferedReader):
    """What has been received, for one answer after another: a response closes what it was read from."""

    def makefile(self, mode: str) -> _Answers:
        assert mode == "rb"
        return self

    def close(self) -> None:
        """Stay open."""


class Raw:
    """A connection that sends what it is told."""

    def __init__(self, server: RunningServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers: Any = _Answers(socket.SocketIO(self.socket, "r"))

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Raw:
        self.socket.sendall(data)
        return self

    def answer(self) -> tuple[int, str]:
        """The status and the body of the next answer; 0 when the connection ends without one."""
        response = http.client.HTTPResponse(self._answers)
        try:
            response.begin()
            return response.status, response.read().decode()
        except http.client.RemoteDisconnected:
            return 0, ""

    def ends(self) -> bool:
        """Whether the server closes the connection, after whatever it still has to say."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


# -- connections that stop half-way ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/models/echo/infer", "/v1/models/echo:predict", "/v2/repository/index"])
def test_a_body_of_which_no_byte_ever_comes_is_given_up(server: RunningServer, path: str) -> None:
    with Raw(server) as raw:
        raw.send(head(path, "Content-Type: application/json", "Content-Length: 100"))
        assert raw.answer()[0] == 400
        assert raw.ends()


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_connection_that_asks_nothing_is_closed(server: RunningServer, sent: bytes) -> None:
    with Raw(server) as raw:
        assert raw.send(sent).ends()


@pytest.mark.parametrize("path", ["/nowhere", "/v2/models/none/infer", "/v2/repository/index"])
def test_a_body_that_comes_too_slowly_after_its_answer_ends_the_connection(server: RunningServer, path: str) -> None:
    with Raw(server) as raw:
        raw.send(head(path, f"Content-Length: {10**12}"))
        assert raw.answer()[0] in (404, 413)
        assert raw.ends()


def test_a_body_that_comes_after_its_answer_does_not_end_the_connection(patient: RunningServer) -> None:
    with Raw(patient) as raw:
        raw.send(head("/v2/models/none/infer", "Content-Length: 5"))
        assert raw.answer()[0] == 404
        raw.send(b"hello" + infer())
        assert raw.answer()[0] == 200


def test_a_client_that_does_not_read_its_answer_is_let_go(tmp_path: Path) -> None:
    size = 16 * 1024 * 1024
    tensor = {"name": "x", "shape": [size], "datatype": "UINT8", "parameters": {"binary_data_size": size}}
    document = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    lines = [f"Inference-Header-Content-Length: {len(document)}", f"Content-Length: {len(document) + size}"]
    with running_server({"echo": write(tmp_path, ECHO)}, timeout_keep_alive=1) as running, Raw(running) as raw:
        raw.send(head("/v2/models/echo/infer", *lines) + document + bytes(size))
        peeked = raw.socket.recv(100, socket.MSG_PEEK)
        assert peeked.startswith(b"HTTP/1.1 200")
        poll = select.poll()
        poll.register(raw.socket, select.POLLHUP | select.POLLERR)
        assert poll.poll(30_000), "the connection still stands, and the answer is still kept for it"


# -- heads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_head_within_the_limit_is_taken_however_it_is_cut(patient: RunningServer, pieces: int) -> None:
    lines = [f"X-{number}: {'a' * 1000}" for number in range(45)]
    whole = head("/v2/health/live", *lines, method="GET")
    size = -(-len(whole) // pieces)
    with Raw(patient) as raw:
        for start in range(0, len(whole), size):
            raw.send(whole[start : start + size])
            # On a connection of its own, answered after this piece was read.
            assert patient.client.get("/v2/health/live").status_code == 200
        assert raw.answer() == (200, '{"live":true}')


@pytest.mark.parametrize("next_one", [b"POST /v2/mod", b"\x00\x01 is no HTTP\r\n\r\n"], ids=["too slow", "no HTTP"])
def test_a_bad_head_is_not_answered_in_place_of_the_request_before_it(server: RunningServer, next_one: bytes) -> None:
    with Raw(server) as raw:
        raw.send(infer("slow", seconds=1.0) + next_one)
        status, body = raw.answer()
        assert (status, json.loads(body)["model_name"]) == (200, "slow")
        assert raw.ends()


@pytest.mark.parametrize("pause_after", [0, 60, 200, None], ids=["at once", "in the head", "in the body", "whole"])
@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
        ["Connection: keep-alive, upgrade", "Upgrade: websocket"],
    ],
    ids=["HTTP/2", "WebSocket"],
)
def test_a_client_that_would_rather_speak_another_protocol_is_answered_in_this_one(
    patient: RunningServer, lines: list[str], pause_after: int | None
) -> None:
    request = infer("echo", *lines)
    with Raw(patient) as raw:
        raw.send(request[:pause_after]).send(request[len(request[:pause_after]) :])
        assert json.loads(raw.answer()[1])["outputs"][0]["data"] == [1, 2]
        assert json.loads(raw.send(request).answer()[1])["outputs"][0]["data"] == [1, 2]


def test_a_proxy_request_is_refused(server: RunningServer) -> None:
    with Raw(server) as raw:
        assert raw.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n").answer()[0] == 400


# -- draining -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/models/echo:predict", "/v2/health/live", "/v1/models/none:predict"])
def test_clients_are_asked_to_leave_while_the_server_drains(tmp_path: Path, path: str) -> None:
    with running_server({"echo": write(tmp_path, ECHO)}) as running:
        method = "POST" if path.endswith("predict") else "GET"
        before = running.client.request(method, path, json={"instances": [1]})
        assert "connection" not in before.headers
        running.engine.drain()
        after = running.client.request(method, path, json={"instances": [1]})
        assert (after.status_code, after.headers["connection"]) == (before.status_code, "close")
